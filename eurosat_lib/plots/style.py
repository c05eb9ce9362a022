"""One look for every figure: size, colours, French ticks, galleries, and how a figure is ended."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, Formatter, LogLocator, MaxNLocator, NullLocator
from sklearn.isotonic import isotonic_regression

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.french import THIN, nombre, power, typeset
from eurosat_lib.tracking import TRAINING_TAGS, read_run, write_images

P, T = ParamSpec("P"), TypeVar("T", Figure, Figure | None)
Curves = dict[str, pd.DataFrame]

WIDTH = 6.5  # inches: the 16.5 cm of text of a printed page, so that letters keep their size
INK, SOFT, RULE, PANEL = "#1f2328", "#57606a", "#d5dae0", "#f1f3f6"
# Okabe & Ito (2008): told apart under the common colour blindnesses. Orange, green and purple are
# darker than theirs, so that words written in them can be read on white.
BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072b2", "#c44e00", "#00785a", "#a3397b", "#56b4e9"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, INK, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
SMALL = 7.5  # points: notes, labels inside the axes
LINE = 10.5  # points from one label to the next
FEW = 12  # whole numbers that can all be ticks
DPI = 110  # pixels per inch of the pictures in TensorBoard: 715 pixels wide
STYLE = {  # over Matplotlib's own defaults, DejaVu Sans among them: the same page everywhere
    **dict.fromkeys(("axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"), SOFT),
    **dict.fromkeys(("axes.labelcolor", "text.color"), INK),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.labelsize", "axes.titlesize", "font.size"), 8.5),
    **dict.fromkeys(("legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 8),
    **dict.fromkeys(("axes.spines.right", "axes.spines.top", "legend.frameon"), False),
    **dict.fromkeys(("axes.axisbelow", "axes.grid"), True),
    "axes.linewidth": 0.8,
    "axes.titlelocation": "left",
    "figure.dpi": DPI,
    "figure.titlesize": 10,
    "figure.titleweight": "bold",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}


def styled(plot: Callable[P, T]) -> Callable[P, T]:
    """Draw a figure, or none, under the project's style, whatever the caller's, and lay it out."""

    @wraps(plot)
    def draw(*args: P.args, **kwargs: P.kwargs) -> T:
        with matplotlib.style.context(STYLE, after_reset=True):
            if fig := plot(*args, **kwargs):
                fig.draw_without_rendering()  # makes the ticks while the style holds
        return fig

    return draw


def new_figure(height: float) -> Figure:
    """Make an empty figure of the text's width, outside pyplot; ``height`` in inches."""
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(fig)
    fig.get_layout_engine().set(w_pad=0.04, h_pad=0.05, wspace=0.03, hspace=0.03)
    return fig


def one_axes(height: float) -> tuple[Figure, Axes]:
    """Make a figure with a single axes."""
    fig = new_figure(height)
    return fig, fig.subplots()


def finish(fig: Figure, title: str, alt: str) -> Figure:
    """Give a figure its title, French spacing, and the text that tells what one sees."""
    fig.suptitle(title, x=0.008, ha="left")
    for text in fig.findobj(Text):
        text.set_text(typeset(text.get_text()))
    fig.set_label(typeset(alt))
    return fig


def bare(ax: Axes) -> Axes:
    """Take frame, ticks and grid away, for a picture or a drawing."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return ax


def categories(ax: Axes, axis: str = "y") -> None:
    """Prepare an axis of names: no grid across it, no tick marks."""
    ax.grid(False, axis=axis)
    ax.tick_params(axis=axis, length=0)
    if axis == "y":
        ax.spines.left.set_visible(False)


def say(ax: Axes, text: str) -> None:
    """Write a sentence in the middle of an axes that has nothing to draw."""
    note(ax, 0.5, 0.5, text, transform=ax.transAxes, ha="center", fontsize=8.5)


def note(ax: Axes, x: float, y: float, text: str, color: str = SOFT, **look: Any) -> None:
    """Write a few small words inside an axes, centred on ``y``; ``look`` as for ``Axes.text``."""
    ax.text(x, y, text, **{"color": color, "fontsize": SMALL, "va": "center"} | look)


class French(Formatter):
    """Write ticks with a decimal comma and as many decimals as their spacing needs."""

    def __init__(self, scale: float = 1, unit: str = "") -> None:
        """Multiply the values by ``scale`` and write ``unit`` after them."""
        self.scale, self.unit = scale, unit
        self._shown: Sequence[float] = ()

    def set_locs(self, locs: Sequence[float]) -> None:
        """Learn all ticks before the first is written."""
        self._shown = locs

    def __call__(self, value: float, pos: int | None = None) -> str:
        """Write one tick."""
        shown = np.array([*self._shown, value]) * self.scale
        digits = next((d for d in range(6) if np.allclose(shown, shown.round(d), 1e-6, 1e-6)), 6)
        return nombre(float(value * self.scale), digits) + self.unit


def percent(*axes: Axis) -> None:
    """Write fractions as percentages: 0.85 is « 85 % »."""
    for axis in axes:
        axis.set_major_formatter(French(100, f"{THIN}%"))


def decimal(axis: Axis) -> None:
    """Write numbers with a decimal comma."""
    axis.set_major_formatter(French())


def log_x(ax: Axes) -> None:
    """Make the x axis logarithmic, with a tick at each power of ten."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(LogLocator(numticks=20))
    ax.xaxis.set_major_formatter(lambda value, _: power(value))


