"""Figures of notebooks 04 and 06: the sweep of the learning rate, curves of trainings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib import french as words
from eurosat_lib.comparisons import Recipes
from eurosat_lib.config import Config
from eurosat_lib.french import RULES, duree, factor_value, nombre, pct, plural, power
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, ORANGE, SOFT, draw, finish, note, styled
from eurosat_lib.search import Comparisons, Training
from eurosat_lib.tables import faults

SHADES = (BLUE, style.PURPLE, style.GREEN, SOFT, style.SKY)  # of the seeds of a sweep
HEADROOM = 1.35  # times the first loss: what is above has diverged
PANELS = {"loss": "perte (nats)", "accuracy": "exactitude (%)"}
UNITS = ((3600, "heures"), (60, "minutes"), (1, "secondes"))  # of a time axis


@styled
def lr_sweep(r: LRFinder) -> Figure:
    """Show loss against learning rate over the seeds, and below it the rules' suggestions."""
    fig = style.new_figure(4.3)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _sweeps(top, r)
    _rules(bottom, r)
    for ax in (top, bottom):
        style.log_x(ax)
        if r.choice:
            ax.axvspan(*r.window, color=ORANGE, alpha=0.13, lw=0)
            ax.axvline(r.choice, color=ORANGE, lw=1.4)
    if r.choice:
        chosen = f"retenu : {power(r.choice)} \nfenêtre : {' → '.join(map(power, r.window))} "
        place = {"transform": top.get_xaxis_transform(), "ha": "right", "va": "top"}
        note(top, r.choice, 0.97, chosen, ORANGE, **place)
    else:
        chosen = f"aucun pas retenu : {faults(r)}"
        top.set_title(chosen, color=ORANGE)
    bottom.set_xlabel("pas d’apprentissage (échelle logarithmique)")
    medians = [f"{RULES[name]} {power(lr)}" for name, lr in r.by_rule.items()]
    alt = f"{plural(len(r.sweeps), 'balayage')} ; {', '.join(medians)} ; {chosen}.".replace(
        " \n", ", "
    )
    return finish(fig, "Perte pendant la montée du pas d’apprentissage", alt)


def _sweeps(ax: Axes, r: LRFinder) -> None:
    """Draw the smoothed loss of each seed, their band and their median."""
    for rank, sweep in enumerate(r.sweeps):
        color, marker = SHADES[rank % len(SHADES)], style.MARKERS[rank % 6]
        ax.plot(sweep.lr, sweep.loss, color=color, lw=0.5, alpha=0.25)
        look = {"color": color, "lw": 1, "marker": marker, "markevery": [-1]}
        ax.plot(sweep.lr, sweep.smoothed, label=f"graine {sweep.seed}", **look)
    common = min(len(sweep.lr) for sweep in r.sweeps)
    smoothed, rates = np.array([s.smoothed[:common] for s in r.sweeps]), r.sweeps[0].lr[:common]
    if len(r.sweeps) > 1:
        look = {"color": SOFT, "alpha": 0.22, "lw": 0, "label": "étendue des graines"}
        ax.fill_between(rates, smoothed.min(0), smoothed.max(0), **look)
        ax.plot(rates, np.median(smoothed, 0), color=style.INK, lw=1.8, label="médiane")
    lowest, first = min(min(sweep.smoothed) for sweep in r.sweeps), smoothed[:, 0].max()
    below = max(0.25 * (first - lowest), 0.05 * first)
    ax.set(ylim=(max(0, lowest - below), HEADROOM * first), ylabel="perte (nats)")
    style.decimal(ax.yaxis)
    ax.legend(loc="lower left")


def _rules(ax: Axes, r: LRFinder) -> None:
    """Draw a row of points per rule, one per seed, their extent, and a bar at their median."""
    for y, rule in enumerate(RULES):
        for rank, sweep in enumerate(r.sweeps):
            look = {"color": SHADES[rank % len(SHADES)], "marker": style.MARKERS[rank % 6]}
            ax.scatter(sweep.suggestions.get(rule, np.nan), y, s=20, zorder=3, **look)
        if rule in r.by_rule:
            ax.plot(r.spread[rule], [y, y], color=SOFT, lw=5, alpha=0.25, solid_capstyle="butt")
            ax.plot([r.by_rule[rule]] * 2, [y - 0.32, y + 0.32], color="black", lw=2, zorder=2)
    ax.set_yticks(range(len(RULES)), RULES.values())
    ax.set_ylim(len(RULES) - 0.4, -0.6)
    style.categories(ax)


