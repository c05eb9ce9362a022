"""Chart of notebook 04: the sweeps of the learning rate and what the rules read in them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.plots.axes import decimal, log_x
from eurosat_lib.plots.style import (
    BLUE,
    GREEN,
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
from eurosat_lib.tables.words import RULES, plural, power

SHADES = (BLUE, PURPLE, GREEN, SOFT, SKY)  # of the seeds
HEADROOM = 1.35  # times the first loss: what is above has diverged


@styled
def lr_sweep(r: LRFinder) -> Figure:
    """Show loss against learning rate, seed by seed, and below it the rules' suggestions."""
    fig = new_figure(4.3)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for rank, sweep in enumerate(r.sweeps):
        color = SHADES[rank % len(SHADES)]
        top.plot(sweep.lr, sweep.loss, color=color, lw=0.6, alpha=0.35)
        end = {"marker": MARKERS[rank % len(MARKERS)], "markevery": [-1]}
        top.plot(sweep.lr, sweep.smoothed, color=color, label=f"graine {sweep.seed}", **end)
    _limits(top, r)
    top.set_ylabel("perte (nats)")
    decimal(top.yaxis)
    top.legend(loc="lower left")
    _rules(bottom, r)
    for ax in (top, bottom):
        log_x(ax)
        _mark(ax, r)
    bottom.set_xlabel("pas d’apprentissage (échelle logarithmique)")
    _say_choice(top, r)
    return finish(fig, "Perte pendant la montée du pas d’apprentissage", _alt(r))


def _limits(ax: Axes, r: LRFinder) -> None:
    lowest = min(min(sweep.smoothed) for sweep in r.sweeps)
    first = max(sweep.smoothed[0] for sweep in r.sweeps)
    below = max(0.25 * (first - lowest), 0.05 * first)
    ax.set_ylim(max(0, lowest - below), HEADROOM * first)


def _rules(ax: Axes, r: LRFinder) -> None:
    """Draw a row of points per rule, one per seed, and a bar at their median."""
    names = list(RULES)
    for rank, sweep in enumerate(r.sweeps):
        found = [(sweep.suggestions[n], y) for y, n in enumerate(names) if n in sweep.suggestions]
        x, y = np.array(found).reshape(-1, 2).T
        color, marker = SHADES[rank % len(SHADES)], MARKERS[rank % len(MARKERS)]
        ax.scatter(x, y, color=color, marker=marker, s=20, zorder=3)
    for name, median in r.by_rule.items():
        y = names.index(name)
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
        text = "aucun pas retenu : la perte d’une graine au moins ne descend pas assez"
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
        return (
            f"{start} : la perte ne descend pas assez pour toutes les graines ; aucun pas retenu."
        )
    low, high = map(power, r.window)
    rules = ", ".join(f"{RULES[name]} {power(lr)}" for name, lr in r.by_rule.items())
    return (
        f"{start} : la perte est plate, descend, puis remonte. Médianes des règles : {rules}. "
        f"Fenêtre de {low} à {high}, pas retenu {power(r.choice)}."
    )
