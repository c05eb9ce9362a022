"""What a notebook cell displays in the report: a figure, a table, a screenshot, an answer."""

import base64
import html
import io
import json
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mistune
from IPython.display import publish_display_data
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from pandas import DataFrame
from PIL import Image

from eurosat_lib.captures import VIEWS, find_captures
from eurosat_lib.config import Config
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.style import save
from eurosat_lib.report.words import render

DPI, CSS_DPI = 160, 96  # of a picture's pixels; of CSS
LARGEST_SVG = 250_000  # bytes, above which a picture is lighter
# A cell that reads as a number, an interval or a duration stands to the right.
SIGNS = r"[-\d\s,.+\u2212±×%()\[\];/–—⁰¹²³⁴⁵⁶⁷⁸⁹⁻]"
NUMBER_LIKE = re.compile(SIGNS + r"+(?:h|min|s|ms|Mo|ko|points?)?")
WORD = ' class="word"'  # never broken: the name of a run, though it holds hyphens
MARKDOWN = mistune.create_markdown(plugins=["math"])  # of captions
MARKDOWN.renderer.register("inline_math", lambda _, text: formula_html(text))
HOW = "Elle se fait par <code>make captures</code>, puis <code>make report</code> (avec Chromium)."


def figure(fig: Figure | None, caption: str, *, name: str = "", detail: bool = False) -> None:
    """Display a figure with its caption, and close it: SVG, or WebP for pictures and crowds.

    Args:
        fig: its label, else the caption, is the alternative text; ``None``: nothing is displayed.
        caption: one line of French, without number; ``**bold**``, ```code``` and ``$maths$``.
        name: makes a target for references: ``[figure](#fig-name)`` is written "figure 3".
        detail: supplementary: in a closed fold on screen ("figure S1"), left out on paper.
    """
    if fig is None:
        return
    sides = [image.get_array().ndim for axes in fig.axes for image in axes.images]
    address, size = _drawn(fig, vector=not sides)
    plt.close(fig)  # else it is shown again at the cell's end
    kind = "photo" if 3 in sides else "drawing"
    alt = fig.get_label() or re.sub(r"[*`$\\]", "", caption)
    shown = _figure_html(_mark("fig", name, detail), address, size, kind, alt, caption)
    publish_display_data({"text/html": shown, "text/plain": caption})


def table(
    data: DataFrame | None, caption: str, *, name: str = "", detail: bool = False, **options: Any
) -> None:
    """Display a table with its caption; numbers are written in French and to the right.

    Args:
        data: an index with a name is the first column; ``attrs`` may hold options; ``None``:
            nothing is displayed.
        caption: as for `figure`.
        name: as for `figure`: ``[tableau](#tab-name)`` is written "tableau 3".
        detail: as for `figure`.
        options: ``note`` (a line under the table), ``digits`` (decimals of floats by column,
            else as many as they have, at most 6), ``percent`` (columns of fractions, written
            ``81,2 %``).

    Raises:
        UserError: empty table, unknown column, missing caption.
    """
    if data is None:
        return
    if data.empty:
        raise UserError("the table is empty")
    rows = f"<caption>{caption_html(caption)}</caption>{_rows(data, **data.attrs | options)}"
    shown = f'<table class="eurosat">{rows}</table>'
    shown = f'<div class="table"{_mark("tab", name, detail)}>{shown}</div>'
    publish_display_data({"text/html": shown, "text/plain": caption})


def capture(config: Config, name: str, caption: str) -> None:
    """Display a screenshot of TensorBoard, or how to take it; the report shows the latest.

    The names are those of `eurosat_lib.captures.VIEWS` (another is a UserError); the text refers
    to ``lr_finder`` by ``[figure](#capture-lr-finder)``.
    """
    if name not in VIEWS:
        raise UserError(f"capture {name!r}: no such view{did_you_mean(name, VIEWS)}")
    run = {"profile": config.profile, "name": config.paths.name}
    kept = {"eurosat": {"capture": name, "caption": caption, "run": run}}
    shown = capture_html(config, name, caption)
    publish_display_data({"text/html": shown, "text/plain": caption}, kept)


def answer(name: str, *results: Any, **extra: Any) -> None:
    """Display the answer to a question: ``reports/answers/<name>.md`` and its words.

    Its facts stay in the cell's output, so that the report sets the text anew.

    Args:
        name: ``D1``…``D11``, ``M0``…``M9``, ``S…`` for a section, ``resume``, ``conclusion``.
        results: stage results, whose facts stand under the stage's name; ``None`` is skipped.
        extra: further facts, by name.

    Raises:
        UserError: no such answer, a faulty text, or a missing value; says where.
    """
    facts = {result.stage: result.facts() for result in results if result is not None} | extra
    kept = json.loads(json.dumps(facts, default=str), parse_constant=lambda _: None)
    text, kept = render(name, kept), {"eurosat": {"answer": name, "facts": kept}}
    publish_display_data({"text/markdown": text, "text/plain": text}, kept)


