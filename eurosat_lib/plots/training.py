"""Figures of notebooks 02 to 06: checks, the sweep of the learning rate, grid and trainings."""

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eurosat_lib import french, search
from eurosat_lib.checks import Architecture, Overfit, ShuffledLabels
from eurosat_lib.french import nombre, pct, plural, power
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, GREEN, ORANGE, SOFT, finish, styled, subplots
from eurosat_lib.recipes import Recipes
from eurosat_lib.search import GridSearch
from eurosat_lib.tables import faults
from eurosat_lib.train import EpochRecord, Fit
from eurosat_lib.trainings import Training

PARTS = ("Entrée", "Étage 1", "Étage 2", "Étage 3", "Tête")
HEADROOM = 1.35  # times the first loss: what is above has diverged
PANELS = {"loss": "perte (nats)", "accuracy": "exactitude (%)"}
LINES = ("-", "--", ":", "-.")


def history(fit: Fit) -> pd.DataFrame:
    """Return one row per epoch (index: epoch, from 1), the columns of ``EpochRecord``."""
    rows = [record.model_dump() for record in fit.epochs]
    return pd.DataFrame(rows, columns=list(EpochRecord.model_fields)).set_index("epoch")


@styled
def architecture(arch: Architecture) -> Figure:
    """Draw the stages: the sides of their maps, to scale, above the operations they apply."""
    found, layers = arch.found, pd.DataFrame(arch.layers)
    stage = layers["name"].str.extract(r"^(stages\.\d+)", expand=False)
    parts = layers.groupby(stage.fillna("~"))  # the head, sorted after the stages
    *stages, (classes,) = parts["output_shape"].last()
    shapes = [found["input_shape"], *stages]  # each (channels, height, width)
    sizes = [*(" × ".join(map(str, shape)) for shape in shapes), f"{classes} logits"]
    counts = ["", *(plural(int(count), "paramètre") for count in parts["parameters"].sum())]
    blocks, dilation = plural(found["blocks_per_stage"], "bloc"), found["dilation_stage3"]
    pooled = f"{blocks} de\nConv 3 × 3\nBatchNorm, ReLU\nMaxPool 2 × 2"
    texts = (
        "image normalisée\n3 canaux RGB\n\n",
        *(pooled, pooled),
        f"{blocks} de\nConv 3 × 3, D = {dilation}\nBatchNorm, ReLU\nsans pooling",
        f"moyenne globale\nlinéaire {shapes[-1][0]} → {classes}\n\n",
    )
    labels = ["\n".join(part) for part in zip(PARTS, sizes, texts, counts, strict=True)]
    sides = [0.8 * shape[1] / shapes[0][1] for shape in (*shapes, (1, 1))]
    fig, ax = subplots(3.1)
    bottoms = [-side / 2 for side in sides]
    ax.bar(range(len(PARTS)), sides, sides, bottoms, color=(SOFT, BLUE, BLUE, ORANGE, GREEN))
    for place, (left, right) in enumerate(pairwise(sides)):
        ends = (place + 1 - right / 2, 0), (place + left / 2, 0)
        ax.annotate("", *ends, arrowprops={"arrowstyle": "->", "color": SOFT})
    style.categories(ax, labels, "x")
    for label in ax.get_xticklabels():
        label.set_bbox({"fc": "none", "ec": style.RULE, "pad": 4})
    ax.tick_params(axis="x", pad=8)
    ax.set(yticks=[], xlabel=" ", aspect="equal", xlim=(-0.5, len(PARTS) - 0.5))
    ax.spines[:].set_visible(False)
    alt = f"{' → '.join(sizes)} ; étage 3 sans pooling, de dilatation {dilation} ; "
    return finish(fig, f"{alt}{plural(found['parameters'], 'paramètre')} en tout.")


@styled
def overfit(r: Overfit, control: ShuffledLabels) -> Figure:
    """Show the losses of the few images learnt by heart, with true and with shuffled labels."""
    fig, ax = subplots(2.8)
    drawn = [("vraies étiquettes", BLUE, losses) for losses in control.true]
    drawn += [("étiquettes mélangées", ORANGE, losses) for losses in control.shuffled]
    for label, color, losses in drawn:
        steps = range(1, len(losses) + 1)
        ax.plot(steps, losses, lw=0.9, alpha=0.55, color=color, label=label)
    end, target = nombre(r.losses[-1], 4), r.found["target_loss"]
    ax.plot(range(1, len(r.losses) + 1), r.losses, "o-", ms=2.5, label=f"cet essai, fin à {end}")
    ax.axhline(target, label=f"cible : {nombre(target)}", **style.DASHES)
    style.epochs(ax, max(map(len, (r.losses, *control.true, *control.shuffled))))
    ax.set(ylabel="perte d’entraînement (nats)", yscale="log")
    ax.minorticks_off()
    reached = "atteinte" if r.found["reached"] else "non atteinte"
    alt = f"Perte de {nombre(r.losses[0], 3)} à {end} en {plural(len(r.losses), 'époque')} "
    return finish(fig, f"{alt}(cible {reached}).")


