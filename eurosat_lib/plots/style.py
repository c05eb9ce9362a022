"""One look for every figure: size, colours, French ticks, galleries, and how a figure is ended."""

import io
import re
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

from eurosat_lib.french import SHORT, SUPERSCRIPT, THIN, nombre, pct, typeset

LOOK = Path(__file__).with_name("eurosat.mplstyle")
STYLE = matplotlib.rc_params_from_file(LOOK, use_default_template=False)
# Decorates a function that draws or saves: under the project's style, whatever the caller's.
styled = matplotlib.style.context(STYLE, after_reset=True)

WIDTH = 6.5  # inches: the 16.5 cm of text of a printed page, so that letters keep their size
SERIES = STYLE["axes.prop_cycle"].by_key()["color"]
BLUE, ORANGE, GREEN, PURPLE, INK, SKY = SERIES
SOFT, RULE = STYLE["axes.edgecolor"], STYLE["grid.color"]
SEED_COLOURS = (BLUE, PURPLE, GREEN, SOFT, SKY)  # of a sweep's seeds: orange marks the choice
MARKERS = "os^DvP"
SMALL = 8.5  # points: notes, labels inside the axes
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
    found = [ax.get_legend_handles_labels() for ax in fig.axes]
    if keys := {label: key for handles in found for key, label in zip(*handles, strict=True)}:
        columns = max(1, 100 // (6 + max(map(len, keys))))  # signs that fit beside each other
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


def french_ticks(label: str) -> ticker.Formatter:
    """Write ticks with a decimal comma, as percentages if the axis's label ends in ``(%)``."""
    write = (lambda value: pct(value, None)) if label.endswith("(%)") else nombre
    return ticker.FuncFormatter(lambda value, _: write(float(value)))


def epochs(ax: Axes, last: int) -> None:
    """Make the x axis one of epochs 1 … last, whole numbers only."""
    ax.set(xlabel="époque", xlim=(0.5, last + 0.5))
    ax.xaxis.set_major_locator(ticker.MaxNLocator(12, integer=True, min_n_ticks=1))


def series(rank: int) -> dict[str, str]:
    """Return colour and marker of the ``rank``-th of several curves."""
    return {"color": SERIES[rank % len(SERIES)], "marker": MARKERS[rank % len(MARKERS)]}


def run_colours(compared: Mapping[str, Any]) -> dict[str, str]:
    """Return the colour of each run in the facts of ``compare_curves``, the best first."""
    others = (curve["name"] for factor in SHORT for curve in compared[factor]["curves"])
    return dict(zip(dict.fromkeys((compared["name"], *others)), cycle(SERIES), strict=False))


def gallery(images: Sequence, titles: Sequence, columns: int, rows: Sequence = ()) -> Figure:
    """Show images, (3, H, W), uint8 or in [0, 1], or nothing for ``None``, in so many columns.

    ``titles`` may have lines; ``rows`` are names of rows.
    """
    count, titled = (-(-len(shown) // columns) for shown in (images, titles))
    lines = titled * (1 + max(title.count("\n") for title in titles))
    height = count * WIDTH / columns + 0.15 * lines + 0.1
    fig, axes = subplots(height, count, columns, squeeze=False)
    for ax, image, title in zip_longest(axes.flat, images, titles):
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_title(title or "", fontsize=SMALL, color=INK, loc="center", pad=3)
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
