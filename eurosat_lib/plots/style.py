"""One look for every figure: size, font, colours, and how a figure is made and finished."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from eurosat_lib.tables.words import typeset

P = ParamSpec("P")

WIDTH = 6.5  # inches: the 16.5 cm of text of a printed page, so that letters keep their size
INK, SOFT, RULE, PANEL = "#1f2328", "#57606a", "#d5dae0", "#f1f3f6"
# Okabe & Ito (2008): told apart under the common colour blindnesses. Orange, green and purple are
# darker than theirs, so that words written in them can be read on white.
BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072b2", "#c44e00", "#00785a", "#a3397b", "#56b4e9"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, INK, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
SMALL = 7.5  # points: notes, labels inside the axes
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": SOFT,
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.titlesize": 8.5,
    "figure.dpi": 110,
    "figure.titlesize": 10,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same page on every machine
    "font.size": 8.5,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "text.color": INK,
    "xtick.color": SOFT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": SOFT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}


def styled(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure under the project's style, whatever the caller's, and lay it out."""

    @wraps(plot)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        """Draw the figure in the common style."""
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            fig = plot(*args, **kwargs)
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
    ax.set_xticks([])
    ax.set_yticks([])
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
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=SOFT)
