"""Heat maps of notebooks 05 and 06: the score over learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eurosat_lib.french import pct, signe
from eurosat_lib.grid import Candidate, Grid, GridSearch, RefinedGrid
from eurosat_lib.plots.style import INK, ORANGE, SMALL, finish, new_figure, one_axes, styled
from eurosat_lib.tables.words import FACTORS, capital, plural, power
from eurosat_lib.training import Fit, Hyperparameters
from eurosat_lib.training.final import Training

CELL = 0.42  # inches: height of a cell
LEGEND = "score : exactitude sur validation, moyenne des deux dernières époques (%)"


@styled
def grid_heatmaps(grid: GridSearch) -> Figure:
    """Show the score of each trial: a map of rates and decays per dilation and depth."""
    dilations, blocks = grid.values("dilation_stage3"), grid.values("blocks_per_stage")
    rows = len(grid.values("weight_decay"))
    fig = new_figure(len(dilations) * (rows * CELL + 0.5) + 0.75)
    axes = fig.subplots(len(dilations), len(blocks), squeeze=False, sharex=True, sharey=True)
    for ax_row, dilation in zip(axes, dilations, strict=True):
        for ax, depth in zip(ax_row, blocks, strict=True):
            inside = [
                point
                for point in grid.ranking
                if point.hyperparameters.dilation_stage3 == dilation
                and point.hyperparameters.blocks_per_stage == depth
            ]
            _map(ax, grid, inside, grid.best.hyperparameters)
            ax.set_title(f"{plural(int(depth), 'bloc')} par étage, dilatation {int(dilation)}")
    for ax in axes[-1]:
        ax.set_xlabel(FACTORS["lr"])
    for ax in axes[:, 0]:
        ax.set_ylabel(FACTORS["weight_decay"])
    alt = (
        f"Une carte par réseau, un score par case ({LEGEND}), {_extent(grid)} ; le meilleur, "
        f"{grid.best.name}, est encadré."
    )
    return finish(fig, "Score de chaque run de la grille (%), le meilleur encadré", alt)


@styled
def refined_heatmap(refined: RefinedGrid, reference: Training | Grid) -> Figure:
    """Show the score of the finer grid, the best framed, and the point it is compared with.

    Args:
        refined: the finer grid.
        reference: the first grid (its best point is dashed and compared), or the final training
            (its hyperparameters are dashed).
    """
    known = reference.best if isinstance(reference, GridSearch) else reference.fit
    fig, ax = one_axes(len(refined.values("weight_decay")) * 0.5 + 1.1)
    best = refined.best
    _map(ax, refined, refined.ranking, best.hyperparameters)
    ax.set_xlabel(FACTORS["lr"])
    ax.set_ylabel(FACTORS["weight_decay"])
    alt = (
        f"Carte de {plural(len(refined.ranking), 'score')}, {_extent(refined)} ; le meilleur, "
        f"{best.name}, est encadré."
    )
    note = _compare(ax, refined, known, isinstance(reference, GridSearch))
    if note:
        ax.set_title(note)
        alt += f" {capital(note)}."
    return finish(fig, "Score de la grille resserrée (%)", alt)


def _map(
    ax: Axes, search: GridSearch, points: Sequence[Candidate], framed: Hyperparameters
) -> None:
    """Draw one map; all maps of a search share their colours, rows and columns."""
    rates, decays = search.values("lr"), search.values("weight_decay")
    table = pd.DataFrame(index=decays[::-1], columns=rates, dtype=float)
    for point in points:
        if not point.diverged:
            place = point.hyperparameters
            table.loc[place.weight_decay, place.lr] = point.score
    scores = [point.score for point in search.ranking if not point.diverged] or [0.0]
    sns.heatmap(
        table,
        ax=ax,
        cmap="Blues",
        vmin=min(scores) - 0.3 * (max(scores) - min(scores)),
        vmax=max(scores),
        annot=table.map(lambda v: "" if pd.isna(v) else pct(v)[:-2]),
        fmt="",
        annot_kws={"fontsize": 8.5},
        cbar=False,
        linewidths=1.5,
        xticklabels=[power(rate) for rate in rates],
        yticklabels=[power(decay) for decay in decays[::-1]],
    )
    for point in points:
        if point.diverged:
            x, y = _cell(search, point.hyperparameters)
            ax.text(x + 0.5, y + 0.5, "diverge", ha="center", va="center", fontsize=SMALL)
    ax.tick_params(length=0, rotation=0)
    ax.grid(False)
    if any(p.hyperparameters == framed and not p.diverged for p in points):
        _frame(ax, search, framed, ORANGE, "-")


def _compare(ax: Axes, refined: RefinedGrid, known: Fit | Candidate, searched: bool) -> str:
    """Frame the reference by dashes and say what it is; nothing if it is not on the map."""
    name = "celui de la première grille" if searched else "retenu pour l’entraînement complet"
    best = refined.best
    if known.hyperparameters == best.hyperparameters:
        return f"encadré : le meilleur run, {'déjà ' if searched else ''}{name}"
    if not _frame(ax, refined, known.hyperparameters, INK, "--"):
        return ""
    gap = f" (écart {signe(best.score - known.score)})" if searched else ""
    return f"trait plein : le meilleur run ; tirets : {name}{gap}"


def _extent(search: GridSearch) -> str:
    done = [point.score for point in search.ranking if not point.diverged]
    text = f"de {pct(min(done))} à {pct(max(done))}" if done else "sans score"
    bad = len(search.ranking) - len(done)
    return text + (f", {plural(bad, 'run')} en divergence" if bad else "")


def _cell(search: GridSearch, point: Hyperparameters) -> tuple[int, int]:
    column = search.values("lr").index(point.lr)
    return column, search.values("weight_decay")[::-1].index(point.weight_decay)


def _frame(ax: Axes, search: GridSearch, point: Hyperparameters, color: str, line: str) -> bool:
    """Frame the cell of a point; say whether the search has such a cell."""
    same = [p for p in (fit.hyperparameters for fit in search.trials) if p == point]
    if same:
        inset = 0 if line == "-" else 0.07
        corner = [place + inset for place in _cell(search, point)]
        side = 1 - 2 * inset
        style = {"fill": False, "ec": color, "lw": 2.4, "ls": line, "zorder": 4, "clip_on": False}
        frame = ax.add_patch(Rectangle(corner, side, side, **style))
        if line != "-":  # to be seen on dark cells too
            frame.set_path_effects([patheffects.withStroke(linewidth=4, foreground="white")])
    return bool(same)
