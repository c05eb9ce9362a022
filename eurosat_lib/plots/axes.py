"""French ticks, logarithmic axes, labels at the ends of lines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    FixedLocator,
    Formatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from eurosat_lib.french import THIN, nombre
from eurosat_lib.plots.style import SMALL
from eurosat_lib.tables.words import power

LINE = 10.5  # points from one label to the next
FEW = 12  # whole numbers that can all be ticks


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
        shown = [v * self.scale for v in (*self._shown, value)]
        digits = next((d for d in range(6) if all(_exact(v, d) for v in shown)), 6)
        return nombre(value * self.scale, digits) + self.unit


def percent(axis: Axis) -> None:
    """Write fractions as percentages: 0.85 is « 85 % »."""
    axis.set_major_formatter(French(100, f"{THIN}%"))


def decimal(axis: Axis) -> None:
    """Write numbers with a decimal comma."""
    axis.set_major_formatter(French())


def log_x(ax: Axes) -> None:
    """Make the x axis logarithmic, with a tick at each power of ten."""
    ax.set_xscale("log")
    axis = ax.xaxis
    _no_minor(axis)
    axis.set_major_locator(LogLocator(numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def log_y(ax: Axes) -> None:
    """Make the y axis logarithmic: 0,01 – 0,1 – 1, and 2 and 5 where decades are few."""
    ax.set_yscale("log")
    axis = ax.yaxis
    _no_minor(axis)
    low, high = axis.get_view_interval()
    wide = low > 0 and math.log10(high / low) > 2.5
    axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))


def epochs(ax: Axes, last: int) -> None:
    """Make the x axis one of epochs 1 … last, whole numbers only."""
    ax.set_xlabel("époque")
    margin = min(0.5, 0.1 * last)
    ax.set_xlim(1 - margin, last + margin)
    if last <= FEW:
        ax.xaxis.set_major_locator(FixedLocator(range(1, last + 1)))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write a label at the end of each line, moved up or down so that none covers another.

    Args:
        ax: limits and scales must be final.
        ends: (x, y, text, colour) of each line's end.
    """
    ax.figure.draw_without_rendering()
    per_point = ax.figure.dpi / 72
    ends = [end for end in ends if all(map(math.isfinite, end[:2]))]
    heights = [ax.transData.transform(end[:2])[1] / per_point for end in ends]
    bottom, top = (edge / per_point for edge in ax.bbox.intervaly)
    places = within(spread(heights), bottom + LINE / 2, top - LINE / 2)
    for (x, y, text, color), height, place in zip(ends, heights, places, strict=True):
        ax.annotate(
            text,
            (x, y),
            xytext=(6, place - height),
            textcoords="offset points",
            color=color,
            fontsize=SMALL,
            va="center",
            annotation_clip=False,
        )


def spread(heights: Sequence[float], gap: float = LINE) -> list[float]:
    """Move heights as little as possible so that neighbours are a gap apart, order kept.

    Args:
        heights: in points, in any order.
        gap: smallest distance, in points.
    """
    groups: list[list[float]] = []  # [sum of wished first places, size]
    order = sorted(range(len(heights)), key=heights.__getitem__)
    for index in order:
        groups.append([heights[index], 1])
        while len(groups) > 1 and _top(groups[-2], gap) > groups[-1][0] / groups[-1][1]:
            total, size = groups.pop()
            # Members of the later group stand further up in the joint one.
            groups[-1][0] += total - size * groups[-1][1] * gap
            groups[-1][1] += size
    places = [total / size + k * gap for total, size in groups for k in range(int(size))]
    result = [0.0] * len(heights)
    for index, place in zip(order, places, strict=True):
        result[index] = place
    return result


def within(places: Sequence[float], low: float, high: float) -> list[float]:
    """Shift places together as little as possible so that they lie between two bounds.

    Args:
        places: in points; if they need more room than there is, they start at ``low``.
        low: lower bound, in points.
        high: upper bound, in points.
    """
    down = min(0.0, high - max(places, default=high))
    up = max(0.0, low - min(places, default=low) - down)
    return [place + down + up for place in places]


def _top(group: list[float], gap: float) -> float:
    return group[0] / group[1] + group[1] * gap


def _no_minor(axis: Axis) -> None:
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _exact(value: float, digits: int) -> bool:
    return abs(value - round(value, digits)) < 1e-6 * max(1, abs(value))


def _plain(value: float) -> str:
    return nombre(value) if 1e-4 <= value <= 1e4 else power(value)
