"""Notebook 04: the stored sweep read again, with another smoothing and another rule."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eurosat_lib.config import Config
from eurosat_lib.french import FAULTS, RULES, nombre, power
from eurosat_lib.lr_finder import LRFinder, fault, grid_rates, round_digits, smooth, suggest
from eurosat_lib.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    decimal,
    finish,
    log_x,
    one_axes,
    styled,
)
from eurosat_lib.protocol import ChosenLR, choose_lr, chosen_lr, forget_lr
from eurosat_lib.widgets.controls import NAMED, WIDE, slider, steps
from eurosat_lib.widgets.pictures import SHOWN, figure_png, freeze, line
from eurosat_lib.widgets.shell import view

MEDIAN = "median"  # of all rules
SHADES = (BLUE, PURPLE, GREEN, SOFT, SKY)  # of the seeds
HEADROOM = 1.35  # times the first loss: what is above has diverged
CHOICES = {"médiane de toutes": MEDIAN} | {text: rule for rule, text in RULES.items()}


@dataclass(frozen=True)
class Reading:
    """A sweep read with some smoothing by some rule.

    Attributes:
        smoothed: per seed, float64 (n,), nats.
        rates: suggestions of the rule, over the seeds; empty if a curve supports none.
        faults: seed -> why it supports none.
    """

    smoothed: tuple[np.ndarray, ...]
    rates: tuple[float, ...]
    faults: dict[int, str]

    @property
    def choice(self) -> float | None:
        """Median of the suggestions, to two digits; ``None`` if a curve is at fault."""
        return round_digits(statistics.median(self.rates)) if self.rates else None


def read_sweep(result: LRFinder, smoothing: float, rule: str = MEDIAN) -> Reading:
    """Smooth the stored losses again and read them.

    Args:
        result: of the LR finder.
        smoothing: weight of the past, in [0, 1).
        rule: one of ``lr_finder.suggest``, or ``median`` of them all.
    """
    smoothed, rates, faults = [], [], {}
    for sweep in result.sweeps:
        curve, lr = smooth(np.array(sweep.loss), smoothing), np.array(sweep.lr)
        ended = sweep.stopped == "end"
        reason, found = fault(lr, curve, ended), suggest(lr, curve, ended)
        smoothed.append(curve)
        if reason:
            faults[sweep.seed] = reason
        rates += found.values() if rule == MEDIAN else [found[rule]] if found else []
    return Reading(tuple(smoothed), () if faults else tuple(rates), faults)


def describe(result: LRFinder, read: Reading) -> str:
    """Say in French what a reading gives."""
    if read.choice is None:
        why = ", ".join(f"graine {seed} : {FAULTS[why]}" for seed, why in read.faults.items())
        return f"Aucun LR à lire ainsi ({why})."
    kept = f"Le choix du notebook est {power(result.choice)}." if result.choice else ""
    span = ""
    if len(read.rates) > 1:
        span = f", lectures de {power(min(read.rates))} à {power(max(read.rates))}"
    return f"LR lu ainsi : <b>{power(read.choice)}</b>{span}. {kept}"


@styled
def _chart(result: LRFinder) -> Figure:
    fig, ax = one_axes(2.9)
    for rank, sweep in enumerate(result.sweeps):
        color = SHADES[rank % len(SHADES)]
        ax.plot(sweep.lr, sweep.loss, color=color, lw=0.5, alpha=0.3)
        label = f"graine {sweep.seed}"
        ax.plot(sweep.lr, sweep.smoothed, color=color, lw=1.3, label=label, gid="smoothed")
    lowest = min(min(sweep.smoothed) for sweep in result.sweeps)
    first = max(sweep.smoothed[0] for sweep in result.sweeps)
    ax.set_ylim(max(0, 0.8 * lowest), HEADROOM * first)
    log_x(ax)
    decimal(ax.yaxis)
    ax.axvline(result.sweeps[0].lr[0], color=ORANGE, lw=2, gid="choice")
    ax.set_xlabel("pas d’apprentissage (échelle logarithmique)")
    ax.set_ylabel("perte (nats)")
    ax.legend(loc="lower left")
    return freeze(finish(fig, "Le balayage, relu", "Perte selon le pas d’apprentissage."))


class Chart:
    """The stored sweep, whose curves and choice move."""

    def __init__(self, result: LRFinder) -> None:
        """Draw it once."""
        self.result, self.figure = result, _chart(result)
        lines = self.figure.axes[0].lines
        self.curves = [one for one in lines if one.get_gid() == "smoothed"]
        self.mark = next(one for one in lines if one.get_gid() == "choice")

    def read(self, smoothing: float, rule: str) -> tuple[Reading, bytes]:
        """Return a reading and its picture (PNG)."""
        found = read_sweep(self.result, smoothing, rule)
        for curve, values in zip(self.curves, found.smoothed, strict=True):
            curve.set_ydata(values)
        self.mark.set_visible(found.choice is not None)
        if found.choice is not None:
            self.mark.set_xdata([found.choice] * 2)
        return found, figure_png(self.figure)


def state(config: Config, result: LRFinder) -> str:
    """Say which learning rates notebook 05 will try, and why."""
    if config.grid.lr is not None:
        rates = "la configuration les donne (<code>grid.lr</code>), aucun choix n’y change rien"
    else:
        kept = chosen_lr(config)
        center = kept.lr if kept else result.choice
        where = f"artifacts/{config.paths.name}/results/chosen_lr.json".replace("//", "/")
        rates = (
            f"votre choix, {power(kept.lr)}, gardé dans <code>{where}</code>"
            if kept
            else f"le choix du LR finder, {power(center)}"
            if center
            else "la valeur de repli de la configuration"
        )
        rates += f" ; LR essayés : {' ; '.join(map(power, grid_rates(config, center)))}"
    return f"<b>Pour le notebook 05</b> : {rates}."


@view
def sweep(config: Config, result: LRFinder) -> Any:
    """Move the smoothing and the rule; use the learning rate they give, or withdraw it."""
    import ipywidgets as w

    chart = Chart(result)
    smoothing = slider(steps(0, 0.99, 0.01), result.smoothing, "lissage", lambda v: nombre(v, 2))
    wide = {"layout": w.Layout(width=WIDE), "style": {"description_width": NAMED}}
    rule = w.Dropdown(options=CHOICES, value=MEDIAN, description="règle", **wide)
    use = w.Button(description="Utiliser ce LR", button_style="primary")
    undo = w.Button(description="Annuler le choix")
    text, picture, kept = w.HTML(), w.Image(format="png", width=SHOWN), w.HTML()

    def draw(*_: Any) -> None:
        """Draw the sweep under the chosen smoothing and rule."""
        found, picture.value = chart.read(smoothing.value, rule.value)
        text.value = line(describe(result, found))
        use.disabled = found.choice is None or config.grid.lr is not None

    def tell(*_: Any) -> None:
        kept.value = line(state(config, result))
        undo.disabled = chosen_lr(config) is None

    def keep(*_: Any) -> None:
        """Write the learning rate for notebook 05."""
        lr = read_sweep(result, smoothing.value, rule.value).choice
        choose_lr(config, ChosenLR(lr=lr, rule=rule.value, smoothing=round(smoothing.value, 4)))
        tell()

    def withdraw(*_: Any) -> None:
        forget_lr(config)
        tell()

    for control in (smoothing, rule):
        control.observe(draw, "value")
    use.on_click(keep)
    undo.on_click(withdraw)
    draw()
    tell()
    return w.VBox([smoothing, rule, text, picture, w.HBox([use, undo]), kept])
