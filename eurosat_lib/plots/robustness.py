"""Figure of notebook 07: accuracy under turns, mirrors and light faults of the image."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.evaluation import Robustness
from eurosat_lib.evaluation.corruptions import CORRUPTIONS, VIEWS
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import percent
from eurosat_lib.plots.style import (
    BLUE,
    MARKERS,
    ORANGE,
    SERIES,
    SOFT,
    categories,
    finish,
    new_figure,
    styled,
)
from eurosat_lib.tables.words import CORRUPTION_NAMES, plural


@styled
def robustness(found: Robustness) -> Figure:
    """Show accuracy with its interval per view, and per corruption and strength."""
    fig = new_figure(3.1)
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    _views(left, found)
    _corruptions(right, found)
    left.set_ylabel("exactitude sur validation (%)")
    percent(left.yaxis)
    drops = ", ".join(
        f"{CORRUPTION_NAMES[kind]} {pct(found.accuracy(found.of(kind)[-1])[0])}"
        for kind in CORRUPTIONS
    )
    alt = (
        f"Sur {plural(found.n, 'image')} de validation, {pct(found.correct / found.n)} telles "
        f"quelles ; {pct(found.stable / found.n)} gardent la même réponse dans les huit vues ; "
        f"à la plus grande force : {drops}."
    )
    return finish(fig, "Exactitude selon l’orientation et les défauts de l’image", alt)


def _views(ax: Axes, found: Robustness) -> None:
    trials = found.of("view")
    for place, trial in enumerate(trials):
        value, low, high = found.accuracy(trial)
        color = ORANGE if place == 0 else BLUE
        ax.errorbar([place], [value], [[value - low], [high - value]], color=color, fmt="o")
    ax.axhline(found.correct / found.n, color=SOFT, ls="--", lw=1)
    ax.set_xticks(range(len(trials)), [name.partition(",")[0] for name in VIEWS])
    categories(ax, "x")
    turns = len(VIEWS) // 2
    middles = [(turns - 1) / 2, turns + (turns - 1) / 2]
    ax.set_xticks(middles, ["rotation seule", "miroir et rotation"], minor=True)
    ax.tick_params(axis="x", which="minor", length=0, pad=16)
    ax.set_title(f"{pct(found.stable / found.n)} : même réponse dans les huit vues")


def _corruptions(ax: Axes, found: Robustness) -> None:
    base = found.correct / found.n
    for color, marker, kind in zip(SERIES, MARKERS, CORRUPTIONS, strict=False):
        points = [found.accuracy(trial) for trial in found.of(kind)]
        values = [base, *(value for value, _, _ in points)]
        places = range(len(values))
        ax.plot(places, values, color=color, marker=marker, label=CORRUPTION_NAMES[kind])
        ax.fill_between(
            list(places)[1:],
            [p[1] for p in points],
            [p[2] for p in points],
            color=color,
            alpha=0.12,
        )
    ax.set_xticks(range(4), ["aucun", "faible", "moyen", "fort"])
    ax.set_xlabel("défaut")
    ax.legend(loc="lower left")
    ax.set_title(f"{nombre(found.n)} images, intervalles à {pct(found.level, 0)}")
