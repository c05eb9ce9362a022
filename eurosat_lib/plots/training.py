"""Figures of notebooks 04 and 06: the sweep of the learning rate, curves of trainings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib import french as words
from eurosat_lib.comparisons import Recipes
from eurosat_lib.config import Config
from eurosat_lib.french import RULES, duree, factor_value, nombre, pct, plural, power
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.plots import style
from eurosat_lib.plots.style import ORANGE, SEED_COLOURS, finish, styled
from eurosat_lib.search import Comparisons, Training
from eurosat_lib.tables.search import faults

HEADROOM = 1.35  # times the first loss: what is above has diverged
PANELS = {"loss": "perte (nats)", "accuracy": "exactitude (%)"}
UNITS = ((3600, "heures"), (60, "minutes"), (1, "secondes"))  # of a time axis


@styled
def lr_sweep(r: LRFinder) -> Figure:
    """Show loss against learning rate over the seeds, and below it the rules' suggestions."""
    fig = style.new_figure(4.3)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _sweeps(top, r)
    for y, rule in enumerate(RULES):
        for sweep, color, marker in zip(r.sweeps, SEED_COLOURS, style.MARKERS, strict=False):
            look = {"color": color, "marker": marker, "s": 20, "zorder": 3}
            bottom.scatter(sweep.suggestions.get(rule, np.nan), y, **look)
        bottom.plot(r.by_rule.get(rule, np.nan), y, "|", color=style.INK, ms=14, mew=2)
    style.categories(bottom, RULES.values())
    chosen = f"aucun LR retenu : {faults(r)}"
    if r.choice:
        window = f"fenêtre où la perte baisse : {' à '.join(map(power, r.window))}"
        chosen = f"LR proposé : {power(r.choice)} ; {window}"
    for ax in (top, bottom):
        style.log_axis(ax)
        if r.choice:
            ax.axvspan(*r.window, color=ORANGE, alpha=0.1, lw=0)
            ax.axvline(r.choice, color=ORANGE, lw=1.4)
    top.set_title(chosen, color=ORANGE)
    bottom.set_xlabel("LR (échelle logarithmique)")
    told = [plural(len(r.sweeps), "balayage")]
    told += [f"{RULES[name]} {power(lr)}" for name, lr in r.by_rule.items()]
    return finish(fig, f"{' ; '.join(told)} ; {chosen}.")


def _sweeps(ax: Axes, r: LRFinder) -> None:
    """Draw the loss of each seed, as it is and smoothed, then their median and extent."""
    for sweep, color, marker in zip(r.sweeps, SEED_COLOURS, style.MARKERS, strict=False):
        ax.plot(sweep.lr, sweep.loss, color=color, lw=0.5, alpha=0.25)
        look = {"color": color, "lw": 1, "marker": marker, "markevery": [-1]}
        ax.plot(sweep.lr, sweep.smoothed, label=f"graine {sweep.seed}, lissée", **look)
    ax.plot([], color=style.SOFT, lw=0.5, label="perte de chaque pas")
    common = min(len(sweep.lr) for sweep in r.sweeps)
    curves = pd.DataFrame([s.smoothed[:common] for s in r.sweeps], columns=r.sweeps[0].lr[:common])
    look = {"estimator": "median", "errorbar": ("pi", 100), "color": style.INK, "lw": 1.8}
    sns.lineplot(curves.melt(), x="variable", y="value", label="médiane", ax=ax, **look)
    ax.get_legend().remove()
    lowest, first = min(min(sweep.smoothed) for sweep in r.sweeps), curves.iloc[:, 0].max()
    below = max(0.25 * (first - lowest), 0.05 * first)
    ax.set(ylim=(max(0, lowest - below), HEADROOM * first), xlabel="", ylabel="perte (nats)")


@styled
def training_curves(training: Training, config: Config) -> Figure:
    """Show loss and accuracy of the final training, and the epoch whose weights are kept."""
    fit, name = training.fit, training.fit.hyperparameters.name
    curves = style.read_curves(config, training.stage, [name])
    best, last = fit.best, fit.last
    fig = style.new_figure(2.6)
    _overlay(fig, curves, {"": style.series(0)}, len(fit.epochs))
    for ax, kind in zip(fig.axes, PANELS, strict=True):
        look = {"mfc": "none", "mec": ORANGE, "mew": 1.5, "ls": "", "ms": 8}
        label = f"poids gardés : époque {best.epoch}"
        ax.plot(best.epoch, curves[name][f"val/{kind}"][best.epoch], "o", label=label, **look)
        ax.axvline(best.epoch, **style.DASHES)
    alt = f"{pct(best.val_accuracy)} en validation à l’époque {best.epoch} ; à la fin "
    alt += f"({plural(last.epoch, 'époque')}) {pct(last.val_accuracy)}, pertes de "
    alt += f"{nombre(last.train_loss, 3)} (entraînement) et {nombre(last.val_loss, 3)}."
    return finish(fig, alt)


