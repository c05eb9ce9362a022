"""Charts of notebook 05: ranking of the trials, and their curves."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eurosat_lib.config import Config
from eurosat_lib.french import pct
from eurosat_lib.grid import Candidate, GridSearch, run_name
from eurosat_lib.plots.axes import decimal, epochs, percent
from eurosat_lib.plots.curves import Curves, draw, read_curves
from eurosat_lib.plots.style import (
    BLUE,
    MARKERS,
    ORANGE,
    SERIES,
    SOFT,
    categories,
    finish,
    new_figure,
    one_axes,
    styled,
)
from eurosat_lib.tables import words

LINES = ("-", "--", ":", "-.")


@styled
def grid_ranking(grid: GridSearch) -> Figure:
    """Rank the points by score, and shade what cannot be told from the best.

    A thin line joins the accuracies of their last two epochs, over all their trainings.
    """
    ranking, tied = grid.ranking, {point.name for point in grid.tied}
    fig, ax = one_axes(0.15 * len(ranking) + 1.15)
    ends = [_ends(point) for point in ranking if not point.diverged]
    low = min((min(end) for end in ends), default=0.0)
    for row, point in enumerate(ranking):
        if point.diverged:
            note = f"× {words.trial_note(point)}"
            ax.text(low, row, note, va="center", fontsize=7, color=SOFT)
            continue
        color = ORANGE if row == 0 else BLUE if point.name in tied else SOFT
        tail = _ends(point)
        ax.plot([min(tail), max(tail)], [row, row], color=color, lw=1.2, alpha=0.5)
        face = color if point.name in tied else "white"
        ax.plot(point.score, row, "o", color=color, mfc=face, ms=5 if row else 7)
    if tied:
        _shade_ties(ax, grid)
    ax.set_yticks(range(len(ranking)), [point.name for point in ranking])
    ax.tick_params(axis="y", labelsize=7)
    ax.set_ylim(len(ranking) - 0.4, -1.4)
    ax.set_xlabel("exactitude sur validation (%) : point, score ; trait, deux dernières époques")
    ax.set_ylabel("run")
    percent(ax.xaxis)
    categories(ax)
    alt = (
        f"{words.plural(len(ranking), 'run')} par score décroissant : {ranking[0].name} en tête "
        f"({_score(ranking[0])}), {ranking[-1].name} dernier ({_score(ranking[-1])}) ; "
        f"{len(tied)} dans la marge d’indiscernabilité, {words.points(grid.margin)} points."
    )
    return finish(fig, "Classement des runs de la grille", alt)


def _ends(point: Candidate) -> list[float]:
    return [record.val_accuracy for fit in point.fits for record in fit.epochs[-2:]]


def _shade_ties(ax: Axes, grid: GridSearch) -> None:
    top = grid.best.score
    ax.axvspan(top - grid.margin, top, color=ORANGE, alpha=0.08, lw=0)
    ax.annotate(
        pct(top),
        (top, 0),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        color=ORANGE,
        weight="bold",
    )
    ax.set_title(
        f"bande : {words.plural(len(grid.tied), 'run')} "
        f"indiscernable{'s' if len(grid.tied) > 1 else ''} du meilleur (points pleins)"
    )


@styled
def grid_curves(grid: GridSearch, config: Config) -> Figure:
    """Show validation accuracy and loss of all trials: a column per network."""
    seeds = grid.seeds
    curves = read_curves(config, grid.stage, (run_name(f, seeds) for f in grid.trials))
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
    done = [fit for fit in grid.trials if fit.epochs]
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
            draw(ax, curves[run_name(fit, grid.seeds)], tag, ms=3.5, lw=1.3, **style)


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


def _score(point: Candidate) -> str:
    return words.trial_note(point) or pct(point.score)
