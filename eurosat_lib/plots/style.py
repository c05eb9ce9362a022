"""One look for every figure: size, colours, French ticks, galleries, and how a figure is ended."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, zip_longest
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from eurosat_lib.french import SHORT, SUPERSCRIPT, THIN, nombre, typeset

LOOK = Path(__file__).with_name("eurosat.mplstyle")
STYLE = matplotlib.rc_params_from_file(LOOK, use_default_template=False)
# Decorates a function that draws or saves: under the project's style, whatever the caller's.
styled = matplotlib.style.context(STYLE, after_reset=True)

WIDTH = 6.5  # inches: the 16.5 cm of text of a printed page, so that letters keep their size
SERIES = STYLE["axes.prop_cycle"].by_key()["color"]
BLUE, ORANGE, GREEN, PURPLE, INK, SKY = SERIES
SOFT, RULE, PANEL = STYLE["axes.edgecolor"], STYLE["grid.color"], "#f1f3f6"
SEED_COLOURS = (BLUE, PURPLE, GREEN, SOFT, SKY)  # of a sweep's seeds: orange marks the choice
MARKERS = "os^DvP"
SMALL = 8.5  # points: notes, labels inside the axes
DPI = 110  # pixels per inch of the pictures in TensorBoard: 715 pixels wide
DASHES = {"color": SOFT, "ls": "--", "lw": 1}  # of a line to compare with


def subplots(height: float, *shape: int, **more: Any) -> tuple[Figure, Any]:
    """Make a figure of the text's width, ``height`` in inches, outside pyplot, and its axes."""
    fig = Figure((WIDTH, height))
    return fig, fig.subplots(*shape, **more)


def finish(fig: Figure, alt: str) -> Figure:
    """Give a figure its legend, French ticks and spacing, and the text that replaces it."""
    axes = [axis for ax in fig.axes for axis in (ax.xaxis, ax.yaxis)]
    for axis in sorted(axes, key=lambda axis: not axis.get_label_text()):  # axes may share ticks
        if type(axis.get_major_formatter()) is ticker.ScalarFormatter:
            axis.set_major_formatter(french_ticks(axis.get_label_text()))
    found = [ax.get_legend_handles_labels() for ax in fig.axes if not ax.get_legend()]
    if keys := {label: key for handles in found for key, label in zip(*handles, strict=True)}:
        columns = max(1, 100 // (6 + max(map(len, keys))))  # signs that fit beside each other
        fig.legend(keys.values(), keys, loc="outside lower center", ncols=columns)
    for text in fig.findobj(Text):
        text.set_text(_powers(typeset(text.get_text())))
    fig.set_label(typeset(alt.replace("\n", " ")))
    fig.draw_without_rendering()  # makes the ticks while the style holds
    return fig


def _powers(text: str) -> str:
    """Leave powers of ten to Matplotlib: STIX has no raised 4, nor a narrow space."""
    raised = dict(zip(SUPERSCRIPT.values(), "0123456789-", strict=True))
    found = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: f"$^{{{m[0].translate(raised)}}}$", text)
    return text if found == text else found.replace(THIN, r"$\,$")


def bare(ax: Axes) -> Axes:
    """Take frame, ticks and grid away, for a picture or a drawing."""
    ax.set(xticks=[], yticks=[])
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
    images: Sequence, titles: Sequence, columns: int, lines: int = 1, rows: Sequence = ()
) -> Figure:
    """Show images, (3, H, W), uint8 or in [0, 1], or nothing for ``None``, in so many columns.

    ``titles`` have so many ``lines``; ``rows`` are names of rows.
    """
    count = -(-len(images) // columns)
    height = count * (WIDTH / columns + 0.15 * lines) + 0.1
    fig, axes = subplots(height, count, columns, squeeze=False)
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


@styled
def save(figure: Figure, form: str, **more: Any) -> bytes:
    """Write a figure; ``more`` of savefig."""
    stream = io.BytesIO()
    figure.savefig(stream, format=form, **more)
    return stream.getvalue()
