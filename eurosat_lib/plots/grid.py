"""Charts of notebook 05: ranking of the trials, effects of the factors, curves."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eurosat_lib.config import Config
from eurosat_lib.french import nombre, pct, signe
from eurosat_lib.grid import FACTORS, GridSearch, effect
from eurosat_lib.plots.axes import decimal, epochs, percent
from eurosat_lib.plots.curves import Curves, draw, read_curves
from eurosat_lib.plots.style import (
    BLUE,
    MARKERS,
    ORANGE,
    SERIES,
    SMALL,
    SOFT,
    categories,
    finish,
    new_figure,
    one_axes,
    styled,
)
from eurosat_lib.tables import words
from eurosat_lib.training import Fit

LINES = ("-", "--", ":", "-.")


@styled
def grid_ranking(grid: GridSearch) -> Figure:
    """Rank the trials by score; a thin line joins the accuracies of their last two epochs."""
    ranking = grid.ranking
    fig, ax = one_axes(0.15 * len(ranking) + 1.0)
    scores = [fit.score for fit in ranking if not fit.diverged]
    ends = [e.val_accuracy for fit in ranking for e in fit.epochs[-2:] if not fit.diverged]
    low = min(ends, default=0.0)
    for row, fit in enumerate(ranking):
        color = ORANGE if row == 0 and scores else BLUE
        if fit.diverged:
            ax.text(low, row, f"× {words.trial_note(fit)}", va="center", fontsize=7, color=SOFT)
            continue
        tail = [e.val_accuracy for e in fit.epochs[-2:]]
        ax.plot([min(tail), max(tail)], [row, row], color=color, lw=1.2, alpha=0.5)
        ax.plot(fit.score, row, "o", color=color, ms=5 if row else 7)
    if scores:
        ax.annotate(
            pct(scores[0]),
            (scores[0], 0),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            color=ORANGE,
            weight="bold",
        )
    ax.set_yticks(range(len(ranking)), [fit.hyperparameters.name for fit in ranking])
    ax.tick_params(axis="y", labelsize=7)
    ax.set_ylim(len(ranking) - 0.4, -1.3)
    ax.set_xlabel("exactitude sur validation (%) : point, score ; trait, deux dernières époques")
    ax.set_ylabel("run")
    percent(ax.xaxis)
    categories(ax)
    alt = (
        f"{words.plural(len(ranking), 'run')} par score décroissant : "
        f"{ranking[0].hyperparameters.name} en tête ({_score(ranking[0])}), "
        f"{ranking[-1].hyperparameters.name} dernier ({_score(ranking[-1])})."
    )
    return finish(fig, "Classement des runs de la grille", alt)


@styled
def grid_effects(grid: GridSearch) -> Figure:
    """Show, per factor, the change of score of each matched pair and their mean."""
    effects = [effect(grid.trials, factor) for factor in FACTORS]
    labels = [_effect_label(e.factor, e.low, e.high) for e in effects]
    rows = [(label, d) for label, e in zip(labels, effects, strict=True) for d in e.differences]
    fig, ax = one_axes(0.62 * len(effects) + 0.9)
    ax.axvline(0, color=SOFT, lw=1)
    if rows:
        table = pd.DataFrame(rows, columns=["factor", "change"])
        sns.swarmplot(
            table, x="change", y="factor", order=labels, ax=ax, color=BLUE, size=4.5, alpha=0.8
        )
    else:
        ax.set_xlim(-0.05, 0.05)
    notes = []
    for row, e in enumerate(effects):
        facts = e.facts()
        notes.append(_effect_note(facts))
        if facts["pairs"]:
            ax.plot([facts["mean"]] * 2, [row - 0.3, row + 0.3], color=ORANGE, lw=2.2, zorder=5)
        place = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
        ax.text(1.01, row, notes[-1], color=ORANGE if facts["pairs"] else SOFT, **place)
    ax.set_yticks(range(len(effects)), labels)
    ax.set_ylim(len(effects) - 0.5, -0.5)
    ax.set_xlabel("variation du score quand seul ce facteur change (points d’exactitude)")
    ax.set_ylabel("")
    ax.xaxis.set_major_formatter(lambda value, _: _signed(value))
    categories(ax)
    pieces = (
        f"{words.FACTORS[e.factor]} : {note}" for e, note in zip(effects, notes, strict=True)
    )
    alt = "Différences entre runs appariés. " + " ; ".join(p.replace("\n", ", ") for p in pieces)
    return finish(fig, "Effet de chaque facteur, à tout le reste égal", alt + ".")


@styled
def grid_curves(grid: GridSearch, config: Config) -> Figure:
    """Show validation accuracy and loss of all trials: a column per network."""
    curves = read_curves(config, grid.stage, (f.hyperparameters.name for f in grid.trials))
    networks = [
        (int(d), int(b))
        for b in grid.values("blocks_per_stage")
        for d in grid.values("dilation_stage3")
    ]
    fig = new_figure(4.6)
    axes = fig.subplots(2, len(networks), squeeze=False, sharex=True, sharey="row")
    for column, (dilation, blocks) in zip(axes.T, networks, strict=True):
        for ax, tag in zip(column, ("val/accuracy", "val/loss"), strict=True):
            _all_trials(ax, grid, curves, tag, (dilation, blocks))
        column[0].set_title(f"{words.plural(blocks, 'bloc')}, dilatation {dilation}")
        epochs(column[1], grid.epochs)
    axes[0, 0].set_ylabel("exactitude sur validation (%)")
    axes[1, 0].set_ylabel("perte sur validation (nats)")
    percent(axes[0, 0].yaxis)
    decimal(axes[1, 0].yaxis)
    fig.legend(handles=_keys(grid), loc="outside lower center", ncols=5)
    done = [fit for fit in grid.ranking if fit.epochs]
    alt = (
        f"Courbes de validation de {words.plural(len(done), 'run')} sur "
        f"{words.plural(grid.epochs, 'époque')}, une colonne par réseau. Exactitude finale de "
        f"{pct(min((f.last.val_accuracy for f in done), default=0))} à "
        f"{pct(max((f.last.val_accuracy for f in done), default=0))}."
    )
    return finish(fig, "Validation de tous les runs, réseau par réseau", alt)


def _all_trials(
    ax: Axes, grid: GridSearch, curves: Curves, tag: str, network: tuple[int, int]
) -> None:
    rates, decays = grid.values("lr"), grid.values("weight_decay")
    for fit in grid.trials:
        hyper = fit.hyperparameters
        if (hyper.dilation_stage3, hyper.blocks_per_stage) == network:
            rank = rates.index(hyper.lr)
            style = {
                "color": SERIES[rank % len(SERIES)],
                "marker": MARKERS[rank % len(MARKERS)],
                "ls": LINES[decays.index(hyper.weight_decay) % len(LINES)],
            }
            draw(ax, curves[hyper.name], tag, ms=3.5, lw=1.3, **style)


def _keys(grid: GridSearch) -> list[Line2D]:
    rates = [
        Line2D([], [], color=SERIES[k % 6], marker=MARKERS[k % 6], label=f"LR {words.power(v)}")
        for k, v in enumerate(grid.values("lr"))
    ]
    decays = [
        Line2D([], [], color=SOFT, ls=LINES[k % 4], label=f"WD {words.power(v)}")
        for k, v in enumerate(grid.values("weight_decay"))
    ]
    return rates + decays


def _score(fit: Fit) -> str:
    return words.trial_note(fit) or pct(fit.score)


def _effect_label(factor: str, low: float, high: float) -> str:
    values = dict.fromkeys(words.factor_value(factor, value) for value in (low, high))
    return f"{words.FACTORS[factor]}\n{' → '.join(values)}"


def _effect_note(facts: dict) -> str:
    if not facts["pairs"]:
        return "une seule valeur"
    ups = f"{words.plural(facts['wins_high'], 'hausse')} sur {facts['pairs']}"
    return f"{signe(facts['mean'])} en moyenne\n{ups}, p = {nombre(facts['p_value'], 3)}"


def _signed(value: float) -> str:
    text = nombre(round(100 * value, 6))
    return f"+{text}" if value > 0 else text
