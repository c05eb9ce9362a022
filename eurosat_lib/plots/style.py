"""One look for every figure: size, colours, French ticks, galleries, and how a figure is ended."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import cycle, zip_longest
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from eurosat_lib.french import SHORT, SUPERSCRIPT, THIN, nombre, typeset

WIDTH = 6.5  # inches: the 16.5 cm of text of a printed page, so that letters keep their size
INK, SOFT, RULE, PANEL = "#1f2328", "#57606a", "#d5dae0", "#f1f3f6"
# Okabe & Ito (2008): told apart under the common colour blindnesses. Orange, green and purple are
# darker than theirs, so that words written in them can be read on white.
BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072b2", "#c44e00", "#00785a", "#a3397b", "#56b4e9"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, INK, SKY)
SEED_COLOURS = (BLUE, PURPLE, GREEN, SOFT, SKY)  # of a sweep's seeds: orange marks the choice
MARKERS = ("o", "s", "^", "D", "v", "P")
SMALL = 8.5  # points: notes, labels inside the axes
DPI = 110  # pixels per inch of the pictures in TensorBoard: 715 pixels wide
DASHES = {"color": SOFT, "ls": "--", "lw": 1}  # of a line to compare with
LETTERS = 100  # that fit beside each other in a legend
STYLE = {  # over Matplotlib's own defaults; its STIX goes with the serif of the printed text
    "font.family": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "mathtext.default": "regular",
    **dict.fromkeys(("axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"), SOFT),
    **dict.fromkeys(("axes.labelcolor", "text.color"), INK),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.labelsize", "axes.titlesize", "font.size"), 9.5),
    **dict.fromkeys(("legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 9),
    **dict.fromkeys(("axes.spines.right", "axes.spines.top", "legend.frameon"), False),
    **dict.fromkeys(("axes.axisbelow", "axes.grid"), True),
    "axes.linewidth": 0.8,
    "axes.titlelocation": "left",
    "figure.dpi": DPI,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}


def styled(plot: Callable[..., Figure | None]) -> Callable[..., Any]:
    """Draw a figure, or none, under the project's style, whatever the caller's, and lay it out."""

    @wraps(plot)
    def draw(*args: Any, **kwargs: Any) -> Figure | None:
        """Draw under the project’s style, whatever the caller’s."""
        with matplotlib.style.context(STYLE, after_reset=True):
            if fig := plot(*args, **kwargs):
                fig.draw_without_rendering()  # makes the ticks while the style holds
        return fig

    return draw


def new_figure(height: float) -> Figure:
    """Make an empty figure of the text's width, outside pyplot; ``height`` in inches."""
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(fig)
    fig.get_layout_engine().set(w_pad=0.07, h_pad=0.05, wspace=0.03, hspace=0.03)
    return fig


def one_axes(height: float) -> tuple[Figure, Axes]:
    """Make a figure with a single axes."""
    fig = new_figure(height)
    return fig, fig.subplots()


def finish(fig: Figure, alt: str) -> Figure:
    """Give a figure its legend, French ticks and spacing, and the text that replaces it.

    Ticks are percentages where the label of the axis ends in « (%) », points where in « points ».
    """
    axes = [axis for ax in fig.axes for axis in (ax.xaxis, ax.yaxis)]
    for axis in sorted(axes, key=lambda axis: not axis.get_label_text()):  # axes may share ticks
        if type(axis.get_major_formatter()) is ticker.ScalarFormatter:
            axis.set_major_formatter(french_ticks(axis.get_label_text()))
    found = [ax.get_legend_handles_labels() for ax in fig.axes if not ax.get_legend()]
    keys = {label: key for handles in found for key, label in zip(*handles, strict=True)}
    if keys:
        columns = max(1, LETTERS // (6 + max(map(len, keys))))
        fig.legend(keys.values(), keys, loc="outside lower center", ncols=columns)
    for text in fig.findobj(Text):
        text.set_text(_powers(typeset(text.get_text())))
    fig.set_label(typeset(alt.replace("\n", " ")))
    return fig


def _powers(text: str) -> str:
    """Leave powers of ten to Matplotlib: STIX has no raised 4, nor a narrow space."""
    raised = dict(zip(SUPERSCRIPT.values(), "0123456789-", strict=True))
    found = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: f"$^{{{m[0].translate(raised)}}}$", text)
    return text if found == text else found.replace(THIN, r"$\,$")


