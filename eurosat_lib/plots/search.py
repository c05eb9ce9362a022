"""Charts of notebooks 05 and 06: the grids, the effects of their factors, the finalists."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.preprocessing import minmax_scale

from eurosat_lib import french as words
from eurosat_lib import search
from eurosat_lib.config import Config
from eurosat_lib.french import nombre, pct, plural, power
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, INK, ORANGE, SOFT, finish, new_figure, one_axes, styled
from eurosat_lib.search import FACTORS, MEASURES, GridSearch
from eurosat_lib.tables import search as tables
from eurosat_lib.train import Hyperparameters

LINES = ("-", "--", ":", "-.")
BEST, KEPT = "meilleur run", "retenu pour l’entraînement complet"
SCORE = "score : exactitude en validation, moyenne des deux dernières époques (%)"
PANELS = {"accuracy": "exactitude en validation (%)", "loss": "perte en validation (nats)"}


def _scores(grid: GridSearch) -> pd.DataFrame:
    """List the points that did not diverge, the best first: the factors and the score."""
    points = [point for point in grid.ranking if not point.diverged]
    return pd.DataFrame([p.hyperparameters.model_dump() | {"score": p.score} for p in points])


@styled
def grid_ranking(grid: GridSearch) -> Figure:
    """Rank the points by score; a thin line joins the last two epochs of all their trainings."""
    ranking = grid.ranking
    best, last = ranking[0], ranking[-1]
    fig, ax = one_axes(0.16 * len(ranking) + 0.9)
    for row, point in enumerate(ranking):
        color = BLUE if row else ORANGE
        if point.diverged:
            style.note(ax, best.score, row, f"× {tables.trial_note(point)}", ha="right")
            continue
        ends = [record.val_accuracy for fit in point.fits for record in fit.epochs[-2:]]
        ax.plot([min(ends), max(ends)], [row, row], color=color, lw=1.2, alpha=0.5)
        ax.plot(point.score, row, "o", color=color, ms=5 if row else 7)
    style.categories(ax, [point.name for point in ranking])
    ax.tick_params(axis="y", labelsize=8)
    ax.set_title(tables.noise_note(grid))
    ax.set_xlabel("point : score ; trait : deux dernières époques ; en validation (%)")
    ends = [f"{p.name} ({tables.trial_note(p) or pct(p.score)})" for p in (best, last)]
    alt = f"{plural(len(ranking), 'run')}, de {' à '.join(ends)} ; {tables.noise_note(grid)}."
    return finish(fig, alt)


@styled
def grid_parallel(grid: GridSearch) -> Figure:
    """Show each point as a line through its values and its score, coloured by the score."""
    fig, ax = one_axes(2.9)
    varied = [factor for factor in FACTORS if len(grid.values(factor)) > 1]
    values = _scores(grid)[::-1][[*varied, "score"]]
    places = 0.1 + 0.8 * minmax_scale(values.rank(method="dense"))
    places[:, -1] = minmax_scale(values["score"])
    apart = np.linspace(-0.06, 0.06, len(places))  # from runs that share a value
    for row, place in enumerate(places):
        best = row == len(places) - 1
        color = ORANGE if best else colormaps["Blues"](0.25 + 0.75 * place[-1])
        look = {"color": color, "lw": 2.4 if best else 1.2, "label": BEST if best else ""}
        ax.plot([*(place[:-1] + apart[row]), place[-1]], **look)
    box = {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.8}
    for x, factor in enumerate(values):
        ax.plot([x, x], [0, 1], color=SOFT, lw=1, zorder=3)
        style.note(ax, x, 1.1, words.FACTORS.get(factor, factor), INK, ha="center")
        ticks = dict(zip(values[factor], places[:, x], strict=True))
        for value in ticks if factor in varied else (min(ticks), max(ticks)):
            text = words.factor_value(factor, value) if factor in varied else pct(value)
            style.note(ax, x + 0.04, ticks[value], text, INK, bbox=box, zorder=4)
    style.bare(ax).set(xlim=(-0.45, len(varied) + 0.45), ylim=(-0.1, 1.2))
    ends = f"de {pct(values['score'].min())} à {pct(values['score'].max())}"
    alt = f"{plural(len(values), 'run')} : une ligne passe par les valeurs de chaque facteur et "
    return finish(
        fig, f"{alt}finit à son score, {ends} ; en orange le meilleur, {grid.best.name}."
    )


@styled
def lr_by_depth(grid: GridSearch) -> Figure:
    """Show the score against the learning rate, a line per network, decays averaged."""
    fig, ax = one_axes(2.8)
    rates = grid.values("lr")
    means = _scores(grid).groupby(["blocks_per_stage", "dilation_stage3", "lr"])["score"].mean()
    depths, dilations = grid.values("blocks_per_stage"), grid.values("dilation_stage3")
    told = []
    for (rank, blocks), (line, dilation) in product(enumerate(depths), enumerate(dilations)):
        scores = means.reindex([(blocks, dilation, rate) for rate in rates])
        label = f"{plural(int(blocks), 'bloc')}, dilatation {int(dilation)}"
        look = style.series(rank) | {"ls": LINES[line % 4], "label": label}
        ax.plot(rates, scores.to_numpy(), **look)
        ends = " à ".join("divergence" if np.isnan(s) else pct(s) for s in scores.iloc[[0, -1]])
        told.append(f"{label}, de {ends}")
    ax.set(xscale="log", xticks=rates, xticklabels=map(power, rates))
    ax.minorticks_off()
    ax.set(xlabel="LR (échelle logarithmique)", ylabel="score en validation (%)")
    return finish(fig, f"Score du plus petit au plus grand LR : {' ; '.join(told)}.")


@styled
def grid_heatmaps(grid: GridSearch) -> Figure:
    """Show the score of each point: a map of rates and decays per dilation and depth."""
    dilations, blocks = grid.values("dilation_stage3"), grid.values("blocks_per_stage")
    fig = new_figure(len(dilations) * (len(grid.values("weight_decay")) * 0.42 + 0.5) + 0.6)
    axes = fig.subplots(len(dilations), len(blocks), squeeze=False, sharex=True, sharey=True)
    for ax, (d, b) in zip(axes.flat, product(dilations, blocks), strict=True):
        _map(ax, grid, dilation_stage3=d, blocks_per_stage=b)
        ax.set_title(f"{plural(int(b), 'bloc')} par étage, dilatation {int(d)} ; score (%)")
        ax.label_outer()
    return finish(fig, f"Une carte par réseau, un score par case ({SCORE}), {_extent(grid)}.")


@styled
def refined_heatmap(refined: search.RefinedGrid, training: search.Training) -> Figure:
    """Show the score of the finer grid: the best framed, the final training's point dashed."""
    fig, ax = one_axes(len(refined.values("weight_decay")) * 0.5 + 1.0)
    _map(ax, refined)
    kept, same = training.fit.hyperparameters, f"{BEST}, {KEPT}"
    if kept == refined.best.hyperparameters:
        ax.patches[0].set_label(same)
    elif any(point.hyperparameters == kept for point in refined.ranking):
        _frame(ax, refined, kept, KEPT, inset=0.07)
    told = " ; ".join(patch.get_label() for patch in ax.patches)
    alt = (
        f"Carte de {plural(len(refined.ranking), 'score')}, {_extent(refined)} ; cadres : {told}."
    )
    return finish(fig, alt)


