"""A page of the documentation with every figure of a run: ``make gallery``."""

from __future__ import annotations

import argparse
import base64
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lxml.html
from nbformat import NotebookNode

from eurosat_lib.config import Config, configure
from eurosat_lib.errors import UserError
from eurosat_lib.report.export import read_notebook
from eurosat_lib.report.images import tight_svg
from eurosat_lib.report.places import words
from eurosat_lib.report.runner.incremental import read_record

LIMIT = 1_500_000  # bytes of all pictures: they are kept in git
WIDTH, QUALITY = 720, 84  # pixels, and WebP quality, of pictures that are no line drawings
SUFFIX = {"image/svg+xml": ".svg", "image/png": ".webp"}
HEAD = """# Figures

Every figure of the report, drawn by `eurosat_lib.plots` in one style (`plots/style.py`) from a
real run: profile `{profile}`, {days}. This page is made by `make gallery` from the executed
notebooks; captions and alternative texts are the report's, in French.
"""


@dataclass(frozen=True)
class Drawing:
    """A figure as a notebook displays it: its file's bytes and kind, caption, description."""

    notebook: str
    data: bytes
    suffix: str
    caption: str
    alt: str


def make_gallery(config: Config, docs: Path) -> int:
    """Write ``FIGURES.md`` and ``figures/`` from the executed notebooks of a run.

    Args:
        config: for the run's ``reports/notebooks`` and its profile.
        docs: folder that gets the page; pictures of an earlier one are replaced.

    Returns:
        The number of figures.

    Raises:
        UserError: nothing was executed yet, or the pictures weigh more than ``LIMIT``.
    """
    executed = sorted((config.paths.reports / "notebooks").glob("[0-9]*.ipynb"))
    drawings = [d for path in executed for d in _drawings(path.stem, read_notebook(path))]
    if not drawings:
        raise UserError(f"{config.paths.reports}: no executed notebook with figures; make report")
    weight = sum(len(drawing.data) for drawing in drawings)
    if weight > LIMIT:
        raise UserError(f"the figures weigh {weight:,} bytes, more than {LIMIT:,}")
    days = sorted({read_record(path).get("finished", "")[:10] for path in executed})
    head = HEAD.format(profile=config.profile, days=" to ".join(dict.fromkeys(days)))
    _write(drawings, head, docs)
    return len(drawings)


def _drawings(name: str, notebook: NotebookNode) -> Iterator[Drawing]:
    outputs = (o for cell in notebook.cells for o in cell.get("outputs", ()))
    for output in outputs:
        text = output.get("data", {}).get("text/html", "")
        if not text.startswith('<figure class="eurosat"'):
            continue
        figure = lxml.html.fragment_fromstring(text)
        image = figure.find("img")
        kind, _, body = image.get("src").removeprefix("data:").partition(";base64,")
        data = base64.b64decode(body)
        data = _shrink(data) if kind == "image/png" else tight_svg(data.decode()).encode()
        yield Drawing(name, data, SUFFIX[kind], words(figure.find("figcaption")), image.get("alt"))


def _shrink(png: bytes) -> bytes:
    """Return a picture as WebP, no wider than the page of a forge shows it."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if picture.width > WIDTH:
        height = round(picture.height * WIDTH / picture.width)
        picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY, method=6)
    return stream.getvalue()


def _write(drawings: Sequence[Drawing], head: str, docs: Path) -> None:
    folder = docs / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.*"):
        old.unlink()
    lines, notebook = [head], None
    for number, drawing in enumerate(drawings, start=1):
        if drawing.notebook != notebook:
            notebook = drawing.notebook
            lines.append(f"## {notebook}\n")
        file = folder / f"{number:02d}-{notebook}{drawing.suffix}"
        file.write_bytes(drawing.data)
        alt = re.sub(r"([\[\]])", r"\\\1", " ".join(drawing.alt.split()))
        lines.append(f"![{alt}](figures/{file.name})\n\n{drawing.caption}\n")
    (docs / "FIGURES.md").write_text("\n".join(lines), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.report.gallery")
    parser.add_argument("--name", default="", help="of the run: reports/NAME")
    parser.add_argument("--profile", default="auto", help="auto, quick, standard or full")
    options = parser.parse_args(arguments)
    try:
        config = configure(profile=options.profile, name=options.name)
        docs = Path(config.paths.root, "docs")
        count = make_gallery(config, docs)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"docs/FIGURES.md: {count} figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