@styled
def lr_sweep(r: LRFinder) -> Figure:
    """Show loss against learning rate: a curve per seed, their median, what the rules read."""
    fig, ax = subplots(3.0)
    for sweep, color in zip(r.sweeps, cycle(style.SEED_COLOURS), strict=False):
        ax.plot(sweep.lr, sweep.loss, color=color, lw=0.5, alpha=0.25)
        ax.plot(sweep.lr, sweep.smoothed, color=color, lw=1, label=f"graine {sweep.seed}, lissée")
    ax.plot(*r.median, label="médiane", color=style.INK, lw=1.8)
    ax.set(xscale="log", ylabel="perte (nats)")
    ax.set_xlabel("LR (échelle logarithmique) ; traits du bas : lectures des règles")
    low = min(min(one.smoothed) for one in r.sweeps)
    start = max(one.smoothed[0] for one in r.sweeps)
    ax.set_ylim(0.8 * low, HEADROOM * start)
    ax.minorticks_off()
    sns.rugplot(x=r.suggestions, ax=ax, color=style.INK, height=0.04)
    chosen = f"aucun LR proposé : {faults(r)}"
    if r.choice:
        window = f"fenêtre où la perte baisse : {' à '.join(map(power, r.window))}"
        chosen = f"LR proposé : {power(r.choice)} ; {window}"
        ax.axvspan(*r.window, color=ORANGE, alpha=0.1, lw=0)
        ax.axvline(r.choice, color=ORANGE, lw=1.4)
    ax.set_title(chosen, color=ORANGE)
    return finish(fig, f"{plural(len(r.sweeps), 'balayage')} ; {chosen}.")


def _scores(grid: GridSearch) -> pd.DataFrame:
    """List the trials, the best first: factors, network, and score (missing: diverged)."""
    scores = pd.DataFrame([fit.hyperparameters.model_dump() for fit in grid.ranking])
    scores["score"] = [np.nan if fit.diverged else fit.score for fit in grid.ranking]
    return scores.assign(network=[_network(fit) for fit in grid.ranking])


def _network(fit: Fit) -> str:
    point = fit.hyperparameters
    return f"{plural(point.blocks_per_stage, 'bloc')}, dilatation {point.dilation_stage3}"


@styled
def lr_by_depth(grid: GridSearch) -> Figure:
    """Show the score against the learning rate, a line per network, decays averaged."""
    means = _scores(grid).pivot_table("score", "lr", "network")
    fig, ax = subplots(2.8)
    for rank, network in enumerate(means):
        ax.plot(means[network], label=network, **style.series(rank))
    ax.set(xscale="log", xticks=means.index, xticklabels=map(power, means.index))
    ax.minorticks_off()
    ax.set(xlabel="LR (échelle logarithmique)", ylabel="score en validation (%)")
    ends = [means[name].dropna().iloc[[0, -1]] for name in means]
    told = [f"{end.name}, {' à '.join(map(pct, end))}" for end in ends]
    return finish(fig, f"Score du plus petit au plus grand LR : {' ; '.join(told)}.")


@styled
def grid_heatmaps(grid: GridSearch) -> Figure:
    """Show the score of each trial: a map of rates and decays per network."""
    scores, rows = _scores(grid), len(grid.values("blocks_per_stage"))
    best, low, high = scores.iloc[0], scores["score"].min(), scores["score"].max()
    height = rows * (len(grid.values("weight_decay")) * 0.42 + 0.5) + 0.6
    shape = (rows, len(grid.values("dilation_stage3")))
    fig, axes = subplots(height, *shape, squeeze=False, sharex=True, sharey=True)
    look = {"cmap": "Blues", "vmin": low - 0.3 * (high - low), "vmax": high, "cbar": False}
    look |= {"fmt": "", "annot_kws": {"fontsize": 9.5}, "linewidths": 1.5}
    frame = {"ec": ORANGE, "lw": 2.4, "fill": False, "clip_on": False, "zorder": 4}
    for ax, (network, part) in zip(axes.flat, scores.groupby("network"), strict=True):
        table = part.pivot(index="weight_decay", columns="lr", values="score")[::-1]
        texts = table.map(lambda score: "diverge" if np.isnan(score) else nombre(100 * score, 1))
        look |= {"xticklabels": [*map(power, table)], "yticklabels": [*map(power, table.index)]}
        sns.heatmap(table.fillna(look["vmin"]), ax=ax, annot=texts, **look)
        if network == best["network"]:
            corner = table.columns.get_loc(best["lr"]), table.index.get_loc(best["weight_decay"])
            ax.add_patch(Rectangle(corner, 1, 1, label="meilleur run", **frame))
        ax.set(xlabel="LR", ylabel="weight decay", title=f"{network} ; score (%)")
        ax.tick_params(length=0, rotation=0)
        ax.grid(False)
        ax.label_outer()
    bad = plural(int(scores["score"].isna().sum()), "run")
    alt = f"Une carte par réseau, un score par case, de {pct(low)} à {pct(high)}, {bad} en "
    alt += f"divergence ; meilleur run : {grid.best.hyperparameters.name}."
    return finish(fig, alt)


