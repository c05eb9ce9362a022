"""Charts of notebooks 05 and 06: the grids, the effects of their factors, the finalists."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from eurosat_lib import french as words
from eurosat_lib import search, tables
from eurosat_lib.config import Config
from eurosat_lib.french import nombre, pct, signe
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, INK, ORANGE, SOFT, finish, new_figure, one_axes, styled
from eurosat_lib.search import FACTORS, MEASURES, GridSearch

LINES = ("-", "--", ":", "-.")
SCORE = "score : exactitude en validation, moyenne des deux dernières époques (%)"


@styled
def grid_ranking(grid: GridSearch) -> Figure:
    """Rank the points by score; a thin line joins the last two epochs of all their trainings."""
    ranking = grid.ranking
    best, last = ranking[0], ranking[-1]
    fig, ax = one_axes(0.15 * len(ranking) + 1.15)
    for row, point in enumerate(ranking):
        if point.diverged:
            ax.text(
                best.score, row, f"× {tables.trial_note(point)}", va="center", ha="right", size=7
            )
            continue
        ends = [record.val_accuracy for fit in point.fits for record in fit.epochs[-2:]]
        color = BLUE if row else ORANGE
        ax.plot([min(ends), max(ends)], [row, row], color=color, lw=1.2, alpha=0.5)
        ax.plot(point.score, row, "o", color=color, ms=5 if row else 7)
    ax.text(best.score, -0.5, pct(best.score), ha="center", color=ORANGE, weight="bold")
    ax.set_title(tables.noise_note(grid))
    ax.set_yticks(range(len(ranking)), [point.name for point in ranking])
    ax.tick_params(axis="y", labelsize=7)
    ax.set(ylim=(len(ranking) - 0.4, -1.8), ylabel="run")
    ax.set_xlabel("exactitude en validation (%) : point, score ; trait, deux dernières époques")
    style.percent(ax.xaxis)
    style.categories(ax)
    alt = (
        f"{words.plural(len(ranking), 'run')} par score décroissant : {best.name} en tête "
        f"({pct(best.score)}), {last.name} dernier "
        f"({tables.trial_note(last) or pct(last.score)}) ; {tables.noise_note(grid)}."
    )
    return finish(fig, "Classement des runs de la grille", alt)


@styled
def grid_parallel(grid: GridSearch) -> Figure:
    """Show each point as a line through its values and its score, coloured by the score."""
    fig, ax = one_axes(3.1)
    style.bare(ax)
    points = [point for point in reversed(grid.ranking) if not point.diverged]
    low, high = points[0].score, points[-1].score
    names = [factor for factor in FACTORS if len(grid.values(factor)) > 1]
    places = {f: np.linspace(0.1, 0.9, len(grid.values(f))) for f in names}
    for rank, point in enumerate(points):
        share = (point.score - low) / (high - low) if high > low else 1.0
        apart = 0.12 * (rank / max(len(points) - 1, 1) - 0.5)  # from runs that share a value
        index = {f: grid.values(f).index(getattr(point.hyperparameters, f)) for f in names}
        best = rank == len(points) - 1
        look = {"color": ORANGE if best else colormaps["Blues"](0.25 + 0.75 * share)}
        look["lw"] = 2.4 if best else 1.2
        ax.plot([*(places[f][index[f]] + apart for f in names), share], alpha=0.85, **look)
    marks = {f: [words.factor_value(f, v) for v in grid.values(f)] for f in names}
    marks["score"] = [pct(score) for score in np.linspace(low, high, 4)]
    places["score"] = np.linspace(0, 1, 4)
    box = {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.8}
    for x, (factor, texts) in enumerate(marks.items()):
        ax.plot([x, x], [0, 1], color=SOFT, lw=1, zorder=3)
        ax.text(x, 1.1, words.FACTORS.get(factor, factor), ha="center", fontsize=8)
        for y, text in zip(places[factor], texts, strict=True):
            ax.text(x + 0.04, y, text, va="center", fontsize=8, bbox=box, zorder=4)
    ax.set(xlim=(-0.35, len(names) + 0.45), ylim=(-0.1, 1.2))
    alt = (
        f"{words.plural(len(points), 'run')} : une ligne passe par les valeurs de chaque facteur "
        f"et finit à son score, de {pct(low)} à {pct(high)} ; en orange le meilleur, "
        f"{grid.best.name}."
    )
    return finish(fig, "Coordonnées parallèles : des valeurs au score, le meilleur en orange", alt)


@styled
def grid_heatmaps(grid: GridSearch) -> Figure:
    """Show the score of each point: a map of rates and decays per dilation and depth."""
    dilations, blocks = grid.values("dilation_stage3"), grid.values("blocks_per_stage")
    fig = new_figure(len(dilations) * (len(grid.values("weight_decay")) * 0.42 + 0.5) + 0.75)
    axes = fig.subplots(len(dilations), len(blocks), squeeze=False, sharex=True, sharey=True)
    for ax, (d, b) in zip(axes.flat, product(dilations, blocks), strict=True):
        _map(ax, grid, dilation_stage3=d, blocks_per_stage=b)
        ax.set_title(f"{words.plural(int(b), 'bloc')} par étage, dilatation {int(d)}")
        ax.label_outer()
    alt = f"Une carte par réseau, un score par case ({SCORE}), {_extent(grid)}."
    return finish(fig, "Score de chaque run de la grille (%), le meilleur encadré", alt)


@styled
def refined_heatmap(
    refined: search.RefinedGrid, reference: search.Training | search.Grid
) -> Figure:
    """Show the score of the finer grid, the best framed, and the point it is compared with.

    Args:
        refined: the finer grid.
        reference: the first grid (its best point is dashed and compared), or the final training
            (its hyperparameters are dashed).
    """
    fig, ax = one_axes(len(refined.values("weight_decay")) * 0.5 + 1.1)
    _map(ax, refined)
    searched, best = isinstance(reference, GridSearch), refined.best
    known = reference.best if searched else reference.fit
    name = "celui de la première grille" if searched else "retenu pour l’entraînement complet"
    note = ""
    if known.hyperparameters == best.hyperparameters:
        note = f"encadré : le meilleur run, {'déjà ' if searched else ''}{name}"
    elif any(fit.hyperparameters == known.hyperparameters for fit in refined.trials):
        _frame(ax, refined, known.hyperparameters, inset=0.07)
        gap = f" (écart {signe(best.score - known.score)})" if searched else ""
        note = f"trait plein : le meilleur run ; tirets : {name}{gap}"
    ax.set_title(note)
    alt = f"Carte de {words.plural(len(refined.ranking), 'score')}, {_extent(refined)}. {note}"
    return finish(fig, "Score de la grille resserrée (%)", alt.strip())


def _map(ax: Axes, grid: GridSearch, **only: float) -> None:
    """Draw one map; all maps of a search share their colours, rows and columns."""
    rates, decays = grid.values("lr"), grid.values("weight_decay")[::-1]
    scores = [point.score for point in grid.ranking if not point.diverged]
    points = {
        (point.hyperparameters.weight_decay, point.hyperparameters.lr): point
        for point in grid.ranking
        if only.items() <= point.hyperparameters.model_dump().items()
    }
    found = {place: point.score for place, point in points.items() if not point.diverged}
    table = pd.DataFrame([[found.get((wd, lr), np.nan) for lr in rates] for wd in decays])
    sns.heatmap(
        table,
        ax=ax,
        cmap="Blues",
        vmin=min(scores) - 0.3 * (max(scores) - min(scores)),
        vmax=max(scores),
        annot=table.map(lambda score: "" if np.isnan(score) else nombre(100 * score, 1)),
        fmt="",
        annot_kws={"fontsize": 8.5},
        cbar=False,
        linewidths=1.5,
        xticklabels=[words.power(rate) for rate in rates],
        yticklabels=[words.power(decay) for decay in decays],
    )
    for (wd, lr), point in points.items():
        if point.diverged:
            x, y = rates.index(lr) + 0.5, decays.index(wd) + 0.5
            ax.text(x, y, "diverge", ha="center", va="center", fontsize=style.SMALL)
    if grid.best in points.values():
        _frame(ax, grid, grid.best.hyperparameters)
    ax.set(xlabel=words.FACTORS["lr"], ylabel=words.FACTORS["weight_decay"])
    ax.tick_params(length=0, rotation=0)
    ax.grid(False)


def _frame(ax: Axes, grid: GridSearch, point: Any, inset: float = 0) -> None:
    x = grid.values("lr").index(point.lr) + inset
    y = grid.values("weight_decay")[::-1].index(point.weight_decay) + inset
    look = {"fill": False, "ec": ORANGE, "lw": 2.4, "zorder": 4, "clip_on": False}
    look["ls"] = "--" if inset else "-"
    ax.add_patch(Rectangle((x, y), 1 - 2 * inset, 1 - 2 * inset, **look))


def _extent(grid: GridSearch) -> str:
    done = [point.score for point in grid.ranking if not point.diverged]
    bad = len(grid.ranking) - len(done)
    text = f"de {pct(min(done))} à {pct(max(done))}"
    text += f", {words.plural(bad, 'run')} en divergence" if bad else ""
    return f"{text} ; le meilleur, {grid.best.name}, est encadré"


@styled
def grid_curves(grid: GridSearch, config: Config) -> Figure:
    """Show validation accuracy and loss of all trials, from ``runs/``: a column per network."""
    names = [search.run_name(fit, grid.seeds) for fit in grid.trials]
    curves = style.read_curves(config, grid.stage, names)
    rates, decays = grid.values("lr"), grid.values("weight_decay")
    networks = list(product(grid.values("blocks_per_stage"), grid.values("dilation_stage3")))
    fig = new_figure(4.6)
    axes = fig.subplots(2, len(networks), squeeze=False, sharex=True, sharey="row")
    for fit, name in zip(grid.trials, names, strict=True):
        point = fit.hyperparameters
        column = networks.index((point.blocks_per_stage, point.dilation_stage3))
        look = _series(rates.index(point.lr)) | {"ls": LINES[decays.index(point.weight_decay) % 4]}
        for ax, tag in zip(axes[:, column], ("val/accuracy", "val/loss"), strict=True):
            style.draw(ax, curves[name], tag, ms=3.5, lw=1.3, **look)
    for column, (blocks, dilation) in zip(axes.T, networks, strict=True):
        column[0].set_title(f"{words.plural(int(blocks), 'bloc')}, dilatation {int(dilation)}")
        style.epochs(column[1], grid.epochs)
    axes[0, 0].set_ylabel("exactitude en validation (%)")
    axes[1, 0].set_ylabel("perte en validation (nats)")
    style.percent(axes[0, 0].yaxis)
    style.decimal(axes[1, 0].yaxis)
    keys = [
        Line2D([], [], label=f"LR {words.power(v)}", **_series(k)) for k, v in enumerate(rates)
    ]
    for line, decay in zip(LINES, decays, strict=False):
        keys.append(Line2D([], [], color=SOFT, ls=line, label=f"WD {words.power(decay)}"))
    fig.legend(handles=keys, loc="outside lower center", ncols=5)
    ends = [fit.last.val_accuracy for fit in grid.trials if fit.epochs]
    alt = (
        f"Courbes de validation de {words.plural(len(ends), 'run')} sur "
        f"{words.plural(grid.epochs, 'époque')}, une colonne par réseau. Exactitude finale de "
        f"{pct(min(ends))} à {pct(max(ends))}."
    )
    return finish(fig, "Validation de tous les runs, réseau par réseau", alt)


def _series(rank: int) -> dict[str, str]:
    colors, markers = style.SERIES, style.MARKERS
    return {"color": colors[rank % len(colors)], "marker": markers[rank % len(markers)]}


@styled
def grid_effects(grid: GridSearch) -> Figure:
    """Show what each factor changes, and the learning rate in each network, measure by measure.

    Points: the matched pairs; diamond and line: their mean and its interval.
    """
    rows = tables.effect_rows(grid)
    fig = new_figure(1.2 + 0.55 * len(rows))
    panels, pieces = fig.subplots(1, len(MEASURES), sharey=True), []
    for ax, measure in zip(panels, MEASURES, strict=True):
        for place, (label, found) in enumerate(rows):
            _pairs(ax, place, found[measure])
            text = f"{words.MEASURES[measure]} {tables.effect_text(found[measure])}"
            pieces.append(f"{label.splitlines()[0]}, {text}")
        ax.axvline(0, color=SOFT, lw=1, zorder=1)
        ax.axhline(len(FACTORS) - 0.5, color=SOFT, lw=0.6)
        ax.set(title=words.MEASURES[measure], xlabel="points", ylim=(len(rows) - 0.5, -0.5))
        ax.margins(x=0.08)
        ax.locator_params(axis="x", nbins=3, symmetric=True)
        ax.xaxis.set_major_formatter(lambda value, _: words.points(value).removesuffix(",0"))
        style.categories(ax)
    panels[0].set_yticks(range(len(rows)), [label for label, _ in rows])
    alt = "Variation moyenne, en points, et intervalle : " + " ; ".join(pieces) + "."
    return finish(fig, "Variation de chaque mesure quand un seul facteur change", alt)


def _pairs(ax: Axes, row: int, found: dict[str, Any]) -> None:
    if not found["pairs"]:
        ax.text(0, row, "aucune paire", ha="center", va="center", fontsize=7, color=SOFT)
        return
    changes, color = found["differences"], ORANGE if found["sign"] else INK
    ax.plot(changes, [row - 0.14] * len(changes), "o", color=BLUE, ms=3, alpha=0.45, mew=0)
    if found["ci_low"] is not None:
        ax.plot([found["ci_low"], found["ci_high"]], [row + 0.14] * 2, color=color, lw=1.6)
    ax.plot(found["mean"], row + 0.14, "D", color=color, ms=5)


@styled
def finalists(result: search.Finalists) -> Figure:
    """Show each finalist's score with each new seed, the mean, and the score that chose it."""
    ranking, rows = result.ranking, range(len(result.ranking))
    fig, ax = one_axes(0.5 * len(ranking) + 1.3)
    for rank, fit in enumerate(result.leader.fits):
        look = _series(rank) | {"lw": 0.7, "ms": 5, "label": f"graine {fit.seed}"}
        ax.plot([one.again.scores[rank] for one in ranking], rows, **look)
    ax.plot([one.mean for one in ranking], rows, "|", color=INK, ms=18, mew=2.2, label="moyenne")
    chosen = {"mfc": "white", "mec": ORANGE, "ms": 7, "mew": 1.6, "label": "score du choix"}
    ax.plot([one.selected for one in ranking], rows, "o", **chosen)
    ax.set_yticks(rows, [one.again.name for one in ranking])
    ax.set(ylim=(len(ranking) - 0.5, -0.5), xlabel=SCORE)
    style.percent(ax.xaxis)
    style.categories(ax)
    fig.legend(loc="outside lower center", ncols=5)
    alt = " ; ".join(f"{one.again.name} : {tables.over_seeds(one)}" for one in ranking)
    return finish(fig, "Les finalistes, réentraînés avec d’autres graines", alt + ".")