def log_y(ax: Axes) -> None:
    """Make the y axis logarithmic: 0,01 – 0,1 – 1, and 2 and 5 where decades are few."""
    ax.set_yscale("log")
    low, high = ax.yaxis.get_view_interval()
    steps = (1,) if math.log10(high / low) > 2.5 else (1, 2, 5)
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
    ax.yaxis.set_major_formatter(lambda v, _: (nombre if 1e-4 <= v <= 1e4 else power)(v))


def epochs(ax: Axes, last: int) -> None:
    """Make the x axis one of epochs 1 … last, whole numbers only."""
    margin = min(0.5, 0.1 * last)
    ax.set(xlabel="époque", xlim=(1 - margin, last + margin))
    few = FixedLocator(range(1, last + 1))
    ax.xaxis.set_major_locator(few if last <= FEW else MaxNLocator(7, integer=True))


def label_ends(ax: Axes, ends: Iterable[tuple[float, float, str, str]]) -> None:
    """Write a label at the end of each line, moved as little as possible to stand apart.

    Args:
        ax: limits and scales must be final.
        ends: (x, y, text, colour) of each line's end.
    """
    ends = [end for end in ends if all(map(math.isfinite, end[:2]))]
    if not ends:
        return
    ax.figure.draw_without_rendering()
    per_point = ax.figure.dpi / 72
    heights = np.array([ax.transData.transform(end[:2])[1] for end in ends]) / per_point
    shifts = spread(heights, *ax.bbox.intervaly / per_point) - heights
    for (*place, text, color), shift in zip(ends, shifts, strict=True):
        look = {"color": color, "fontsize": SMALL, "va": "center"}
        ax.annotate(text, place, xytext=(6, shift), textcoords="offset points", **look)


def spread(heights: np.ndarray, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    """Move labels as little as possible (least squares) until they stand :data:`LINE` apart.

    All in points. They stay between ``low`` and ``high``, or go beyond ``high`` for want of room.
    """
    order = np.argsort(heights, kind="stable")
    steps = LINE * (np.arange(len(order)) + 0.5)  # without them, the order alone must be kept
    last = max(low, high - LINE * len(order))
    places = np.empty(len(order))
    places[order] = isotonic_regression(heights[order] - steps, y_min=low, y_max=last) + steps
    return places


def gallery(
    images: Sequence, titles: Sequence[str], columns: int, lines: int = 1, rows: Sequence = ()
) -> tuple[Figure, np.ndarray]:
    """Show images row by row; return the figure and its axes, (rows, columns).

    Args:
        images: each as for :func:`show`.
        titles: above them, of so many ``lines``.
        columns: images in a row.
        lines: room above each row.
        rows: names of the rows.
    """
    count = -(-len(images) // columns)
    fig = new_figure(count * (WIDTH / columns + 0.15 * lines) + 0.35)
    axes = fig.subplots(count, columns, squeeze=False)
    for ax in axes.flat:
        bare(ax)
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        show(ax, image, title)
    for ax, name in zip(axes[:, 0], rows, strict=False):
        ax.set_ylabel(name, fontsize=SMALL)
    return fig, axes


def show(ax: Axes, image: Any, title: str = "", right: float = 0, down: float = 0) -> None:
    """Show an image, uint8 or in [0, 1], (3, H, W), its corner at a pixel of a bare axes."""
    height, width = image.shape[1:]
    extent = (right - 0.5, right + width - 0.5, down + height - 0.5, down - 0.5)
    bare(ax).imshow(np.moveaxis(np.asarray(image), 0, -1), interpolation="nearest", extent=extent)
    ax.set_title(title, fontsize=SMALL, color=INK, loc="center", pad=3)


def break_name(name: str, longest: int = 13) -> str:
    """Break a long class name at its capital: ``HerbaceousVegetation`` takes two lines."""
    return name if len(name) <= longest else re.sub(r"(?<=.)(?=[A-Z])", "\n", name)


def read_curves(config: Config, stage: str, names: Iterable[str]) -> Curves:
    """Read runs of a stage.

    Args:
        config: for its folder ``runs``.
        stage: ``grid_search``, ``refined_grid_search`` or ``train``.
        names: of the runs.

    Returns:
        run name -> one row per epoch (index: epoch, from 1) and one column per tag, such as
        ``val/loss``; no row for a run that diverged in its first epoch.

    Raises:
        UserError: a run is not there.
    """
    curves = {}
    for name in names:
        folder = config.paths.runs / stage / name
        if not folder.is_dir():
            where = folder.relative_to(config.paths.root).as_posix()
            raise UserError(f"{where}: no such run; compute it: python -m eurosat_lib {stage}")
        columns = list(TRAINING_TAGS)
        curves[name] = pd.DataFrame(read_run(folder, columns), columns=columns)
    return curves


def draw(ax: Axes, curve: pd.DataFrame, tag: str, **look: Any) -> None:
    """Draw one tag of a run; a single epoch is a point, an empty run is nothing."""
    values = curve[tag].dropna()
    if len(values):
        ax.plot(values.index, values, **({"marker": "o"} if len(values) == 1 else {}) | look)


def log_figures(config: Config, run: str, figures: Mapping[str, Figure]) -> str:
    """Write figures as the images of one TensorBoard run.

    Args:
        config: for its folder ``runs``.
        run: folder below it, ``explore_dataset/images``.
        figures: tag of the image -> figure.

    Returns:
        What was written, in one line.
    """
    pictures = {}
    for tag, figure in figures.items():
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
        pictures[tag] = stream.getvalue()
    write_images(config.paths.runs / run, pictures)
    return f"runs/{run} : {', '.join(figures)}"
