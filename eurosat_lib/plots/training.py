"""Figures of notebooks 02 to 06: checks, the sweep of the learning rate, grid and trainings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eurosat_lib import french as words
from eurosat_lib import search
from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import Architecture, Overfit, ShuffledLabels
from eurosat_lib.comparisons import Recipes
from eurosat_lib.fits import Training
from eurosat_lib.french import factor_value, nombre, pct, plural, power
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, GREEN, ORANGE, SOFT, finish, note, one_axes, styled
from eurosat_lib.search import GridSearch
from eurosat_lib.stats import wilson
from eurosat_lib.tables import faults
from eurosat_lib.train import EpochRecord, Fit

LEVEL = 0.95  # of the intervals of the baselines
PARTS = {"Entrée": SOFT, "Étage 1": BLUE, "Étage 2": BLUE, "Étage 3": ORANGE, "Tête": GREEN}
ARROW = {"arrowstyle": "-|>", "color": SOFT, "mutation_scale": 9}
HEADROOM = 1.35  # times the first loss: what is above has diverged
PANELS = {"loss": "perte (nats)", "accuracy": "exactitude (%)"}
LINES = ("-", "--", ":", "-.")
BEST = "meilleur run"


def history(fit: Fit) -> pd.DataFrame:
    """Return one row per epoch (index: epoch, from 1), the columns of ``EpochRecord``."""
    rows = [record.model_dump() for record in fit.epochs]
    return pd.DataFrame(rows, columns=list(EpochRecord.model_fields)).set_index("epoch")


@styled
def baselines(b: Baselines) -> Figure:
    """Show the validation accuracies to beat, with their 95 % intervals, and chance."""
    scores = {
        f"classe majoritaire\n({b.majority_class})": b.majority_validation,
        "vignette 4 × 4,\nrégression logistique": b.thumbnail_validation,
        "statistiques de couleur,\nrégression logistique": b.color_validation,
    }
    n, values = b.validation_images, list(scores.values())
    bounds = np.array([wilson(round(value * n), n, LEVEL) for value in values])
    fig, ax = one_axes(2.4)
    ax.barh(range(3), values, 0.6, color=(SOFT, BLUE, BLUE))
    style.intervals(ax, range(3), values, bounds, fmt="none", ecolor="black", capsize=3)
    for row, value in enumerate(values):
        note(ax, bounds[row, 1], row, f"  {pct(value)}", "black", weight="bold")
    chance = f"hasard : {pct(b.uniform, 0)}"
    ax.axvline(b.uniform, color=ORANGE, ls="--", lw=1.2, label=chance)
    style.categories(ax, scores)
    ax.set(xlim=(0, min(1, bounds.max() * 1.18)), xlabel="exactitude en validation (%)")
    told = ", ".join(f"{name} {pct(score)}" for name, score in scores.items())
    alt = f"{told} ; {chance}. Intervalles à {pct(LEVEL, 0)} sur {plural(n, 'image')}."
    return finish(fig, alt)


@styled
def architecture(arch: Architecture) -> Figure:
    """Draw the stages: the sides of their maps, to scale, above the operations they apply."""
    stages = [[a for a in arch.layers if a.name.startswith(f"stages.{k}.")] for k in range(3)]
    shapes = [arch.input_shape, *(layers[-1].output_shape for layers in stages)]
    sizes = [*(" × ".join(map(str, shape)) for shape in shapes), f"{arch.output_shape[0]} logits"]
    block = [plural(arch.blocks_per_stage, "bloc") + " de :", "Conv 3 × 3", "BatchNorm", "ReLU"]
    wide = [block[0], f"Conv 3 × 3, D = {arch.dilation_stage3}", *block[2:], "sans pooling"]
    head = ["moyenne globale", f"linéaire {arch.channels[-1]} → {arch.output_shape[0]}"]
    pooled = [*block, "MaxPool 2 × 2"]
    lists = [["image normalisée", "3 canaux RVB"], pooled, pooled, wide, head]
    fig, ax = one_axes(3.0)
    style.bare(ax).set(xlim=(-0.5, 4.5), ylim=(-1.6, 1.1))
    for k, (part, color) in enumerate(PARTS.items()):
        side = 0.7 * [*(shape[1] for shape in shapes), 1][k] / shapes[0][1]
        ax.bar(k, 1.4 * side, side, color=color)
        note(ax, k, -0.15, sizes[k], style.INK, ha="center", weight="bold")
        note(ax, k, -0.4, part, color, ha="center", weight="bold")
        note(ax, k, -1.05, "\n".join(lists[k]), style.INK, ha="center", linespacing=1.9)
        if k:
            ax.annotate("", (k - 0.4, 0.5), (k - 0.6, 0.5), arrowprops=ARROW)
    alt = f"{' → '.join(sizes)} ; étage 3 sans pooling, de dilatation {arch.dilation_stage3} ; "
    alt += f"{plural(arch.parameters, 'paramètre')} en tout."
    return finish(fig, alt)


@styled
def overfit(r: Overfit, control: ShuffledLabels) -> Figure:
    """Show the losses of the few images learnt by heart, with true and with shuffled labels."""
    fig, ax = one_axes(2.8)
    groups = {"vraies étiquettes": (BLUE, control.true)}
    groups["étiquettes mélangées"] = (ORANGE, control.shuffled)
    for label, (color, group) in groups.items():
        for one in group:
            steps = range(1, len(one.losses) + 1)
            ax.plot(steps, one.losses, lw=0.9, alpha=0.55, color=color, label=label)
    end = nombre(r.losses[-1], 4)
    ax.plot(range(1, len(r.losses) + 1), r.losses, "o-", ms=2.5, label=f"cet essai, fin à {end}")
    ax.axhline(r.target_loss, label=f"but : {nombre(r.target_loss)}", **style.DASHES)
    ax.set_ylabel("perte d’entraînement (nats)")
    style.log_axis(ax, "y")
    style.epochs(ax, max(len(one.losses) for one in (r, *control.true, *control.shuffled)))
    reached = "atteint" if r.facts()["reached"] else "non atteint"
    alt = f"Perte de {nombre(r.losses[0], 3)} à {end} en {plural(len(r.losses), 'époque')} "
    return finish(fig, f"{alt}(but {reached}).")


@styled
def lr_sweep(r: LRFinder) -> Figure:
    """Show loss against learning rate: a curve per seed, their median, what the rules read."""
    fig, ax = one_axes(3.0)
    for sweep, color in zip(r.sweeps, cycle(style.SEED_COLOURS), strict=False):
        ax.plot(sweep.lr, sweep.loss, color=color, lw=0.5, alpha=0.25)
        ax.plot(sweep.lr, sweep.smoothed, color=color, lw=1, label=f"graine {sweep.seed}, lissée")
    common = min(len(sweep.lr) for sweep in r.sweeps)
    curves = pd.DataFrame([s.smoothed[:common] for s in r.sweeps], columns=r.sweeps[0].lr[:common])
    look = {"estimator": "median", "errorbar": ("pi", 100), "color": style.INK, "lw": 1.8}
    sns.lineplot(curves.melt(), x="variable", y="value", label="médiane", ax=ax, **look)
    ax.get_legend().remove()
    lowest, first = min(min(sweep.smoothed) for sweep in r.sweeps), curves.iloc[:, 0].max()
    below = max(0.25 * (first - lowest), 0.05 * first)
    style.log_axis(ax)
    ax.set(ylim=(max(0, lowest - below), HEADROOM * first), ylabel="perte (nats)")
    ax.set_xlabel("LR (échelle logarithmique) ; traits du bas : lectures des règles")
    sns.rugplot(x=r.suggestions, ax=ax, color=style.INK, height=0.04)
    chosen = f"aucun LR retenu : {faults(r)}"
    if r.choice:
        window = f"fenêtre où la perte baisse : {' à '.join(map(power, r.window))}"
        chosen = f"LR proposé : {power(r.choice)} ; {window}"
        ax.axvspan(*r.window, color=ORANGE, alpha=0.1, lw=0)
        ax.axvline(r.choice, color=ORANGE, lw=1.4)
    ax.set_title(chosen, color=ORANGE)
    return finish(fig, f"{plural(len(r.sweeps), 'balayage')} ; {chosen}.")


def _scores(grid: GridSearch) -> pd.DataFrame:
    """List the trials, the best first: factors, network, and score (missing: diverged)."""
    rows = []
    for fit in grid.ranking:
        score = np.nan if fit.diverged else fit.score
        rows.append(fit.hyperparameters.model_dump() | {"score": score, "network": _network(fit)})
    return pd.DataFrame(rows)


def _network(fit: Fit) -> str:
    point = fit.hyperparameters
    return f"{plural(point.blocks_per_stage, 'bloc')}, dilatation {point.dilation_stage3}"


@styled
def lr_by_depth(grid: GridSearch) -> Figure:
    """Show the score against the learning rate, a line per network, decays averaged."""
    scores, rates = _scores(grid).sort_values("network"), grid.values("lr")
    fig, ax = one_axes(2.8)
    colours = style.SERIES[: scores["network"].nunique()]
    look = {"hue": "network", "style": "network", "dashes": False, "markers": True}
    sns.lineplot(scores, x="lr", y="score", errorbar=None, palette=colours, ax=ax, **look)
    ax.get_legend().remove()
    ax.set(xscale="log", xticks=rates, xticklabels=map(power, rates))
    ax.minorticks_off()
    ax.set(xlabel="LR (échelle logarithmique)", ylabel="score en validation (%)")
    means = scores.dropna().groupby(["network", "lr"])["score"].mean().groupby("network")
    ends = [f"{name}, {pct(all_.iloc[0])} à {pct(all_.iloc[-1])}" for name, all_ in means]
    return finish(fig, f"Score du plus petit au plus grand LR : {' ; '.join(ends)}.")


@styled
def grid_heatmaps(grid: GridSearch) -> Figure:
    """Show the score of each trial: a map of rates and decays per dilation and depth."""
    scores, best = _scores(grid), grid.best.hyperparameters
    dilations, blocks = grid.values("dilation_stage3"), grid.values("blocks_per_stage")
    low, high = scores["score"].min(), scores["score"].max()
    fig = style.new_figure(len(dilations) * (len(grid.values("weight_decay")) * 0.42 + 0.5) + 0.6)
    axes = fig.subplots(len(dilations), len(blocks), squeeze=False, sharex=True, sharey=True)
    look = {"cmap": "Blues", "vmin": low - 0.3 * (high - low), "vmax": high, "cbar": False}
    look |= {"fmt": "", "annot_kws": {"fontsize": 9.5}, "linewidths": 1.5}
    frame = {"ec": ORANGE, "lw": 2.4, "fill": False, "clip_on": False, "zorder": 4, "label": BEST}
    for ax, (d, b) in zip(axes.flat, product(dilations, blocks), strict=True):
        part = scores.query("dilation_stage3 == @d and blocks_per_stage == @b")
        table = part.pivot(index="weight_decay", columns="lr", values="score")[::-1]
        texts = table.map(lambda score: "diverge" if np.isnan(score) else nombre(100 * score, 1))
        look |= {"xticklabels": [*map(power, table)], "yticklabels": [*map(power, table.index)]}
        sns.heatmap(table.fillna(look["vmin"]), ax=ax, annot=texts, **look)
        if (d, b) == (best.dilation_stage3, best.blocks_per_stage):
            corner = table.columns.get_loc(best.lr), table.index.get_loc(best.weight_decay)
            ax.add_patch(Rectangle(corner, 1, 1, **frame))
        ax.set(xlabel="LR", ylabel="weight decay")
        ax.set_title(f"{plural(int(b), 'bloc')} par étage, dilatation {int(d)} ; score (%)")
        ax.tick_params(length=0, rotation=0)
        ax.grid(False)
        ax.label_outer()
    bad = plural(int(scores["score"].isna().sum()), "run")
    alt = f"Une carte par réseau, un score par case, de {pct(low)} à {pct(high)}, {bad} en "
    return finish(fig, f"{alt}divergence ; {BEST} : {best.name}.")


@styled
def grid_curves(grid: GridSearch) -> Figure:
    """Show validation accuracy and loss of all trials: a column per network."""
    rates, decays = grid.values("lr"), grid.values("weight_decay")
    networks = sorted({_network(fit) for fit in grid.trials})
    fig = style.new_figure(4.0)
    axes = fig.subplots(2, len(networks), squeeze=False, sharex=True, sharey="row")
    for fit in grid.trials:
        point, column = fit.hyperparameters, axes[:, networks.index(_network(fit))]
        look = style.series(rates.index(point.lr)) | {"ms": 3.5, "lw": 1.3}
        look["ls"] = LINES[decays.index(point.weight_decay) % 4]
        look["label"] = f"LR {power(point.lr)}, WD {power(point.weight_decay)}"
        for ax, kind in zip(column, ("accuracy", "loss"), strict=True):
            ax.plot(history(fit)[f"val_{kind}"], **look)
    for (top, bottom), network in zip(axes.T, networks, strict=True):
        top.set_title(network)
        style.epochs(bottom, grid.epochs)
    axes[0, 0].set_ylabel("exactitude en validation (%)")
    axes[1, 0].set_ylabel("perte en validation (nats)")
    ends = [fit.last.val_accuracy for fit in grid.trials if fit.epochs]
    alt = f"Courbes de {plural(len(ends), 'run')}, une colonne par réseau ; exactitude finale de "
    alt += f"{pct(min(ends))} à {pct(max(ends))} en validation, {plural(grid.epochs, 'époque')}."
    return finish(fig, alt)


@styled
def training_curves(training: Training) -> Figure:
    """Show loss and accuracy of the final training, and the epoch whose weights are kept."""
    fit, rows = training.fit, history(training.fit)
    best, last = fit.best, fit.last
    fig = style.new_figure(2.6)
    _overlay(fig, {"": rows}, [style.series(0)])
    for ax, kind in zip(fig.axes, PANELS, strict=True):
        look = {"mfc": "none", "mec": ORANGE, "mew": 1.5, "ls": "", "ms": 8}
        label = f"poids gardés : époque {best.epoch}"
        ax.plot(best.epoch, rows[f"val_{kind}"][best.epoch], "o", label=label, **look)
        ax.axvline(best.epoch, **style.DASHES)
    alt = f"{pct(best.val_accuracy)} en validation à l’époque {best.epoch} ; à la fin "
    alt += f"({plural(last.epoch, 'époque')}) {pct(last.val_accuracy)}, pertes de "
    alt += f"{nombre(last.train_loss, 3)} (entraînement) et {nombre(last.val_loss, 3)}."
    return finish(fig, alt)


@styled
def comparison(grid: GridSearch, factor: str) -> Figure:
    """Overlay the trials that differ from the best in one factor."""
    colours, runs, looks = style.run_colours(search.compare(grid).facts()), {}, []
    for fit in search.neighbours(grid, factor):
        point = fit.hyperparameters
        name = f"{words.SHORT[factor]} = {factor_value(factor, getattr(point, factor))}"
        runs[name], marker = history(fit), style.MARKERS[list(colours).index(point.name) % 6]
        looks.append({"color": colours[point.name], "marker": marker})
    return _compared(runs, looks)


@styled
def run_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Overlay loss and accuracy of several final trainings.

    Args:
        histories: run -> one row per epoch (index: epoch, from 1), with the columns
            ``train_loss``, ``val_loss`` (nats), ``train_accuracy``, ``val_accuracy`` (in [0, 1]).
    """
    return _compared(histories, [style.series(rank) for rank in range(len(histories))])


