"""Charts of the searches: parallel coordinates, interactions, finalists over seeds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eurosat_lib.french import pct
from eurosat_lib.grid import FACTORS, Finalists, GridSearch, Interaction, interactions
from eurosat_lib.plots.axes import percent
from eurosat_lib.plots.style import (
    INK,
    MARKERS,
    ORANGE,
    SERIES,
    SOFT,
    bare,
    categories,
    finish,
    new_figure,
    one_axes,
    say,
    styled,
)
from eurosat_lib.tables import words

TICKS = 4  # of the score's axis in the parallel coordinates
SMOOTH = np.linspace(0, 1, 20)


@styled
def grid_parallel(grid: GridSearch) -> Figure:
    """Show each point as a line through its four values and its score, coloured by the score."""
    fig, ax = one_axes(3.1)
    bare(ax)
    points = [point for point in reversed(grid.ranking) if not point.diverged]
    scores = [point.score for point in points] or [0.0]
    low, high = min(scores), max(scores)
    names = [f for f in FACTORS if len(grid.values(f)) > 1]
    for rank, point in enumerate(points):
        share = (point.score - low) / (high - low) if high > low else 1.0
        heights = [_height(grid, point.hyperparameters, f, rank, len(points)) for f in names]
        best = rank == len(points) - 1
        color = ORANGE if best else colormaps["Blues"](0.25 + 0.75 * share)
        _ribbon(ax, [*heights, share], color, 2.4 if best else 1.2)
    for place, factor in enumerate(names):
        _value_axis(ax, place, words.FACTORS[factor], _values(grid, factor))
    marks = [(k / (TICKS - 1), pct(low + k / (TICKS - 1) * (high - low))) for k in range(TICKS)]
    _value_axis(ax, len(names), "score", marks)
    ax.set(xlim=(-0.35, len(names) + 0.45), ylim=(-0.1, 1.2))
    alt = (
        f"{words.plural(len(points), 'run')} : une ligne passe par les valeurs de chaque facteur "
        f"et finit à son score, de {pct(low)} à {pct(high)} ; en orange le meilleur, "
        f"{grid.best.name}."
    )
    return finish(fig, "Coordonnées parallèles : des valeurs au score, le meilleur en orange", alt)


def _values(grid: GridSearch, factor: str) -> list[tuple[float, str]]:
    values = grid.values(factor)
    steps = np.linspace(0.1, 0.9, len(values))
    return [(y, words.factor_value(factor, v)) for y, v in zip(steps, values, strict=True)]


def _height(grid: GridSearch, point, factor: str, rank: int, count: int) -> float:
    """Place a value on its axis, a little apart from the other runs that share it."""
    values = grid.values(factor)
    place = np.linspace(0.1, 0.9, len(values))[values.index(getattr(point, factor))]
    return float(place + 0.12 * (rank / max(count - 1, 1) - 0.5))


def _ribbon(ax: Axes, heights: list[float], color, width: float) -> None:
    """Draw a line that leaves and meets each axis at a right angle."""
    ease = 3 * SMOOTH**2 - 2 * SMOOTH**3
    for place, (start, end) in enumerate(pairwise(heights)):
        ax.plot(place + SMOOTH, start + (end - start) * ease, color=color, lw=width, alpha=0.85)


def _value_axis(ax: Axes, place: int, title: str, marks: list[tuple[float, str]]) -> None:
    ax.plot([place, place], [0, 1], color=SOFT, lw=1, zorder=3)
    box = {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.8}
    for height, text in marks:
        ax.text(place + 0.04, height, text, va="center", fontsize=8, bbox=box, zorder=4)
    ax.text(place, 1.1, title, ha="center", va="bottom", fontsize=8, color=INK)


@styled
def grid_interactions(grid: GridSearch) -> Figure:
    """Show, for each two of rate, dilation and depth, the mean score of each combination."""
    found = interactions(grid.trials)
    fig = new_figure(2.9)
    panels = fig.subplots(1, max(1, len(found)), sharey=True, squeeze=False)[0]
    if not found:
        say(bare(panels[0]), "un seul facteur varie : pas d’interaction")
        return finish(fig, "Interactions", "Aucune interaction : un seul facteur varie.")
    for ax, interaction in zip(panels, found, strict=True):
        _interaction(ax, grid, interaction)
    panels[0].set_ylabel("score moyen (%)")
    percent(panels[0].yaxis)
    alt = "Interactions sur le score, en points : " + " ; ".join(
        f"{words.FACTORS[i.a]} × {words.FACTORS[i.b]} {words.interval(i.estimate, i.interval)}"
        for i in found
    )
    return finish(fig, "L’effet d’un facteur dépend-il d’un autre ?", alt + ".")


def _interaction(ax: Axes, grid: GridSearch, found: Interaction) -> None:
    x, lines = (found.a, found.b) if len(grid.values(found.a)) > 2 else (found.b, found.a)
    values, series = grid.values(x), grid.values(lines)
    for rank, value in enumerate(series):
        scores = [_mean(grid, {x: at, lines: value}) for at in values]
        color, marker = SERIES[rank % len(SERIES)], MARKERS[rank % len(MARKERS)]
        label = f"{words.SHORT[lines]} = {words.factor_value(lines, value)}"
        ax.plot(range(len(values)), scores, color=color, marker=marker, label=label)
    ax.set_xticks(range(len(values)), [words.factor_value(x, v) for v in values])
    ax.set_xlim(-0.3, len(values) - 0.7)
    ax.set_xlabel(words.FACTORS[x])
    ax.legend(fontsize=7.5)
    verdict = "nette" if found.sign else "non décidée"
    estimate = words.interval(found.estimate, found.interval)
    ax.set_title(f"{words.SHORT[found.a]} × {words.SHORT[found.b]} : {verdict}\n{estimate}")


def _mean(grid: GridSearch, values: dict[str, float]) -> float:
    scores = [
        point.score
        for point in grid.ranking
        if not point.diverged
        and all(getattr(point.hyperparameters, f) == v for f, v in values.items())
    ]
    return float(np.mean(scores)) if scores else float("nan")


@styled
def finalists(result: Finalists) -> Figure:
    """Show each finalist's score with each new seed, the mean, and the score that chose it."""
    ranking = result.ranking
    fig, ax = one_axes(0.5 * len(ranking) + 1.3)
    for rank in range(len(result.leader.fits)):
        color, marker = SERIES[rank % len(SERIES)], MARKERS[rank % len(MARKERS)]
        scores = [f.scores[rank] for f in ranking]
        ax.plot(scores, range(len(ranking)), color=color, marker=marker, lw=0.7, alpha=0.8, ms=5)
    for row, finalist in enumerate(ranking):
        ax.plot([finalist.mean] * 2, [row - 0.3, row + 0.3], color=INK, lw=2.2)
        ax.plot(finalist.selected, row, "o", mfc="white", mec=ORANGE, ms=7, mew=1.6, zorder=4)
    ax.set_yticks(range(len(ranking)), [f.again.name for f in ranking])
    ax.set_ylim(len(ranking) - 0.5, -0.5)
    ax.set_xlabel("score : exactitude sur validation, moyenne des deux dernières époques (%)")
    percent(ax.xaxis)
    categories(ax)
    fig.legend(handles=_finalist_keys(result), loc="outside lower center", ncols=5)
    alt = " ; ".join(
        f"{f.again.name} : moyenne {pct(f.mean)} ± {words.points(f.sd).lstrip('+')} sur "
        f"{words.plural(len(f.scores), 'graine')}, choisi à {pct(f.selected)}"
        for f in ranking
    )
    return finish(fig, "Les finalistes, réentraînés avec d’autres graines", alt + ".")


def _finalist_keys(result: Finalists) -> list[Line2D]:
    keys = [
        Line2D(
            [], [], color=SERIES[k % 6], marker=MARKERS[k % 6], lw=0.7, label=f"graine {f.seed}"
        )
        for k, f in enumerate(result.leader.fits)
    ]
    chosen = {"mfc": "white", "mec": ORANGE, "mew": 1.6}
    mean = Line2D([], [], color=INK, marker="|", ms=10, mew=2.2, ls="", label="moyenne")
    return [*keys, mean, Line2D([], [], marker="o", ls="", label="score du choix", **chosen)]
