"""Charts of notebook 03: the signal of each layer, the overfit and its control."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.checks import InitialLoss, Overfit, ShuffledLabels
from eurosat_lib.checks.shuffled import Memory
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import decimal, epochs, log_y, percent
from eurosat_lib.plots.style import (
    BLUE,
    ORANGE,
    SMALL,
    SOFT,
    categories,
    finish,
    new_figure,
    styled,
)
from eurosat_lib.tables.words import layer_place, plural

TRUE, SHUFFLED = "vraies étiquettes", "étiquettes mélangées"


@styled
def signals(r: InitialLoss) -> Figure:
    """Show, layer by layer, the strength of the output, the zeros after ReLU, the gradient."""
    rows = range(len(r.signals))
    fig = new_figure(0.24 * len(rows) + 1.15)
    forward, zeros, backward = axes = fig.subplots(1, 3, sharey=True)
    theory = {"color": ORANGE, "marker": "|", "s": 110, "lw": 2.2}
    forward.scatter([s.expected for s in r.signals], rows, label="théorie", **theory)
    forward.scatter([s.rms for s in r.signals], rows, s=20, color=BLUE, label="mesure", zorder=3)
    fig.legend(loc="outside lower center", ncols=2)
    shown = [(s.zeros, row) for row, s in enumerate(r.signals) if s.zeros is not None]
    zeros.scatter([0.5 for _ in shown], [row for _, row in shown], **theory)
    zeros.scatter(*zip(*shown, strict=True), s=20, color=BLUE, zorder=3)
    backward.scatter([s.gradient for s in r.signals], rows, s=20, color=BLUE, zorder=3)
    forward.set_xlabel("sortie (moyenne quadratique)")
    zeros.set_xlabel("zéros après ReLU (%)")
    backward.set_xlabel("gradient de la sortie (norme)")
    zeros.set_xlim(0, 1)
    zeros.set_xticks((0, 0.5, 1))
    percent(zeros.xaxis)
    for ax in (forward, backward):
        ax.set_xlim(0)
        decimal(ax.xaxis)
    forward.set_yticks(rows, [_name(s.name) for s in r.signals])
    forward.invert_yaxis()
    for ax in axes:
        categories(ax)
        ax.grid(True, axis="y")
    ratios = [s.ratio for s in r.signals]
    alt = (
        f"Rapport de la mesure à la théorie, selon la couche : {nombre(min(ratios), 2)} à "
        f"{nombre(max(ratios), 2)}. Zéros après ReLU : {pct(min(z for z, _ in shown))} à "
        f"{pct(max(z for z, _ in shown))}."
    )
    return finish(fig, "Le signal dans le réseau neuf, à l’aller et au retour", alt)


def _name(layer: str) -> str:
    place, part = layer_place(layer)
    return place if part == "convolution" else "logits"


@styled
def overfit(r: Overfit, control: ShuffledLabels) -> Figure:
    """Show the few images learnt by heart, and what a validation makes of it."""
    fig = new_figure(2.9)
    left, right = fig.subplots(1, 2, width_ratios=(1.5, 1))
    _losses(left, r, control)
    _validation(right, control)
    facts = control.facts()
    state = "atteint" if r.reached else "non atteint"
    alt = (
        f"La perte va de {nombre(r.losses[0], 3)} à {nombre(r.losses[-1], 4)} en "
        f"{plural(len(r.losses), 'époque')} (but de {nombre(r.target_loss)} {state}) ; "
        f"l’exactitude va de {pct(r.accuracies[0])} à {pct(r.accuracies[-1])}. Sur "
        f"{plural(facts['n_pairs'], 'tirage')}, exactitude moyenne en validation : "
        f"{pct(facts['true_accuracy'])} avec les {TRUE}, {pct(facts['shuffled_accuracy'])} avec "
        f"les {SHUFFLED}, {pct(facts['chance'])} au hasard."
    )
    return finish(fig, f"{r.size} images apprises par cœur, et la contre-épreuve", alt)


def _losses(ax: Axes, r: Overfit, control: ShuffledLabels) -> None:
    thin = {"lw": 0.9, "alpha": 0.55}
    for pair in control.pairs:
        for memory, color in ((pair.shuffled, ORANGE), (pair.true, BLUE)):
            ax.plot(range(1, len(memory.losses) + 1), memory.losses, color=color, **thin)
    ax.plot(range(1, len(r.losses) + 1), r.losses, color=BLUE, marker="o", ms=2.5, zorder=3)
    ax.axhline(r.target_loss, color=SOFT, ls="--", lw=1.2)
    log_y(ax)
    ax.set_ylabel("perte d’entraînement (nats)")
    longest = max(len(m.losses) for p in control.pairs for m in (p.true, p.shuffled))
    epochs(ax, max(longest, len(r.losses)))
    note = {"fontsize": SMALL, "textcoords": "offset points"}
    target = f"but : {nombre(r.target_loss)}"
    ax.annotate(target, (1, r.target_loss), xytext=(0, 3), color=SOFT, **note)
    end = (len(r.losses), r.losses[-1])
    ax.plot(*end, "o", color=BLUE, ms=6)
    bold = f"{TRUE} (en gras : cet essai, fin à {nombre(r.losses[-1], 4)})"
    for row, (text, color) in enumerate(((bold, BLUE), (SHUFFLED, ORANGE))):
        style = {"color": color, "ha": "right", "va": "top", "fontsize": SMALL}
        ax.text(0.98, 0.98 - 0.09 * row, text, transform=ax.transAxes, **style)


def _validation(ax: Axes, control: ShuffledLabels) -> None:
    for pair in control.pairs:
        heights = (pair.true.validation_accuracy, pair.shuffled.validation_accuracy)
        ax.plot((0, 1), heights, color=SOFT, lw=0.9, zorder=2)
        ax.scatter((0, 1), heights, s=26, color=(BLUE, ORANGE), zorder=3)
    chance = control.facts()["chance"]
    ax.axhline(chance, color=SOFT, ls=":", lw=1.2)
    ax.set_xlim(-0.35, 2.1)
    style = {"color": SOFT, "fontsize": SMALL, "ha": "right", "va": "bottom"}
    ax.text(2.07, chance, f"hasard : {pct(chance)}", **style)
    ax.set_xticks((0, 1), ("vraies", "mélangées"))
    ax.set_xlabel("étiquettes apprises")
    ax.set_ylabel("exactitude en validation (%)")
    ax.set_title(plural(control.validation_images, "image"))
    ax.set_ylim(0, min(1, max(_best(p.true, p.shuffled) for p in control.pairs) * 1.25 + 0.02))
    percent(ax.yaxis)
    categories(ax, "x")


def _best(*memories: Memory) -> float:
    return max(m.validation_accuracy for m in memories)
