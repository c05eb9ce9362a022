"""What a notebook cell displays in the report: a figure, a table, a screenshot, an answer."""

from __future__ import annotations

import base64
import html
import io
import json
import numbers
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import FIXED, MINUS, nombre, pct, power

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

    from eurosat_lib.captures import Capture
    from eurosat_lib.config import Config

DPI, CSS_DPI = 160, 96  # of a picture's pixels; of CSS
LARGEST_SVG = 250_000  # signs, above which a picture is lighter
NEEDLESS = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|(?<=<g) id=\"[^\"]*\"",
    re.DOTALL,
)
PLACES = re.compile(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)')
DECIMALS = re.compile(r"(\.\d\d)\d+")  # beyond hundredths of a point, unseen
PLAIN = " !$()*+,-./:;=?@[]^_`{|}~'"  # stands as it is in the address of an SVG
SPANS = {
    r"\*\*(.+?)\*\*": r"<strong>\1</strong>",
    r"(?<![\w*])\*(?!\s)(.+?)(?<!\s)\*(?![\w*])": r"<em>\1</em>",
}
VERBATIM = re.compile(r"(`[^`]+`|\$[^$]+\$)")
POWER = re.compile(r"(-?\d+(?:\{,\}\d+)?)(?: ?\\times ?10\^\{(-?\d+)\})?|10\^\{(-?\d+)\}")
# A cell that reads as a number, an interval or a duration stands to the right.
SIGNS = r"[-\d\s,.+\u2212±×%()\[\];/–—⁰¹²³⁴⁵⁶⁷⁸⁹⁻]"
NUMBER_LIKE = re.compile(SIGNS + r"+(?:h|min|s|ms|Mo|ko|points?)?")
# Never broken: the name of a run, though it holds hyphens, and the shape of a tensor.
NAME = re.compile(r"(?=.*_)[\w.-]{8,30}|\([\d, ]+\)")
HOW = (
    "Elle se fait par <code>make captures</code>, puis <code>make report</code>, qui la place ici "
    "(il faut un navigateur Chromium)."
)


def figure(
    fig: Figure | None, caption: str, *, name: str | None = None, detail: bool = False
) -> None:
    """Display a figure with its caption, and close it: SVG, or WebP for pictures and crowds.

    Args:
        fig: what it shows for those who do not see it is ``fig.get_label()``, else the caption;
            ``None`` is a figure that this run leaves out: nothing is displayed.
        caption: one line of French, without number; ``**bold**``, ```code``` and ``$maths$``.
        name: makes a target for references: ``[figure](#fig-name)`` is written "figure 3".
        detail: supplementary: in a closed fold on screen ("figure S1"), left out on paper.

    Raises:
        UserError: the figure is empty or the caption is missing.
    """
    if fig is None:
        return
    text = caption_html(caption)
    address, width, height = _drawn(fig)
    alt = html.escape(str(fig.get_label() or "").strip() or re.sub(r"[*`$\\]", "", caption))
    photos = any(i.get_array().ndim == 3 for axes in fig.axes for i in axes.images)
    if "matplotlib.pyplot" in sys.modules:  # which would show it again at the cell's end
        sys.modules["matplotlib.pyplot"].close(fig)
    image = f'class="{"photo" if photos else "drawing"}" alt="{" ".join(alt.split())}"'
    image = f'<img src="{address}" width="{width}" height="{height}" {image}>'
    mark = f'class="eurosat"{_mark("fig", name, detail)}'
    text = f"<figure {mark}>{image}<figcaption>{text}</figcaption></figure>"
    _display({"text/html": text, "text/plain": caption})