def _map(ax: Axes, grid: GridSearch, **only: float) -> None:
    """Draw one map; all maps of a search share their colours, rows and columns."""
    rows = [
        point.hyperparameters.model_dump() | {"score": np.nan if point.diverged else point.score}
        for point in grid.ranking
        if only.items() <= point.hyperparameters.model_dump().items()
    ]
    table = pd.DataFrame(rows).pivot(index="weight_decay", columns="lr", values="score")[::-1]
    low, high = _scores(grid)["score"].agg(["min", "max"])
    texts = table.map(lambda score: "diverge" if np.isnan(score) else nombre(100 * score, 1))
    look = {"cmap": "Blues", "vmin": low - 0.3 * (high - low), "vmax": high, "cbar": False}
    look |= {"annot": texts, "fmt": "", "annot_kws": {"fontsize": 9.5}, "linewidths": 1.5}
    look |= {"xticklabels": [*map(power, table)], "yticklabels": [*map(power, table.index)]}
    sns.heatmap(table.fillna(look["vmin"]), ax=ax, **look)
    if only.items() <= grid.best.hyperparameters.model_dump().items():
        _frame(ax, grid, grid.best.hyperparameters, BEST)
    ax.set(xlabel="LR", ylabel="weight decay")
    ax.tick_params(length=0, rotation=0)
    ax.grid(False)


def _frame(
    ax: Axes, grid: GridSearch, point: Hyperparameters, label: str, inset: float = 0
) -> None:
    x = grid.values("lr").index(point.lr) + inset
    y = grid.values("weight_decay")[::-1].index(point.weight_decay) + inset
    look = {"ec": ORANGE, "lw": 2.4, "ls": "--" if inset else "-", "zorder": 4, "clip_on": False}
    side = 1 - 2 * inset
    ax.add_patch(Rectangle((x, y), side, side, fill=False, label=label, **look))


def _extent(grid: GridSearch) -> str:
    done = [pct(point.score) for point in grid.ranking if not point.diverged]
    bad = plural(len(grid.ranking) - len(done), "run")
    return f"de {done[-1]} à {done[0]}, {bad} en divergence ; {BEST} : {grid.best.name}"


