"""Chart of notebook 05: what each factor changes, measure by measure."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eurosat_lib.french import nombre
from eurosat_lib.grid import FACTORS, MEASURES, Effect, GridSearch, effect
from eurosat_lib.plots.style import BLUE, INK, ORANGE, SOFT, categories, finish, new_figure, styled
from eurosat_lib.tables import words

TITLES = {
    "speed": "vitesse\n(val, époque 1)",
    "score": "score\n(deux dernières)",
    "gap": "écart train − val\n(deux dernières)",
    "spread": "étendue\n(deux dernières)",
}


@styled
def grid_effects(grid: GridSearch) -> Figure:
    """Show, per factor and measure, the change of each matched pair, the mean, its interval."""
    fig = new_figure(3.6)
    panels = fig.subplots(1, len(MEASURES), sharey=True)
    pieces = []
    for ax, measure in zip(panels, MEASURES, strict=True):
        effects = [effect(grid.trials, factor, measure) for factor in FACTORS]
        for row, found in enumerate(effects):
            _effect_row(ax, row, found)
            if found.pairs:
                text = words.interval(found.mean, found.interval)
                pieces.append(f"{words.FACTORS[found.factor]}, {words.MEASURES[measure]} {text}")
        ax.axvline(0, color=SOFT, lw=1, zorder=1)
        ax.set_title(TITLES[measure])
        ax.margins(x=0.08)
        ax.set_ylim(len(FACTORS) - 0.5, -0.5)
        ax.xaxis.set_major_locator(MaxNLocator(3, symmetric=True))
        ax.xaxis.set_major_formatter(lambda value, _: _signed(value))
        ax.set_xlabel("points")
        categories(ax)
    panels[0].set_yticks(range(len(FACTORS)), [_effect_label(found) for found in effects])
    alt = "Variation moyenne, en points, et intervalle : " + " ; ".join(pieces or ["aucune paire"])
    return finish(fig, "Variation de chaque mesure quand un seul facteur change", alt + ".")


def _effect_row(ax: Axes, row: int, found: Effect) -> None:
    """Draw the pairs as small points above, the mean and its interval below."""
    if not found.pairs:
        ax.text(0, row, "une seule valeur", ha="center", va="center", fontsize=7, color=SOFT)
        return
    changes = [pair.difference for pair in found.pairs]
    ax.plot(changes, [row - 0.14] * len(changes), "o", color=BLUE, ms=3, alpha=0.45, mew=0)
    color = ORANGE if found.sign else INK
    if found.interval:
        ax.plot(found.interval, [row + 0.14] * 2, color=color, lw=1.6)
    ax.plot(found.mean, row + 0.14, "D", color=color, ms=5)


def _effect_label(found: Effect) -> str:
    ends = (found.low, found.high)
    values = dict.fromkeys(words.factor_value(found.factor, value) for value in ends)
    return f"{words.FACTORS[found.factor]}\n{' → '.join(values)}"


def _signed(value: float) -> str:
    text = nombre(round(100 * value, 6))
    return f"+{text}" if value > 0 else text
