"""Figure of the spatial split beside the standard one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.evaluation import wilson
from eurosat_lib.french import nombre, pct, signe
from eurosat_lib.plots.axes import French, percent
from eurosat_lib.plots.style import (
    BLUE,
    INK,
    ORANGE,
    RULE,
    SOFT,
    categories,
    finish,
    new_figure,
    styled,
)
from eurosat_lib.spatial import ClassPair, SplitComparison

ALL = "toutes les classes"


def split_comparison(found: SplitComparison) -> Figure | None:
    """Show recall per class on both splits, and the drop with its interval, largest on top.

    The first row is the accuracy over all classes. ``None`` if there is no spatial split.
    """
    return None if found.absent else _draw(found)


@styled
def _draw(found: SplitComparison) -> Figure:
    pairs = sorted(found.complete, key=lambda p: p.drop(found.class_level)[0])
    pairs.append(_overall(found))
    fig = new_figure(0.28 * len(pairs) + 1.25)
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    _recalls(left, pairs, found.confidence_level)
    _drops(right, found, pairs)
    rows = range(len(pairs))
    left.set_yticks(rows, [p.name for p in pairs])
    left.get_yticklabels()[-1].set_fontweight("bold")
    left.set_ylim(-0.6, len(pairs) - 0.4)
    for ax in (left, right):
        categories(ax)
        ax.axhline(len(pairs) - 1.5, color=RULE, lw=0.8)
    return finish(fig, "Le même réseau, avec et sans voisines à l’entraînement", _seen(found))


def _overall(found: SplitComparison) -> ClassPair:
    a, b = found.standard, found.spatial
    return ClassPair(
        name=ALL, n_standard=a.n, hits_standard=a.correct, n_spatial=b.n, hits_spatial=b.correct
    )


def _recalls(ax: Axes, pairs: Sequence[ClassPair], level: float) -> None:
    for row, pair in enumerate(pairs):
        first, second = pair.recalls()
        ax.plot((first, second), (row, row), color=SOFT, lw=0.8, zorder=1)
        counts = (
            (pair.hits_standard, pair.n_standard, BLUE, 0.13),
            (pair.hits_spatial, pair.n_spatial, ORANGE, -0.13),
        )
        for hits, n, color, shift in counts:
            place = (row + shift, row + shift)
            ax.plot(wilson(hits, n, level), place, color=color, lw=3, alpha=0.3)
    rows = np.arange(len(pairs))
    for which, color, marker, label in ((0, BLUE, "o", "standard"), (1, ORANGE, "D", "spatial")):
        values = [pair.recalls()[which] for pair in pairs]
        ax.scatter(values, rows, color=color, marker=marker, s=24, label=label, zorder=3)
    ax.set_xlabel(f"part reconnue (%), intervalle à {pct(level, 0)}")
    percent(ax.xaxis)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)


def _drops(ax: Axes, found: SplitComparison, pairs: Sequence[ClassPair]) -> None:
    ax.axvline(0, color=SOFT, lw=0.8)
    for row, pair in enumerate(pairs):
        level = found.confidence_level if pair.name == ALL else found.class_level
        drop, (low, high) = pair.drop(level)
        color = SOFT if low <= 0 <= high else INK
        ax.plot((low, high), (row, row), color=color, lw=1.4)
        filled = color if color == INK else "white"
        ax.scatter(drop, row, color=filled, edgecolor=color, s=24, zorder=3)
    ax.set_xlabel("standard − spatial (points)")
    ax.set_title("écart, intervalles simultanés", loc="right")
    ax.xaxis.set_major_formatter(French(100))


def _seen(found: SplitComparison) -> str:
    gap, _ = found.gap()
    a, b = found.standard, found.spatial
    level = found.class_level
    drops = sorted(found.complete, key=lambda p: -p.drop(level)[0])
    classes = ", ".join(f"{p.name} {signe(p.drop(level)[0])}" for p in drops)
    return (
        f"Exactitude {pct(a.accuracy)} au test standard ({nombre(a.n)} images), "
        f"{pct(b.accuracy)} au test spatial ({nombre(b.n)} images), écart {signe(gap)} ; "
        f"par classe, de la plus forte baisse à la plus faible : {classes}."
    )
