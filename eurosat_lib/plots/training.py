"""Charts of notebook 06: the final training, and trials laid over each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.config import Config
from eurosat_lib.french import liste, nombre, pct
from eurosat_lib.grid import Comparisons
from eurosat_lib.plots.axes import decimal, epochs, label_ends, percent
from eurosat_lib.plots.curves import Curves, draw, read_curves
from eurosat_lib.plots.style import (
    BLUE,
    MARKERS,
    ORANGE,
    SERIES,
    SMALL,
    SOFT,
    finish,
    new_figure,
    say,
    styled,
)
from eurosat_lib.tables import words
from eurosat_lib.training.final import Training

LEGEND = {"loss": "trait plein : validation ; tirets : entraînement", "accuracy": ""}
PANELS = (("loss", "perte (nats)"), ("accuracy", "exactitude (%)"))
PARTS = (("train", "entraînement", ORANGE, "s"), ("val", "validation", BLUE, "o"))


@styled
def training_curves(training: Training, config: Config) -> Figure:
    """Show loss and accuracy of the final training, and the epoch whose weights are kept."""
    fit = training.fit
    name = fit.hyperparameters.name
    curve = read_curves(config, training.stage, [name])[name]
    fig = new_figure(2.5)
    for ax, (kind, label) in zip(fig.subplots(1, 2), PANELS, strict=True):
        for part, _, color, marker in PARTS:
            draw(ax, curve, f"{part}/{kind}", color=color, marker=marker, ms=3)
        ax.set_ylabel(label)
        epochs(ax, len(fit.epochs))
        (percent if kind == "accuracy" else decimal)(ax.yaxis)
        _mark_best(ax, fit.best.epoch, curve[f"val/{kind}"])
        ends = [(len(curve), curve[f"{p}/{kind}"].iloc[-1], text, c) for p, text, c, _ in PARTS]
        label_ends(ax, ends)
    best, last = fit.best, fit.last
    alt = (
        f"{words.plural(len(fit.epochs), 'époque')}. Perte d’entraînement de "
        f"{nombre(fit.epochs[0].train_loss, 3)} à {nombre(last.train_loss, 3)}, de validation de "
        f"{nombre(fit.epochs[0].val_loss, 3)} à {nombre(last.val_loss, 3)} ; exactitude sur "
        f"validation de {pct(fit.epochs[0].val_accuracy)} à {pct(last.val_accuracy)}, la "
        f"meilleure à l’époque {best.epoch} : {pct(best.val_accuracy)}."
    )
    title = (
        f"Entraînement complet : {pct(best.val_accuracy)} sur validation à l’époque {best.epoch}"
    )
    return finish(fig, title, alt)


def _mark_best(ax: Axes, epoch: int, values: pd.Series) -> None:
    ax.axvline(epoch, color=SOFT, ls="--", lw=1)
    ax.plot(epoch, values[epoch], "o", ms=8, mfc="none", mec=BLUE, mew=1.5)
    ax.annotate(
        f"retenue : époque {epoch}",
        (epoch, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        color=SOFT,
        fontsize=SMALL,
    )


@styled
def comparison(comparisons: Comparisons, factor: str, config: Config) -> Figure:
    """Overlay the trials that differ from the best in one factor.

    Args:
        comparisons: which trials.
        factor: ``lr``, ``weight_decay``, ``dilation_stage3`` or ``blocks_per_stage``.
        config: for its folder ``runs``.
    """
    found = comparisons.of(factor).curves
    curves = read_curves(config, comparisons.source, (curve.name for curve in found))
    labels = [_value(factor, curve.value) for curve in found]
    fig = new_figure(2.4)
    for ax, (kind, label) in zip(fig.subplots(1, 2), PANELS, strict=True):
        _overlay(ax, curves, kind, labels)
        ax.set_ylabel(label)
        epochs(ax, comparisons.epochs)
        (percent if kind == "accuracy" else decimal)(ax.yaxis)
        _label_overlay(ax, curves, kind, labels)
        ax.set_title(LEGEND[kind])
    alt = "Par valeur : " + " ; ".join(
        f"{label}, validation {pct(c.first_val_accuracy)} après une époque et "
        f"{pct(c.last_val_accuracy)} à la fin (entraînement {pct(c.last_train_accuracy)})"
        for label, c in zip(labels, found, strict=True)
    )
    alt += f". Les autres réglages sont ceux de {comparisons.best}."
    values = [words.factor_value(factor, curve.value) for curve in found] or ["aucun run"]
    title = f"{words.capital(words.FACTORS[factor])} : {liste(values)}"
    return finish(fig, title, alt)


def _value(factor: str, value: float) -> str:
    pattern = {"dilation_stage3": "D = {}", "blocks_per_stage": "{} blocs"}.get(factor, "{}")
    return pattern.format(words.factor_value(factor, value))


def _overlay(ax: Axes, curves: Curves, kind: str, labels: Sequence[str]) -> None:
    for rank, curve in enumerate(curves.values()):
        style = {"color": SERIES[rank % len(SERIES)], "marker": MARKERS[rank % len(MARKERS)]}
        draw(ax, curve, f"train/{kind}", ls="--", lw=1, ms=2.5, alpha=0.6, **style)
        draw(ax, curve, f"val/{kind}", ms=4, **style)
    if not curves:
        say(ax, "aucun run à comparer")


def _label_overlay(ax: Axes, curves: Curves, kind: str, labels: Sequence[str]) -> None:
    ends = []
    for rank, (curve, label) in enumerate(zip(curves.values(), labels, strict=True)):
        values = curve[f"val/{kind}"].dropna()
        if len(values):
            color = SERIES[rank % len(SERIES)]
            ends.append((values.index[-1], values.iloc[-1], label, color))
    label_ends(ax, ends)