def table(
    data: DataFrame | None,
    caption: str,
    *,
    name: str | None = None,
    detail: bool = False,
    **options: Any,
) -> None:
    """Display a table with its caption; numbers are written in French and to the right.

    Args:
        data: its ``attrs`` may hold options; an index with a name is the first column; ``None``
            is a table that this run leaves out: nothing is displayed.
        caption: one line of French, without number; ``**bold**``, ```code``` and ``$maths$``.
        name: makes a target for references: ``[tableau](#tab-name)`` is written "tableau 3".
        detail: supplementary: in a closed fold on screen ("tableau S1"), left out on paper.
        options: ``note`` (a line under the table), ``digits`` (decimals of floats, for all columns
            or by column, default 3), ``percent`` (columns of fractions, written ``81,2 %``),
            ``missing`` (what stands for a missing value; without it, one is an error).

    Raises:
        UserError: empty table, missing value, unknown column, missing caption.
    """
    if data is None:
        return
    if data.empty:
        raise UserError("the table is empty")
    options = data.attrs | options
    note = options.pop("note", None)
    rows = f"<caption>{caption_html(caption)}</caption>{_rows(data, **options)}"
    if note:
        columns = rows.count("<th ")
        below = f'<td colspan="{columns}"><p class="note">{caption_html(note)}</p></td>'
        rows += f"<tfoot><tr>{below}</tr></tfoot>"
    mark = _mark("tab", name, detail)
    text = f'<div class="table"{mark}><table class="eurosat">{rows}</table></div>'
    _display({"text/html": text, "text/plain": caption})


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
    text = capture_html(name, caption, find_captures(config).get(name))
    _display({"text/html": text, "text/plain": caption}, kept)


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
    target, text = f'id="capture-{name.replace("_", "-")}"', caption_html(caption)
    if taken is None:
        summary = f"<summary>À faire. {text}</summary>"
        return f'<details class="fold" {target}>{summary}<p>{HOW}</p></details>'
    png = taken.path.read_bytes()
    # Photographed at two pixels for each of CSS.
    width, height = (int.from_bytes(png[start : start + 4], "big") // 2 for start in (16, 20))
    image = f'width="{width}" height="{height}" class="photo" alt="{html.escape(taken.alt)}"'
    image = f'<img src="{data_address("image/png", png)}" {image}>'
    caption = f"<figcaption>{text}</figcaption>"
    return f'<figure class="eurosat capture" {target}>{image}{caption}</figure>'


def caption_html(caption: str) -> str:
    """Turn a caption into HTML: bold, emphasis, code; formulas are marked for the exporter.

    Raises:
        UserError: the caption is empty.
    """
    if not isinstance(caption, str) or not caption.strip():
        raise UserError(f"a caption is wanted, got {caption!r}")
    pieces = VERBATIM.split(html.escape(" ".join(caption.split()), quote=False))
    for number, piece in enumerate(pieces):
        if piece.startswith("`"):
            pieces[number] = f"<code>{piece.strip('`')}</code>"
        elif piece.startswith("$"):
            pieces[number] = formula_html(html.unescape(piece.strip("$")))
        else:
            for pattern, replacement in SPANS.items():
                pieces[number] = re.sub(pattern, replacement, pieces[number])
    return "".join(pieces)


def formula_html(tex: str) -> str:
    r"""Write a mere number (``3 \times 10^{-4}``) as text; mark another formula for `page`."""
    if not (found := POWER.fullmatch(tex.strip())):
        return f'<span class="tex">{html.escape(tex, quote=False)}</span>'
    mantissa, exponent = (found[1] or "").replace("{,}", ","), found[2] or found[3]
    ten = f"10<sup>{exponent}</sup>" if exponent else ""
    text = f"{FIXED}×{FIXED}".join(filter(None, (mantissa, ten)))
    return f'<span class="sci">{text.replace("-", MINUS)}</span>'


def data_address(mime: str, data: bytes) -> str:
    """Return a ``data:`` address."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _drawn(fig: Figure) -> tuple[str, int, int]:
    """Draw a figure, the same every time: address, width and height in CSS pixels."""
    from PIL import Image

    from eurosat_lib.plots.style import save

    if not any(a.has_data() or a.texts or a.patches or a.tables for a in fig.axes):
        raise UserError("the figure is empty: nothing was drawn in it")
    form = {"bbox_inches": "tight", "pad_inches": 0.04}
    if not fig.images and not any(axes.images for axes in fig.axes):
        text = save(fig, "svg", metadata={"Date": None, "Creator": None}, **form).decode()
        sizes = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text).groups()
        width, height = (round(float(size) * CSS_DPI / 72) for size in sizes)
        if len(text := _light(text)) < LARGEST_SVG:
            return f"data:image/svg+xml,{text}", width, height
    pillow = {"lossless": True, "quality": 50, "method": 2}
    data = save(fig, "webp", dpi=DPI, pil_kwargs=pillow, **form)
    width, height = (round(pixels * CSS_DPI / DPI) for pixels in Image.open(io.BytesIO(data)).size)
    return data_address("image/webp", data), width, height


def _light(svg: str) -> str:
    """Leave out of a drawing what nobody sees, and write it as an address."""
    svg = re.sub(r"[ \t\r\n]+", " ", NEEDLESS.sub("", svg))
    svg = PLACES.sub(lambda found: DECIMALS.sub(r"\1", found[0]), svg)
    for long, short in (("> <", "><"), (" />", "/>"), ("; ", ";"), (": ", ":"), ('"', "'")):
        svg = svg.replace(long, short)
    return quote(svg.strip(), safe=PLAIN)


def _rows(
    frame: DataFrame,
    digits: int | Mapping[str, int] = 3,
    percent: Iterable[str] = (),
    missing: str | None = None,
) -> str:
    """Write head and body of a frame; an index with a name is its first column."""
    if frame.index.name is not None:
        frame = frame.reset_index()
    names = [str(column) for column in frame.columns]
    chosen, usual = (digits, 3) if isinstance(digits, Mapping) else ({}, digits)
    for wrong in sorted({*percent, *chosen} - set(names)):
        raise UserError(f"the table has no column {wrong!r}{did_you_mean(wrong, names)}")
    head, columns = "", []
    for position, name in enumerate(names):
        values = frame.iloc[:, position]
        if values.isna().any():
            if missing is None:
                raise UserError(f"column {name!r} lacks a value; is missing='—' meant?")
            values = values.astype(object).where(values.notna(), missing)
        form, places = (pct, 1) if name in percent else (nombre, usual)
        if name in chosen:
            places = chosen[name]
        elif form is nombre and _too_small(values, places):
            form, places = power, 1
        written = [_text(value, form, places) for value in values]
        plain = [re.sub(r"<[^>]+>", "", text).strip() for text in written]
        right = all(NUMBER_LIKE.fullmatch(text) for text in plain)
        kinds = ["num" if right else "word" if NAME.fullmatch(text) else "" for text in plain]
        cells = [f'<td class="{k}">{text}</td>' for k, text in zip(kinds, written, strict=True)]
        columns.append([cell.replace(' class=""', "") for cell in cells])
        kind = ' class="num"' if right else ""
        head += f'<th scope="col"{kind}>{html.escape(name, quote=False)}</th>'
    rows = "".join(f"<tr>{''.join(row)}</tr>\n" for row in zip(*columns, strict=True))
    return f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>"


def _text(value: Any, form: Callable[..., str], places: int) -> str:
    """Write one value: a number in French, a boolean as a word, anything else as it is."""
    if type(value).__name__ in ("bool", "bool_"):
        return "oui" if value else "non"
    if not isinstance(value, numbers.Real):
        return html.escape(str(value), quote=False)
    if form is nombre and isinstance(value, numbers.Integral):
        return nombre(value)
    return form(value, places)


def _too_small(values: Series, digits: int) -> bool:
    """Tell whether so few decimals would falsify a column (a learning rate of 0.0005)."""
    sizes = [abs(v) for v in values if isinstance(v, numbers.Real) and v and v == v]
    spoilt = any(abs(round(size, digits) - size) > 0.1 * size for size in sizes)
    return spoilt and max(sizes) < 0.1


def _mark(prefix: str, name: str | None, detail: bool) -> str:
    """Return the attributes of a named or supplementary figure or table."""
    if name is not None and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(f"name {name!r}: use lower-case letters, digits and hyphens")
    return (f' id="{prefix}-{name}"' if name else "") + (' data-detail="1"' if detail else "")


def _display(data: dict[str, str], kept: Mapping[str, Any] | None = None) -> None:
    from IPython.display import publish_display_data

    publish_display_data(data, {"eurosat": kept} if kept else {})