def recipe_curves(found: Recipes, training: Training) -> Figure:
    """Overlay the final training and a recipe's first seed."""
    return run_curves({"protocole": history(training.fit), found.title: history(found.first.fit)})


def _compared(runs: Mapping[str, pd.DataFrame], looks: list[dict]) -> Figure:
    fig = style.new_figure(2.8)
    _overlay(fig, runs, looks)
    told = [
        f"{name} {pct(rows['val_accuracy'].iloc[0])} puis {pct(rows['val_accuracy'].iloc[-1])}"
        for name, rows in runs.items()
    ]
    return finish(fig, f"Exactitude en validation (époque 1, puis fin) : {' ; '.join(told)}.")


def _overlay(fig: Figure, runs: Mapping[str, pd.DataFrame], looks: list[dict]) -> None:
    """Draw loss and accuracy of runs: name -> epochs, as of :func:`history`; a look for each."""
    for ax, (kind, label) in zip(fig.subplots(1, 2), PANELS.items(), strict=True):
        for (name, rows), look in zip(runs.items(), looks, strict=True):
            ax.plot(rows[f"train_{kind}"], ls="--", lw=1, ms=2.5, alpha=0.6, **look)
            ax.plot(rows[f"val_{kind}"], ms=4, label=name, **look)
        ax.plot([], color=SOFT, label="validation")
        ax.plot([], color=SOFT, ls="--", lw=1, label="entraînement")
        ax.set_ylabel(label)
        style.epochs(ax, max(int(rows.index[-1]) for rows in runs.values()))