def bare(ax: Axes) -> Axes:
    """Take frame, ticks and grid away, for a picture or a drawing."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return ax


def categories(ax: Axes, names: Iterable[str], axis: str = "y") -> None:
    """Name the rows from the top (``y``) or the columns (``x``): no ticks, no grid across."""
    names = list(names)
    ax.set(**{f"{axis}ticks": range(len(names)), f"{axis}ticklabels": names})
    ax.grid(False, axis=axis)
    ax.tick_params(axis=axis, length=0)
    if axis == "y":
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.spines.left.set_visible(False)


def intervals(
    ax: Axes, places: Iterable, values: Sequence, bounds: Sequence, axis: str = "x", **look: Any
) -> None:
    """Draw N values along an axis, each in its place across it, with their (N, 2) bounds."""
    points = (values, places) if axis == "x" else (places, values)
    errors = {f"{axis}err": abs(np.transpose(bounds) - np.asarray(values))}
    ax.errorbar(*points, **errors, **{"fmt": "o", "ms": 4, "lw": 1.3} | look)


def note(ax: Axes, x: float, y: float, text: str, color: str = SOFT, **look: Any) -> None:
    """Write a few small words inside an axes, centred on ``y``."""
    ax.text(x, y, text, **{"color": color, "fontsize": SMALL, "va": "center"} | look)


def french_ticks(label: str) -> ticker.Formatter:
    """Write ticks with a decimal comma, in the unit that the axis's label ends in."""
    scale = 100 if label.endswith(("(%)", "points", "(points)")) else 1
    unit = f"{THIN}%" if label.endswith("(%)") else ""
    return ticker.FuncFormatter(lambda value, _: nombre(float(scale * value)) + unit)


def log_axis(ax: Axes, axis: str = "x") -> None:
    """Make an axis logarithmic, with a tick at each power of ten."""
    ax.set(**{f"{axis}scale": "log"})
    ticks = getattr(ax, f"{axis}axis")
    ticks.set_minor_locator(ticker.NullLocator())
    ticks.set_major_locator(ticker.LogLocator(numticks=20))


def epochs(ax: Axes, last: int) -> None:
    """Make the x axis one of epochs 1 … last, whole numbers only."""
    margin = min(0.5, 0.1 * last)
    ax.set(xlabel="époque", xlim=(1 - margin, last + margin))
    ax.xaxis.set_major_locator(ticker.MaxNLocator(12, integer=True))


def series(rank: int) -> dict[str, str]:
    """Return colour and marker of the ``rank``-th of several curves."""
    return {"color": SERIES[rank % len(SERIES)], "marker": MARKERS[rank % len(MARKERS)]}


def run_colours(compared: Mapping[str, Any]) -> dict[str, str]:
    """Return the colour of each run in the facts of ``compare_curves``, the best first."""
    found = (curve["name"] for factor in SHORT for curve in compared[factor]["curves"])
    names = [name for name, _ in Counter(found).most_common()]
    return dict(zip(names, cycle(SERIES), strict=False))


def gallery(
    images: Sequence,
    titles: Sequence[str],
    columns: int,
    lines: int = 1,
    rows: Sequence[str] = (),
) -> Figure:
    """Show images, (3, H, W), uint8 or in [0, 1], in rows of so many; ``None``: an empty place.

    Titles have so many lines; ``rows`` are names of rows.
    """
    count = -(-len(images) // columns)
    fig = new_figure(count * (WIDTH / columns + 0.15 * lines) + 0.1)
    axes = fig.subplots(count, columns, squeeze=False)
    for ax, image, title in zip_longest(axes.flat, images, titles):
        bare(ax).set_title(title or "", fontsize=SMALL, color=INK, loc="center", pad=3)
        if image is not None:
            ax.imshow(np.moveaxis(np.asarray(image), 0, -1), interpolation="nearest")
    for ax, name in zip(axes[:, 0], rows, strict=False):
        ax.set_ylabel(name, fontsize=SMALL)
    return fig


def break_name(name: str, longest: int = 13) -> str:
    """Break a long class name at its capital: ``HerbaceousVegetation`` takes two lines."""
    return name if len(name) <= longest else re.sub(r"(?<=.)(?=[A-Z])", "\n", name)


def save(figure: Figure, form: str, **more: Any) -> bytes:
    """Write a figure under the project's style, whatever the caller's; ``more`` of savefig."""
    stream, fixed = io.BytesIO(), {"svg.hashsalt": "eurosat", "svg.fonttype": "path"}
    with matplotlib.style.context(STYLE | fixed, after_reset=True):
        figure.savefig(stream, format=form, **more)
    return stream.getvalue()