@styled
def training_curves(training: Training, config: Config) -> Figure:
    """Show loss and accuracy of the final training, and the epoch whose weights are kept."""
    fit, name = training.fit, training.fit.hyperparameters.name
    curve = style.read_curves(config, training.stage, [name])[name]
    best, last = fit.best, fit.last
    fig = style.new_figure(2.5)
    for ax, kind in _panels(fig, len(fit.epochs)):
        draw(ax, curve, f"train/{kind}", color=ORANGE, marker="s", ms=3)
        draw(ax, curve, f"val/{kind}", color=BLUE, marker="o", ms=3)
        train, val = curve[f"train/{kind}"], curve[f"val/{kind}"]
        ax.axvline(best.epoch, color=SOFT, ls="--", lw=1)
        ax.plot(best.epoch, val[best.epoch], "o", ms=8, mfc="none", mec=BLUE, mew=1.5)
        place = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        note(ax, best.epoch, 1.02, f"retenue : époque {best.epoch}", **place)
        style.label_ends(ax, [_end(train, "entraînement", ORANGE), _end(val, "validation", BLUE)])
    score = f"{pct(best.val_accuracy)} sur validation à l’époque {best.epoch}"
    alt = (
        f"{score} ; à la fin ({plural(len(fit.epochs), 'époque')}), {pct(last.val_accuracy)}, "
        f"pertes de {nombre(last.train_loss, 3)} (entraînement) et {nombre(last.val_loss, 3)}."
    )
    return finish(fig, f"Entraînement complet : {score}", alt)


@styled
def comparison(comparisons: Comparisons, factor: str, config: Config) -> Figure:
    """Overlay the trials that differ from the best in one factor.

    Args:
        comparisons: which trials.
        factor: ``lr``, ``weight_decay``, ``dilation_stage3`` or ``blocks_per_stage``.
        config: for its folder ``runs``.
    """
    found = comparisons.of(factor).curves
    curves = style.read_curves(config, comparisons.source, [curve.name for curve in found])
    values = [factor_value(factor, curve.value) for curve in found]
    pattern = {"dilation_stage3": "D = {}", "blocks_per_stage": "{} blocs"}.get(factor, "{}")
    labels = [pattern.format(value) for value in values]
    fig = style.new_figure(2.4)
    _overlay(fig, dict(zip(labels, curves.values(), strict=True)), comparisons.epochs)
    for ax, kind in zip(fig.axes, PANELS, strict=True):
        ends = zip(curves.values(), labels, style.SERIES, strict=False)
        style.label_ends(ax, [_end(curve[f"val/{kind}"], *look) for curve, *look in ends])
    told = [
        f"{label}, validation {pct(c.first_val_accuracy)} après une époque et "
        f"{pct(c.last_val_accuracy)} à la fin (entraînement {pct(c.last_train_accuracy)})"
        for label, c in zip(labels, found, strict=True)
    ]
    alt = f"Autour de {comparisons.best} : {' ; '.join(told)}."
    title = f"{words.capital(words.FACTORS[factor])} : {words.liste(values or ['aucun run'])}"
    return finish(fig, title, alt)