def capture_html(config: Config, name: str, caption: str) -> str:
    """Write the figure of a screenshot, or a fold that says how to take it."""
    mark = f' id="capture-{name.replace("_", "-")}"'
    path, alt = find_captures(config).get(name, (None, ""))
    if path is None:
        summary = f"<summary>À faire. {caption_html(caption)}</summary>"
        return f'<details class="fold"{mark}>{summary}<p>{HOW}</p></details>'
    address = data_address("image/png", path.read_bytes())
    size = [side // 2 for side in Image.open(path).size]  # photographed at two pixels for one
    return _figure_html(mark, address, size, "photo capture", alt, caption)


def _figure_html(
    mark: str, address: str, size: Sequence[int], kind: str, alt: str, caption: str
) -> str:
    image = f'<img src="{address}" width="{size[0]}" height="{size[1]}" class="{kind}" '
    image += f'alt="{html.escape(" ".join(alt.split()))}">'
    caption = f"<figcaption>{caption_html(caption)}</figcaption>"
    return f'<figure class="eurosat"{mark}>{image}{caption}</figure>'


def _mark(prefix: str, name: str, detail: bool) -> str:
    """Return the attributes of a named or supplementary figure or table."""
    return (f' id="{prefix}-{name}"' if name else "") + (' data-detail="1"' if detail else "")


def caption_html(caption: str) -> str:
    """Turn a line of Markdown into HTML; an empty one is a UserError."""
    if not isinstance(caption, str) or not caption.strip():
        raise UserError(f"a caption is wanted, got {caption!r}")
    tokens = MARKDOWN.inline(" ".join(caption.split()), {})
    return MARKDOWN.renderer.render_tokens(tokens, mistune.BlockState())


def formula_html(tex: str, kind: str = "tex") -> str:
    """Mark a formula for `eurosat_lib.report.page`."""
    return f'<span class="{kind}">{html.escape(tex, quote=False)}</span>'


def data_address(mime: str, data: bytes) -> str:
    """Return a ``data:`` address."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _drawn(fig: Figure, vector: bool) -> tuple[str, list[int]]:
    """Draw a figure, the same every time: address, width and height in CSS pixels."""
    form = {"bbox_inches": "tight", "pad_inches": 0.04}
    if vector:
        data = save(fig, "svg", metadata={"Date": None, "Creator": None}, **form)
        data = re.sub(rb"(\d\d\.\d\d)\d+", rb"\1", re.sub(rb"\s+", b" ", data))  # unseen
        if len(data) < LARGEST_SVG:
            points = re.search(rb'width="([\d.]+)pt" height="([\d.]+)pt"', data).groups()
            address = data_address("image/svg+xml", data)
            return address, [round(float(side) * CSS_DPI / 72) for side in points]
    pillow = {"lossless": True, "quality": 50, "method": 2}
    data = save(fig, "webp", dpi=DPI, pil_kwargs=pillow, **form)
    size = [round(side * CSS_DPI / DPI) for side in Image.open(io.BytesIO(data)).size]
    return data_address("image/webp", data), size


def _rows(
    frame: DataFrame,
    digits: Mapping[str, int] | None = None,
    percent: Iterable[str] = (),
    note: str | None = None,
) -> str:
    """Write head, body and foot of a frame; an index with a name is its first column."""
    if frame.index.name is not None:
        frame = frame.reset_index()
    digits, names = digits or {}, [*map(str, frame)]
    for wrong in sorted({*percent, *digits} - {*names}):
        raise UserError(f"the table has no column {wrong!r}{did_you_mean(wrong, names)}")
    head, columns = "", []
    for name, (_, values) in zip(names, frame.items(), strict=True):
        values = values.astype(object).where(values.notna(), "—")
        texts = [_written(value, name in percent, digits.get(name)) for value in values]
        right = ' class="num"' if all(map(NUMBER_LIKE.fullmatch, texts)) else ""
        head += f'<th scope="col"{right}>{html.escape(name, quote=False)}</th>'
        kinds = [right or (WORD if " " not in text else "") for text in texts]
        columns.append([f"<td{kind}>{text}</td>" for kind, text in zip(kinds, texts, strict=True)])
    rows = "".join(f"<tr>{''.join(row)}</tr>\n" for row in zip(*columns, strict=True))
    rows = f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>"
    if note:
        below = f'<td colspan="{len(names)}"><p class="note">{caption_html(note)}</p></td>'
        rows += f"<tfoot><tr>{below}</tr></tfoot>"
    return rows


def _written(value: Any, percent: bool, digits: int | None) -> str:
    """Write a cell: a number in French, a boolean as a word, anything else as it is."""
    if isinstance(value, bool):
        return "oui" if value else "non"
    if not isinstance(value, numbers.Real):
        return html.escape(str(value), quote=False)
    return pct(value, 1 if digits is None else digits) if percent else nombre(value, digits)
