"""Chart of notebook 04: the sweeps of the learning rate and what the rules read in them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.lr_finder import LRFinder, Resets
from eurosat_lib.plots.axes import decimal, log_x
from eurosat_lib.plots.style import (
    BLUE,
    GREEN,
    INK,
    MARKERS,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    SOFT,
    categories,
    finish,
    new_figure,
    styled,
)
from eurosat_lib.tables.words import RULES, faults, plural, power

SHADES = (BLUE, PURPLE, GREEN, SOFT, SKY)  # of the seeds
HEADROOM = 1.35  # times the first loss: what is above has diverged


@styled
def lr_sweep(r: LRFinder) -> Figure:
    """Show loss against learning rate over the seeds, and below it the rules' suggestions.

    With the course's protocol, a third row shows the score of each of its rates.
    """
    fig = new_figure(6.0 if r.resets else 4.3)
    heights = (3, 1, 1.5) if r.resets else (3, 1)
    rows = fig.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    top, middle, last = rows[0], rows[1], rows[-1]
    _curves(top, r)
    _limits(top, r)
    top.set_ylabel("perte (nats)")
    decimal(top.yaxis)
    top.legend(loc="lower left")
    _rules(middle, r)
    if r.resets:
        _resets(last, r.resets)
    for ax in rows:
        log_x(ax)
        _mark(ax, r)
    last.set_xlabel("pas d’apprentissage (échelle logarithmique)")
    _say_choice(top, r)
    return finish(fig, "Perte pendant la montée du pas d’apprentissage", _alt(r))


def _curves(ax: Axes, r: LRFinder) -> None:
    """Draw the smoothed loss of each seed, their band and their median."""
    for rank, sweep in enumerate(r.sweeps):
        color = SHADES[rank % len(SHADES)]
        ax.plot(sweep.lr, sweep.loss, color=color, lw=0.5, alpha=0.25)
        end = {"marker": MARKERS[rank % len(MARKERS)], "markevery": [-1]}
        ax.plot(sweep.lr, sweep.smoothed, color=color, lw=1, label=f"graine {sweep.seed}", **end)
    common = min(len(sweep.lr) for sweep in r.sweeps)
    if len(r.sweeps) > 1:
        smoothed = np.array([sweep.smoothed[:common] for sweep in r.sweeps])
        rates, ends = r.sweeps[0].lr[:common], (smoothed.min(axis=0), smoothed.max(axis=0))
        ax.fill_between(rates, *ends, color=SOFT, alpha=0.22, lw=0, label="étendue des graines")
        ax.plot(rates, np.median(smoothed, axis=0), color=INK, lw=1.8, label="médiane")


def _resets(ax: Axes, resets: Resets) -> None:
    """Draw the score of each rate of the course's protocol, with its standard error."""
    found = [
        (lr, mean, error)
        for lr, mean, error in zip(resets.lr, resets.mean, resets.error, strict=True)
        if mean is not None
    ]
    if found:
        lr, mean, error = zip(*found, strict=True)
        ax.errorbar(lr, mean, error, color=INK, marker="o", ms=3.5, lw=1.1, capsize=2)
        ax.set_ylim(0.9 * min(mean), min(max(mean), HEADROOM * mean[0]) * 1.05)
    if resets.window:
        inside = [(x, y) for x, y, _ in found if resets.window[0] <= x <= resets.window[1]]
        ax.plot(*zip(*inside, strict=True), "o", color=SKY, ms=8, zorder=1)
    ax.set_title(
        f"protocole du cours : perte moyenne des {resets.tail} derniers pas sur {resets.steps}, "
        "± erreur type\n(halo : fenêtre, à 5 % du minimum)"
    )
    ax.set_ylabel("perte (nats)")
    decimal(ax.yaxis)


def _limits(ax: Axes, r: LRFinder) -> None:
    lowest = min(min(sweep.smoothed) for sweep in r.sweeps)
    first = max(sweep.smoothed[0] for sweep in r.sweeps)
    below = max(0.25 * (first - lowest), 0.05 * first)
    ax.set_ylim(max(0, lowest - below), HEADROOM * first)


def _rules(ax: Axes, r: LRFinder) -> None:
    """Draw a row of points per rule, one per seed, their extent, and a bar at their median."""
    names = list(RULES)
    for rank, sweep in enumerate(r.sweeps):
        found = [(sweep.suggestions[n], y) for y, n in enumerate(names) if n in sweep.suggestions]
        x, y = np.array(found).reshape(-1, 2).T
        color, marker = SHADES[rank % len(SHADES)], MARKERS[rank % len(MARKERS)]
        ax.scatter(x, y, color=color, marker=marker, s=20, zorder=3)
    for name, median in r.by_rule.items():
        y = names.index(name)
        ax.plot(r.spread[name], [y, y], color=SOFT, lw=5, alpha=0.25, solid_capstyle="butt")
        ax.plot([median, median], [y - 0.32, y + 0.32], color="black", lw=2, zorder=2)
    ax.set_yticks(range(len(names)), [RULES[name] for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    categories(ax)


def _mark(ax: Axes, r: LRFinder) -> None:
    if r.window:
        ax.axvspan(*r.window, color=ORANGE, alpha=0.13, lw=0)
    if r.choice:
        ax.axvline(r.choice, color=ORANGE, lw=1.4)


def _say_choice(ax: Axes, r: LRFinder) -> None:
    if r.choice is None:
        text = f"aucun pas retenu : {faults(r)}"
        ax.set_title(text, color=ORANGE)
        return
    low, high = map(power, r.window)
    ax.annotate(
        f"retenu : {power(r.choice)}\nfenêtre : {low} → {high}",
        (r.choice, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(-6, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        color=ORANGE,
        fontsize=SMALL,
    )


def _alt(r: LRFinder) -> str:
    start = (
        f"{plural(len(r.sweeps), 'balayage')} de {power(r.sweeps[0].lr[0])} à "
        f"{power(max(s.lr[-1] for s in r.sweeps))}"
    )
    if r.choice is None:
        return f"{start} : {faults(r)} ; aucun pas retenu."
    low, high = map(power, r.window)
    end = f"Fenêtre de {low} à {high}, pas retenu {power(r.choice)}."
    if not r.reliable:
        return f"{start} : {faults(r)} ; le choix vient du protocole du cours. {end}"
    rules = ", ".join(f"{RULES[name]} {power(lr)}" for name, lr in r.by_rule.items())
    return f"{start} : la perte est plate, descend, puis remonte. Médianes : {rules}. {end}"