@styled
def grid_curves(grid: GridSearch) -> Figure:
    """Show validation accuracy and loss of all trials: a column per network."""
    rates, decays = grid.values("lr"), grid.values("weight_decay")
    networks = sorted({_network(fit) for fit in grid.trials})
    fig, axes = subplots(4.0, 2, len(networks), squeeze=False, sharex=True, sharey="row")
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
    alt = f"Exactitude finale en validation de {pct(min(ends))} à {pct(max(ends))}, "
    return finish(fig, f"{alt}{plural(len(ends), 'run')}.")


@styled
def training_curves(training: Training) -> Figure:
    """Show loss and accuracy of the final training, and the epoch whose weights are kept."""
    fit, rows = training.fit, history(training.fit)
    best, last = fit.best, fit.last
    fig = _overlay({"": rows}, [0])
    label = f"poids gardés : époque {best.epoch}"
    look = {"marker": "o", "mfc": "none", "mec": ORANGE, "mew": 1.5, "ls": "", "ms": 8}
    for ax, kind in zip(fig.axes, PANELS, strict=True):
        ax.plot(best.epoch, rows[f"val_{kind}"][best.epoch], label=label, **look)
        ax.axvline(best.epoch, **style.DASHES)
    alt = f"{pct(best.val_accuracy)} en validation à l’époque {best.epoch} ; à la fin, époque "
    return finish(fig, f"{alt}{last.epoch}, {pct(last.val_accuracy)}.")


def comparison(grid: GridSearch, factor: str) -> Figure:
    """Overlay the trials that differ from the best in one factor."""
    known, runs, ranks = list(style.run_colours(search.compare(grid).facts())), {}, []
    for fit in search.neighbours(grid, factor):
        value = french.factor_value(factor, getattr(fit.hyperparameters, factor))
        runs[f"{french.SHORT[factor]} = {value}"] = history(fit)
        ranks.append(known.index(fit.hyperparameters.name))
    return run_curves(runs, ranks)


def recipe_curves(found: Recipes, training: Training) -> Figure:
    """Overlay the final training and a recipe's first seed."""
    own = {found.title: history(found.runs[0].fit)}
    return run_curves({"protocole": history(training.fit)} | own)


@styled
def run_curves(runs: Mapping[str, pd.DataFrame], ranks: Sequence[int] = ()) -> Figure:
    """Overlay loss and accuracy of trainings, by name, as of :func:`history`.

    ``ranks`` are those of their colours; in order if not given.
    """
    fig = _overlay(runs, ranks or range(len(runs)))
    ends = {name: rows["val_accuracy"].iloc[[0, -1]] for name, rows in runs.items()}
    told = " ; ".join(f"{name} {' puis '.join(map(pct, end))}" for name, end in ends.items())
    return finish(fig, f"Exactitude en validation (époque 1, puis fin) : {told}.")


def _overlay(runs: Mapping[str, pd.DataFrame], ranks: Sequence[int]) -> Figure:
    fig, axes = subplots(2.7, 1, 2)
    for ax, (kind, label) in zip(axes, PANELS.items(), strict=True):
        for (name, rows), look in zip(runs.items(), map(style.series, ranks), strict=True):
            ax.plot(rows[f"train_{kind}"], ls="--", lw=1, ms=2.5, alpha=0.6, **look)
            ax.plot(rows[f"val_{kind}"], ms=4, label=name, **look)
        ax.plot([], color=SOFT, label="validation")
        ax.plot([], color=SOFT, ls="--", lw=1, label="entraînement")
        ax.set_ylabel(label)
        style.epochs(ax, max(int(rows.index[-1]) for rows in runs.values()))
    return fig