@styled
def grid_curves(grid: GridSearch, config: Config) -> Figure:
    """Show validation accuracy and loss of all trials, from ``runs/``: a column per network."""
    names = {search.run_name(fit, grid.seeds): fit.hyperparameters for fit in grid.trials}
    curves = style.read_curves(config, grid.stage, names)
    rates, decays = grid.values("lr"), grid.values("weight_decay")
    networks = list(product(grid.values("blocks_per_stage"), grid.values("dilation_stage3")))
    fig = new_figure(4.5)
    axes = fig.subplots(2, len(networks), squeeze=False, sharex=True, sharey="row")
    for name, point in names.items():
        column = networks.index((point.blocks_per_stage, point.dilation_stage3))
        look = style.series(rates.index(point.lr)) | {"ms": 3.5, "lw": 1.3}
        look["ls"] = LINES[decays.index(point.weight_decay) % 4]
        look["label"] = f"LR {power(point.lr)}, WD {power(point.weight_decay)}"
        for ax, kind in zip(axes[:, column], PANELS, strict=True):
            ax.plot(curves[name][f"val/{kind}"], **look)
    for (top, bottom), (blocks, dilation) in zip(axes.T, networks, strict=True):
        top.set_title(f"{plural(int(blocks), 'bloc')}, dilatation {int(dilation)}")
        style.epochs(bottom, grid.epochs)
    for ax, label in zip(axes[:, 0], PANELS.values(), strict=True):
        ax.set_ylabel(label)
    ends = [fit.last.val_accuracy for fit in grid.trials if fit.epochs]
    alt = f"Courbes de {plural(len(ends), 'run')}, une colonne par réseau ; exactitude finale de "
    alt += f"{pct(min(ends))} à {pct(max(ends))} en validation, {plural(grid.epochs, 'époque')}."
    return finish(fig, alt)


@styled
def grid_effects(grid: GridSearch) -> Figure:
    """Show what each factor changes, and the learning rate in each network, measure by measure.

    Points: the matched pairs; diamond and line: their mean and its interval.
    """
    rows = tables.effect_rows(grid)
    fig = new_figure(0.9 + 0.5 * len(rows))
    panels, told = fig.subplots(1, len(MEASURES), sharey=True), []
    for ax, measure in zip(panels, MEASURES, strict=True):
        ax.axvline(0, color=SOFT, lw=1, zorder=1)
        for row, (label, effects) in enumerate(rows):
            found = effects[measure]
            text = f"{words.MEASURES[measure]} {tables.effect_text(found)}"
            told.append(f"{label.splitlines()[0]}, {text}")
            if not found["pairs"]:
                style.note(ax, 0, row, "aucune paire", ha="center")
                continue
            look = {"s": 9, "alpha": 0.45, "color": BLUE}
            ax.scatter(found["differences"], [row - 0.14] * found["pairs"], **look)
            mean, low, high = (found[name] for name in ("mean", "ci_low", "ci_high"))
            bounds = [(mean, mean) if low is None else (low, high)]
            look = {"color": ORANGE if found["sign"] else INK, "fmt": "D"}
            style.intervals(ax, [row + 0.14], [mean], bounds, **look)
        ax.axhline(len(FACTORS) - 0.5, color=SOFT, lw=0.6)
        style.categories(ax, [label for label, _ in rows])
        ax.set(title=words.MEASURES[measure], xlabel="points")
        ax.margins(x=0.08)
        ax.locator_params(axis="x", nbins=3, symmetric=True)
    return finish(fig, f"Variation moyenne, en points, et intervalle : {' ; '.join(told)}.")


@styled
def finalists(result: search.Finalists) -> Figure:
    """Show each finalist's score with each new seed, the mean, and the score that chose it."""
    ranking, rows = result.ranking, range(len(result.ranking))
    fig, ax = one_axes(0.5 * len(ranking) + 1.1)
    for rank, fit in enumerate(result.leader.fits):
        look = style.series(rank) | {"lw": 0.7, "ms": 5, "label": f"graine {fit.seed}"}
        ax.plot([one.again.scores[rank] for one in ranking], rows, **look)
    ax.plot([one.mean for one in ranking], rows, "|", color=INK, ms=18, mew=2.2, label="moyenne")
    chosen = {"mfc": "white", "mec": ORANGE, "ms": 7, "mew": 1.6, "label": "score du choix"}
    ax.plot([one.selected for one in ranking], rows, "o", **chosen)
    style.categories(ax, [one.again.name for one in ranking])
    ax.set_xlabel(SCORE)
    told = [f"{f.again.name} : moyenne {pct(f.mean)}, choisi à {pct(f.selected)}" for f in ranking]
    return finish(fig, f"{plural(len(result.leader.fits), 'graine')} ; {' ; '.join(told)}.")