@styled
def comparison(comparisons: Comparisons, factor: str, config: Config) -> Figure:
    """Overlay the trials that differ from the best in one factor, from ``runs/``."""
    facts = comparisons.facts()
    colours, found = style.run_colours(facts), facts[factor]["curves"]
    curves = style.read_curves(config, comparisons.source, [curve["name"] for curve in found])
    labels = [f"{words.SHORT[factor]} = {factor_value(factor, c['value'])}" for c in found]
    looks = {
        label: {"color": colours[name], "marker": style.MARKERS[list(colours).index(name) % 6]}
        for label, name in zip(labels, curves, strict=True)
    }
    fig = style.new_figure(2.7)
    _overlay(fig, curves, looks, comparisons.epochs)
    told = [
        f"{label}, {pct(c['first_val_accuracy'])} puis {pct(c['last_val_accuracy'])}"
        for label, c in zip(labels, found, strict=True)
    ]
    alt = f"Exactitude en validation (époque 1, puis fin) : {' ; '.join(told) or 'aucun run'}."
    return finish(fig, alt)


@styled
def run_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Overlay loss and accuracy of several final trainings.

    Args:
        histories: run -> one row per epoch (index: epoch, from 1), with the columns
            ``train_loss``, ``val_loss`` (nats), ``train_accuracy``, ``val_accuracy`` (in [0, 1]).
    """
    curves = {run: h.rename(columns=lambda c: c.replace("_", "/")) for run, h in histories.items()}
    looks = {run: style.series(rank) for rank, run in enumerate(curves)}
    fig = style.new_figure(3.0)
    _overlay(fig, curves, looks, max(int(curve.index[-1]) for curve in curves.values()))
    told = [
        f"{run} {pct(values.iloc[-1])} à la fin, {pct(values.max())} au mieux"
        for run, values in ((run, h["val_accuracy"]) for run, h in histories.items())
    ]
    return finish(fig, f"Exactitude en validation : {' ; '.join(told)}.")


def _overlay(
    fig: Figure, curves: Mapping[str, pd.DataFrame], looks: Mapping[str, dict], last: int
) -> None:
    """Draw loss and accuracy of epochs 1 … last; ``looks``: label of each curve -> its look."""
    for ax, (kind, label) in zip(fig.subplots(1, 2), PANELS.items(), strict=True):
        for (name, look), curve in zip(looks.items(), curves.values(), strict=True):
            ax.plot(curve[f"train/{kind}"], ls="--", lw=1, ms=2.5, alpha=0.6, **look)
            ax.plot(curve[f"val/{kind}"], ms=4, label=name, **look)
        ax.plot([], color=style.SOFT, label="validation")
        ax.plot([], color=style.SOFT, ls="--", lw=1, label="entraînement")
        ax.set_ylabel(label)
        style.epochs(ax, last)
        if not curves:
            style.say(ax, "aucun run à comparer")


@styled
def recipe_curves(
    found: Recipes | None, training: Training, same_machine: bool = True
) -> Figure | None:
    """Draw validation accuracy of the recipe and the protocol; ``None`` without a recipe.

    Against time of training where it compares, on one machine; else against epochs.
    """
    if found is None:
        return None
    fits = {"protocole": [training.fit], found.title: [run.fit for run in found.runs]}
    longest = max(fit.seconds for group in fits.values() for fit in group)
    unit, name = next((size, name) for size, name in UNITS if longest > 3 * size or size == 1)
    fig, ax = style.one_axes(2.8)
    tops = []
    for rank, (label, group) in enumerate(fits.items()):
        look = style.series(rank) | {"ms": 3, "lw": 1.2, "label": label}
        for fit in group:
            seconds, accuracy = np.array(fit.curve).reshape(-1, 2).T
            places = seconds / unit if same_machine else np.arange(1, len(accuracy) + 1)
            ax.plot(places, accuracy, **look)
            small = [r.epoch - 1 for r in fit.epochs if r.side < fit.last.side]
            if small:
                hollow = {"fc": "white", "ec": look["color"], "s": 20, "zorder": 3}
                ax.scatter(places[small], accuracy[small], label="images réduites", **hollow)
            tops.extend(accuracy)
    top = max(tops)  # the first epochs stay below the frame: what differs is the end
    low = min(value for value in tops if value > top - 0.15)
    ax.set(ylim=(low - 0.01, min(1, top + 0.01)), ylabel="exactitude en validation (%)")
    ax.set_xlabel(f"temps d’entraînement ({name})" if same_machine else "époque")
    recipe, own = found.first.fit, training.fit
    times = [f" en {duree(fit.seconds)}" if same_machine else "" for fit in (recipe, own)]
    alt = f"{found.title} {pct(recipe.val_accuracy, 2)}{times[0]}, {len(recipe.epochs)} époques ; "
    alt += f"protocole {pct(own.best.val_accuracy, 2)} au mieux{times[1]}, {len(own.epochs)}."
    return finish(fig, alt)
