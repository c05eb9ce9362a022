"""Turn a Matplotlib figure into an image that stands inside the page, the same bytes every time.

Curves and bars are SVG: sharp on paper, small. Photographs and clouds of points are PNG.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Literal

from eurosat_lib.errors import UserError
from eurosat_lib.report.lettering import embed_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PNG_DPI = 160  # pixels per inch: 1000 px across a text block of 16 cm
MAX_POINTS = 6000  # vertices in one figure; above, an SVG is heavier and slower than a PNG
PADDING = 0.04  # inch around the drawing
CSS_DPI = 96  # CSS pixels per inch
Format = Literal["auto", "svg", "png"]


def encode(figure: Figure, form: Format = "auto") -> tuple[str, int, int]:
    """Draw a figure as a ``data:`` address.

    Args:
        figure: with at least one axes that holds something.
        form: ``auto`` takes PNG for pictures and crowded plots, SVG otherwise.

    Returns:
        The address, and the width and height of the drawing in CSS pixels (96 per inch).

    Raises:
        UserError: the figure is empty.
    """
    import matplotlib

    if not any(_holds_something(axes) for axes in figure.axes):
        raise UserError("the figure is empty: nothing was drawn in it")
    if form == "auto":
        form = "png" if _is_picture(figure) else "svg"
    drop = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
    stream = io.BytesIO()
    letters = "path" if form == "png" or _has_formulas(figure) else "none"
    with matplotlib.rc_context({"svg.hashsalt": "eurosat", "svg.fonttype": letters}):
        figure.savefig(
            stream,
            format=form,
            dpi=PNG_DPI if form == "png" else "figure",
            bbox_inches="tight",
            pad_inches=PADDING,
            metadata=drop,
        )
    data = stream.getvalue()
    if letters == "none":
        data = embed_fonts(data.decode()).encode()
    width, height = _png_size(data) if form == "png" else _svg_size(data)
    mime = "image/png" if form == "png" else "image/svg+xml"
    return f"data:{mime};base64,{base64.b64encode(data).decode()}", width, height


def photographs(figure: Figure) -> str:
    """Say where a figure shows pictures in true colours, which no dark theme may turn.

    Returns:
        One rectangle per picture, ``left top width height`` in per cent of the drawing, separated
        by commas; empty without any.
    """
    from matplotlib.transforms import Bbox

    pictures = [i for axes in figure.axes for i in axes.images if i.get_array().ndim == 3]
    if not pictures:
        return ""
    figure.draw_without_rendering()  # layouts place the axes now
    whole = figure.get_tightbbox().padded(PADDING)  # in inches
    places = []
    for picture in pictures:
        seen = Bbox.intersection(picture.get_window_extent(), picture.axes.bbox)
        if seen is not None:
            x0, y0, x1, y1 = (n / figure.dpi for n in seen.extents)
            left, top = (x0 - whole.x0) / whole.width, (whole.y1 - y1) / whole.height
            numbers = (left, top, (x1 - x0) / whole.width, (y1 - y0) / whole.height)
            places.append(" ".join(f"{100 * n:.2f}" for n in numbers))
    return ",".join(places)


def _has_formulas(figure: Figure) -> bool:
    """Tell whether a text is set by Matplotlib's own TeX, whose letters can only be outlines."""
    from matplotlib.text import Text

    return any("$" in text.get_text() for text in figure.findobj(Text))


def _holds_something(axes) -> bool:
    return axes.has_data() or bool(axes.texts or axes.patches or axes.tables)


def _is_picture(figure: Figure) -> bool:
    if figure.images or any(axes.images for axes in figure.axes):
        return True
    return sum(_points(artist) for artist in figure.findobj()) > MAX_POINTS


def _points(artist) -> int:
    """Count the vertices a curve, or the elements a collection, would put into an SVG."""
    from matplotlib.collections import Collection, QuadMesh
    from matplotlib.lines import Line2D

    if isinstance(artist, Line2D):
        return len(artist.get_xdata(orig=False))
    if isinstance(artist, QuadMesh):
        return 5 * artist.get_array().size
    if isinstance(artist, Collection):
        vertices = sum(len(path.vertices) for path in artist.get_paths())
        return max(vertices, len(artist.get_offsets()))
    return 0


def _png_size(data: bytes) -> tuple[int, int]:
    pixels = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    width, height = (round(n * CSS_DPI / PNG_DPI) for n in pixels)
    return width, height


def _svg_size(data: bytes) -> tuple[int, int]:
    import re

    width, height = re.search(rb'width="([\d.]+)pt" height="([\d.]+)pt"', data).groups()
    return round(float(width) * CSS_DPI / 72), round(float(height) * CSS_DPI / 72)