@styled
def run_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Overlay loss and accuracy of several final trainings.

    Args:
        histories: run -> one row per epoch (index: epoch, from 1), with the columns
            ``train_loss``, ``val_loss`` (nats), ``train_accuracy``, ``val_accuracy`` (in [0, 1]).
    """
    curves = {run: h.rename(columns=lambda c: c.replace("_", "/")) for run, h in histories.items()}
    fig = style.new_figure(3.2)
    _overlay(fig, curves, max(int(curve.index[-1]) for curve in curves.values()))
    lines = fig.axes[0].get_lines()[1::2]
    fig.legend(lines, list(curves), loc="outside lower left", ncols=len(curves))
    ends = {run: history["val_accuracy"].dropna() for run, history in histories.items()}
    told = [
        f"{run} : exactitude sur validation {pct(accuracy.iloc[-1])} à la fin, "
        f"{pct(accuracy.max())} au mieux (époque {accuracy.idxmax()} sur {len(histories[run])})"
        for run, accuracy in ends.items()
    ]
    return finish(fig, "Courbes d’entraînement des deux runs", f"{' ; '.join(told)}.")


def _panels(fig: Figure, last: int) -> list[tuple[Axes, str]]:
    """Prepare a panel for the loss and one for the accuracy of epochs 1 … last."""
    axes = fig.subplots(1, 2)
    for ax, label in zip(axes, PANELS.values(), strict=True):
        ax.set_ylabel(label)
        style.epochs(ax, last)
    style.decimal(axes[0].yaxis)
    style.percent(axes[1].yaxis)
    return list(zip(axes, PANELS, strict=True))


def _overlay(fig: Figure, curves: Mapping[str, pd.DataFrame], last: int) -> None:
    for ax, kind in _panels(fig, last):
        for rank, curve in enumerate(curves.values()):
            look = {"color": style.SERIES[rank % 6], "marker": style.MARKERS[rank % 6]}
            draw(ax, curve, f"train/{kind}", ls="--", lw=1, ms=2.5, alpha=0.6, **look)
            draw(ax, curve, f"val/{kind}", ms=4, **look)
        if not curves:
            style.say(ax, "aucun run à comparer")
    fig.axes[0].set_title("trait plein : validation ; tirets : entraînement")


def _end(values: pd.Series, label: str, color: str) -> tuple[float, float, str, str]:
    values = values.dropna()
    return (values.index[-1], values.iloc[-1], label, color) if len(values) else (np.nan,) * 4


@styled
def recipe_curves(
    found: Recipes | None, training: Training, same_machine: bool = True
) -> Figure | None:
    """Draw validation accuracy against time of training, for the recipe and the protocol.

    Args:
        found: the recipe; ``None`` draws nothing.
        training: the protocol's final training.
        same_machine: whether the times of both compare; the figure says so if they do not.
    """
    if found is None:
        return None
    fits = [training.fit, *(run.fit for run in found.runs)]
    longest = max(fit.seconds for fit in fits)
    unit, name = next((size, name) for size, name in UNITS if longest > 3 * size or size == 1)
    fig, ax = style.one_axes(2.9)
    labels = ["protocole", found.title, *[None] * len(fits)]
    for rank, fit in enumerate(fits):
        seconds, accuracy = np.array(fit.curve).reshape(-1, 2).T
        look = {"color": BLUE, "marker": "o"} if rank else {"color": ORANGE, "marker": "s"}
        ax.plot(seconds / unit, accuracy, ms=3, lw=1.2, label=labels[rank], **look)
        small = [record.side < fit.last.side for record in fit.epochs]
        if any(small):
            ax.plot(seconds[small] / unit, accuracy[small], "o", mfc="white", mec=BLUE, ms=4.5)
            ax.set_title("cercles vides : apprentissage sur des images réduites")
    values = np.array([value for fit in fits for _, value in fit.curve])
    top = values.max()  # the first epochs stay below the frame: what differs is the end
    ax.set_ylim(values[values > top - 0.15].min() - 0.01, min(1.0, top + 0.01))
    where = "" if same_machine else ", chacun sur sa machine"
    ax.set(xlabel=f"temps d’entraînement ({name}){where}", ylabel="exactitude sur validation (%)")
    style.decimal(ax.xaxis)
    style.percent(ax.yaxis)
    ax.legend(loc="lower right")
    first, protocol = found.first.fit, training.fit
    alt = (
        f"{found.title} : {pct(first.val_accuracy, 2)} sur validation après "
        f"{duree(first.seconds)} ; protocole : {pct(protocol.best.val_accuracy, 2)} au mieux, "
        f"{duree(protocol.seconds)} en tout{where}."
    )
    return finish(fig, "Exactitude selon le temps d’entraînement", alt)
