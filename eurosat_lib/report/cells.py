"""What a notebook cell displays in the report: a figure, a table, a screenshot, an answer."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import numbers
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import MINUS, THIN, nombre, pct, split_exponent

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series
    from pandas.io.formats.style import Styler

    from eurosat_lib.captures import Capture
    from eurosat_lib.config import Config

DPI, CSS_DPI = 160, 96  # of a picture's pixels; of CSS
MOST_POINTS = 6000  # vertices in a figure, above which an SVG is heavier than a picture
NEEDLESS = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|(?<=<g) id=\"[^\"]*\"",
    re.DOTALL,
)
PLACES = re.compile(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)')
DECIMALS = re.compile(r"(\.\d\d)\d+")  # beyond hundredths of a point, unseen
PLAIN = " !$()*+,-./:;=?@[]^_`{|}~'"  # stands as it is in the address of an SVG
SPANS = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*(?!\s)(.+?)(?<!\s)\*(?![\w*])"), r"<em>\1</em>"),
)
VERBATIM = re.compile(r"(`[^`]+`|\$[^$]+\$)")
# A cell that reads as a number, an interval or a duration stands to the right.
NUMBER_LIKE = re.compile(r"[-\d\s,.+\u2212±×%()\[\];/–—]+(?:h|min|s|ms|Mo|ko|points?)?")
# Never broken: the name of a run, though it holds hyphens, and the shape of a tensor.
NAME = re.compile(r"(?=.*_)[\w.-]{8,30}|\([\d, ]+\)")
HOW = (
    "Elle se fait par <code>make captures</code>, puis <code>make report</code>, qui la place ici "
    "(il faut un navigateur Chromium)."
)


def figure(
    fig: Figure | None,
    caption: str,
    *,
    name: str | None = None,
    detail: bool = False,
    form: Literal["auto", "svg", "webp"] = "auto",
) -> None:
    """Display a figure with its caption, and close it.

    Args:
        fig: what it shows for those who do not see it is ``fig.get_label()``, else the caption;
            ``None`` is a figure that this run leaves out: nothing is displayed.
        caption: one line of French, without number; ``**bold**``, ```code``` and ``$maths$``.
        name: makes a target for references: ``[figure](#fig-name)`` is written "figure 3".
        detail: supplementary: in a closed fold on screen ("figure S1"), left out on paper.
        form: ``auto`` takes lossless WebP for pictures and crowded plots, SVG otherwise.

    Raises:
        UserError: the figure is empty or the caption is missing.
    """
    if fig is None:
        return
    text = caption_html(caption)
    address, width, height = encode(fig, form)
    alt = html.escape(str(fig.get_label() or "").strip() or re.sub(r"[*`$\\]", "", caption))
    photos = any(i.get_array().ndim == 3 for axes in fig.axes for i in axes.images)
    if "matplotlib.pyplot" in sys.modules:  # which would show it again at the cell's end
        sys.modules["matplotlib.pyplot"].close(fig)
    _publish(
        f'<figure class="eurosat"{_mark("fig", name, detail)}>'
        f'<img src="{address}" alt="{" ".join(alt.split())}" width="{width}" height="{height}" '
        f'class="{"photo" if photos else "drawing"}">'
        f"<figcaption>{text}</figcaption></figure>",
        caption,
    )


def table(
    data: DataFrame | Styler | None,
    caption: str,
    *,
    name: str | None = None,
    note: str | None = None,
    detail: bool = False,
    **options: Any,
) -> None:
    """Display a table with its caption; numbers are written in French and to the right.

    Args:
        data: a DataFrame, whose ``attrs`` may hold options and note, or a Styler, which keeps its
            own formats; ``None`` is a table that this run leaves out: nothing is displayed.
        caption: one line of French, without number; ``**bold**``, ```code``` and ``$maths$``.
        name: makes a target for references: ``[tableau](#tab-name)`` is written "tableau 3".
        note: a line of explanation under the table.
        detail: supplementary: in a closed fold on screen ("tableau S1"), left out on paper.
        options: ``digits`` (decimals of floats, for all columns or by column, default 3),
            ``percent`` (columns of fractions, written ``81,2 %``), ``missing`` (what stands for
            a missing value; without it, one is an error).

    Raises:
        UserError: empty table, missing value, unknown column, missing caption.
    """
    if data is None:
        return
    frame = getattr(data, "data", data)  # of a Styler
    if frame.empty:
        raise UserError("the table is empty")
    options = frame.attrs | options
    stored = options.pop("note", None)
    if data is frame:
        body = f'<table class="eurosat">{_rows(frame, **options)}</table>'
    else:
        data.set_uuid(name or "table").cell_ids = False
        body = data.to_html(table_attributes='class="eurosat"')
    body = body.replace("<thead>", f"<caption>{caption_html(caption)}</caption><thead>", 1)
    below = f'<p class="note">{caption_html(note or stored)}</p>' if note or stored else ""
    _publish(f'<div class="table"{_mark("tab", name, detail)}>{body}{below}</div>', caption)


def capture(config: Config, name: str, caption: str) -> None:
    """Display a screenshot of TensorBoard, or how to take it; the report shows the latest.

    Args:
        config: of the run.
        name: ``overfit``, ``lr_finder`` …, see `eurosat_lib.captures.VIEWS`; the text refers to
            it by ``[figure](#capture-overfit)``.
        caption: as for `figure`.

    Raises:
        UserError: there is no such view.
    """
    from eurosat_lib.captures import VIEWS, find_captures

    if name not in VIEWS:
        raise UserError(f"capture {name!r}: no such view{did_you_mean(name, VIEWS)}")
    run = {"config_path": "configs/config.yaml", "profile": config.profile}
    kept = {"capture": name, "caption": caption, "run": run | {"name": config.paths.name}}
    _publish(capture_html(name, caption, find_captures(config).get(name)), caption, kept)


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
    from eurosat_lib.report.words import render

    facts = {result.stage: result.facts() for result in results if result is not None} | extra
    kept = json.loads(json.dumps(facts, default=str), parse_constant=lambda _: None)
    text = render(name, kept)
    _display({"text/markdown": text, "text/plain": text}, {"answer": name, "facts": kept})


def capture_html(name: str, caption: str, taken: Capture | None) -> str:
    """Write the figure of a screenshot, or a fold that says how to take it."""
    target = f'id="capture-{name.replace("_", "-")}"'
    if taken is None:
        summary = f"<summary>À faire. {caption_html(caption)}</summary>"
        return f'<details class="fold" {target}>{summary}<p>{HOW}</p></details>'
    png = taken.path.read_bytes()
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    image = (
        f'<img src="{data_address("image/png", png)}" alt="{html.escape(taken.alt)}" '
        f'width="{width}" height="{height}" class="photo">'
    )
    text = f"<figcaption>{caption_html(caption)}</figcaption>"
    return f'<figure class="eurosat capture" {target}>{image}{text}</figure>'


def caption_html(caption: str) -> str:
    """Turn a caption into HTML: bold, emphasis, code; formulas are marked for the exporter.

    Raises:
        UserError: the caption is empty.
    """
    if not isinstance(caption, str) or not caption.strip():
        raise UserError(f"a caption is wanted, got {caption!r}")
    pieces = []
    for piece in VERBATIM.split(html.escape(" ".join(caption.split()), quote=False)):
        if piece.startswith("`"):
            piece = f"<code>{piece.strip('`')}</code>"
        elif piece.startswith("$"):
            piece = f'<span class="tex">{piece.strip("$")}</span>'
        else:
            for pattern, replacement in SPANS:
                piece = pattern.sub(replacement, piece)
        pieces.append(piece)
    return "".join(pieces)


def data_address(mime: str, data: bytes) -> str:
    """Return a ``data:`` address."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def encode(fig: Figure, form: str = "auto") -> tuple[str, int, int]:
    """Draw a figure as a ``data:`` address, the same every time.

    Returns:
        The address, and the width and height of the drawing in CSS pixels (96 per inch).

    Raises:
        UserError: the figure is empty.
    """
    from eurosat_lib.plots.style import save

    if not any(a.has_data() or a.texts or a.patches or a.tables for a in fig.axes):
        raise UserError("the figure is empty: nothing was drawn in it")
    if form == "auto":
        form = "webp" if _is_picture(fig) else "svg"
    if form == "svg":
        more = {"metadata": {"Date": None, "Creator": None}}
    else:
        more = {"dpi": DPI, "pil_kwargs": {"lossless": True, "quality": 50, "method": 2}}
    drawn = save(fig, form, bbox_inches="tight", pad_inches=0.04, **more)
    return _svg(drawn.decode()) if form == "svg" else _webp(drawn)


def _svg(text: str) -> tuple[str, int, int]:
    """Write a drawing of Matplotlib as text, without what nobody sees."""
    sizes = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text).groups()
    width, height = (round(float(size) * CSS_DPI / 72) for size in sizes)
    text = re.sub(r"[ \t\r\n]+", " ", NEEDLESS.sub("", text))
    text = PLACES.sub(lambda found: DECIMALS.sub(r"\1", found[0]), text)
    for long, short in (("> <", "><"), (" />", "/>"), ("; ", ";"), (": ", ":"), ('"', "'")):
        text = text.replace(long, short)
    return f"data:image/svg+xml,{quote(text.strip(), safe=PLAIN)}", width, height


def _webp(data: bytes) -> tuple[str, int, int]:
    from PIL import Image

    width, height = (round(pixels * CSS_DPI / DPI) for pixels in Image.open(io.BytesIO(data)).size)
    return data_address("image/webp", data), width, height


def _is_picture(fig: Figure) -> bool:
    """Tell whether a figure holds pictures or more points than a drawing should."""
    from matplotlib.collections import Collection, QuadMesh
    from matplotlib.lines import Line2D

    points = 0
    for artist in fig.findobj():
        if isinstance(artist, Line2D):
            points += len(artist.get_xdata(orig=False))
        elif isinstance(artist, QuadMesh):
            points += 5 * artist.get_array().size
        elif isinstance(artist, Collection):
            vertices = sum(len(path.vertices) for path in artist.get_paths())
            points += max(vertices, len(artist.get_offsets()))
    return points > MOST_POINTS or bool(fig.images) or any(axes.images for axes in fig.axes)


def _rows(
    frame: DataFrame,
    digits: int | Mapping[str, int] = 3,
    percent: Iterable[str] = (),
    missing: str | None = None,
) -> str:
    """Write head and body of a frame; an index with a name is its first column."""
    if frame.index.name is not None:
        frame = frame.reset_index()
    chosen = dict(digits) if isinstance(digits, Mapping) else {}
    names = [str(column) for column in frame.columns]
    for wrong in sorted({*percent, *chosen} - set(names)):
        raise UserError(f"the table has no column {wrong!r}{did_you_mean(wrong, names)}")
    columns = []
    for position, name in enumerate(names):
        values = frame.iloc[:, position]
        places = 3 if isinstance(digits, Mapping) else digits
        form: Callable[..., str] = nombre
        if name in percent:
            form, places = pct, 1
        elif name not in chosen and _too_small(values, places):
            form, places = _powers, 1
        places = chosen.get(name, places)
        columns.append([_cell(v, form, places, missing, name) for v in values])
    right = [all(NUMBER_LIKE.fullmatch(_words(text)) for text in column) for column in columns]
    head, rows = "", []
    for name, number in zip(names, right, strict=True):
        head += f'<th scope="col"{_class("", number)}>{html.escape(name, quote=False)}</th>'
    for row in zip(*columns, strict=True):
        cells = (f"<td{_class(t, n)}>{t}</td>" for t, n in zip(row, right, strict=True))
        rows.append(f"<tr>{''.join(cells)}</tr>\n")
    return f"<thead><tr>{head}</tr></thead>\n<tbody>{''.join(rows)}</tbody>"


def _class(text: str, number: bool) -> str:
    if number:
        return ' class="num"'
    return ' class="word"' if NAME.fullmatch(_words(text)) else ""


def _words(text: str) -> str:
    return re.sub(r"<[^>]+>", "", text).strip()


def _cell(
    value: Any, form: Callable[..., str], places: int, missing: str | None, column: str
) -> str:
    """Write one value: a number in French, a boolean as a word, anything else as it is."""
    if _is_missing(value):
        if missing is None:
            raise UserError(f"column {column!r} lacks a value; pass missing='—' if that is meant")
        return missing
    if type(value).__name__ in ("bool", "bool_"):
        return "oui" if value else "non"
    if not isinstance(value, numbers.Real):
        return html.escape(str(value), quote=False)
    if form is nombre and isinstance(value, numbers.Integral):
        return nombre(value)
    return form(value, places)


def _powers(value: float, digits: int) -> str:
    mantissa, exponent = split_exponent(value, digits)
    if exponent == 0 or mantissa == "0":
        return mantissa
    power = f"10<sup>{str(exponent).replace('-', MINUS)}</sup>"
    return power if mantissa == "1" else f"{mantissa}{THIN}×{THIN}{power}"


def _too_small(values: Series, digits: int) -> bool:
    """Tell whether so few decimals would falsify a column (a learning rate of 0.0005)."""
    sizes = [abs(v) for v in values if isinstance(v, numbers.Real) and not _is_missing(v) and v]
    spoilt = any(abs(round(size, digits) - size) > 0.1 * size for size in sizes)
    return spoilt and max(sizes) < 0.1


def _is_missing(value: Any) -> bool:
    if value is None or str(value) in ("nan", "NaN", "NaT", "<NA>"):
        return True
    return isinstance(value, numbers.Real) and not math.isfinite(value)


def _mark(prefix: str, name: str | None, detail: bool) -> str:
    """Return the attributes of a named or supplementary figure or table."""
    if name is not None and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(f"name {name!r}: use lower-case letters, digits and hyphens")
    return (f' id="{prefix}-{name}"' if name else "") + (' data-detail="1"' if detail else "")


def _publish(text: str, plain: str, kept: Mapping[str, Any] | None = None) -> None:
    _display({"text/html": text, "text/plain": plain}, kept)


def _display(data: dict[str, str], kept: Mapping[str, Any] | None) -> None:
    from IPython.display import publish_display_data

    publish_display_data(data, {"eurosat": kept} if kept else {})
