"""Charts of notebooks 02 and 03: baselines, initial loss, gradients."""

from __future__ import annotations

import statistics

import numpy as np
from matplotlib.figure import Figure

from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import InitialLoss
from eurosat_lib.evaluation import wilson
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import decimal, log_x, percent
from eurosat_lib.plots.style import (
    BLUE,
    ORANGE,
    SMALL,
    SOFT,
    categories,
    finish,
    one_axes,
    styled,
)
from eurosat_lib.tables.words import layer_place, power

LEVEL = 0.95  # of the intervals


@styled
def baselines(b: Baselines) -> Figure:
    """Show the validation accuracies to beat, with their 95 % intervals, and chance."""
    images = round(b.uniform * (1 - b.uniform) / b.uniform_validation_sd**2)
    scores = {
        "statistiques de couleur,\nrégression logistique": b.color_validation,
        "vignette 4 × 4,\nrégression logistique": b.thumbnail_validation,
        f"classe majoritaire\n({b.majority_class})": b.majority_validation,
    }
    fig, ax = one_axes(2.3)
    values = np.array(list(scores.values()))
    bounds = np.array([wilson(round(v * images), images, LEVEL) for v in values])
    ax.barh(list(scores), values, color=(BLUE, BLUE, SOFT), height=0.6)
    errors = np.abs(bounds.T - values)
    ax.errorbar(values, range(3), xerr=errors, fmt="none", ecolor="black", capsize=3, lw=1)
    for row, (value, (_, high)) in enumerate(zip(values, bounds, strict=True)):
        ax.text(high, row, f"  {pct(value)}", va="center", weight="bold")
    ax.axvline(b.uniform, color=ORANGE, ls="--", lw=1.2)
    near = {"textcoords": "offset points", "va": "center"}
    test = f"test : {pct(b.majority_test)}"
    ax.annotate(test, (bounds[2, 1], 2), xytext=(52, 0), color=SOFT, **near)
    chance = f"hasard : {pct(b.uniform, 0)}"
    ax.annotate(chance, (b.uniform, 2.6), xytext=(4, 0), color=ORANGE, fontsize=SMALL, **near)
    ax.set_ylim(-0.5, 2.85)
    ax.set_xlim(0, min(1.0, bounds.max() * 1.18))
    ax.set_xlabel("exactitude sur validation (%)")
    percent(ax.xaxis)
    categories(ax)
    alt = ", ".join(f"{name} {pct(score)}" for name, score in scores.items()).replace("\n", " ")
    alt += f" ; {chance}. Les barres d’erreur sont des intervalles à {pct(LEVEL, 0)} sur "
    return finish(fig, "Ce qu’un modèle doit dépasser", f"{alt}{nombre(images)} images.")


@styled
def initial_losses(r: InitialLoss) -> Figure:
    """Show the initial loss of every initialisation around ln K, and that of this network."""
    mean, sd = statistics.fmean(r.losses), statistics.stdev(r.losses)
    fig, ax = one_axes(1.9)
    ax.axvline(r.theory, color=SOFT, lw=1.2)
    heights = np.random.default_rng(0).uniform(-0.25, 0.25, len(r.losses))
    ax.scatter(r.losses, heights, s=20, color=BLUE, alpha=0.75, lw=0)
    ax.errorbar(mean, -0.65, xerr=sd, fmt="o", color=BLUE, capsize=3)
    ax.scatter([r.loss], [0], s=55, color=ORANGE, marker="D", zorder=3)
    spread = f"moyenne ± écart-type : {nombre(mean, 3)} ± {nombre(sd, 3)}"
    own = f"ce réseau : {nombre(r.loss, 3)}"
    theory = f"ln {r.classes} = {nombre(r.theory, 3)}"
    for x, y, text, color, side in (
        (r.theory, 0.62, f"  {theory}", SOFT, "left"),
        (mean + sd, -0.65, f"  {spread}", BLUE, "left"),
        (r.loss, 0.38, own, ORANGE, "center"),
    ):
        ax.text(x, y, text, color=color, ha=side, va="center", fontsize=SMALL)
    ax.set_ylim(-0.95, 0.8)
    ax.margins(x=0.12)
    ax.set_yticks([])
    ax.set_xlabel("perte du réseau non entraîné, premier lot (nats)")
    decimal(ax.xaxis)
    categories(ax)
    alt = (
        f"{len(r.losses)} initialisations : pertes de {nombre(min(r.losses), 3)} à "
        f"{nombre(max(r.losses), 3)}, {spread} ; {own} ; théorie : {theory}."
    )
    title = f"Perte initiale de {len(r.losses)} initialisations, face à la théorie"
    return finish(fig, title, alt)


@styled
def gradient_norms(r: InitialLoss) -> Figure:
    """Show the norm of each tensor's first gradient: a row per layer, weights and biases."""
    layers = list(dict.fromkeys(g.name.rpartition(".")[0] for g in r.gradients))
    norms = {g.name: g.norm for g in r.gradients}
    positive = [norm for norm in norms.values() if norm > 0]
    floor = min(positive, default=1.0) / 3
    fig, ax = one_axes(0.21 * len(layers) + 1.0)
    for kind, color, marker, label in (
        ("weight", BLUE, "o", "poids"),
        ("bias", ORANGE, "s", "biais"),
    ):
        x = [max(norms.get(f"{layer}.{kind}", np.nan), floor) for layer in layers]
        ax.scatter(x, range(len(layers)), color=color, marker=marker, s=24, zorder=3)
        ax.text(x[0], -0.75, label, color=color, ha="center", va="center", fontsize=8)
    if len(positive) < len(norms):
        ax.axvline(floor, color=SOFT, ls=":", lw=1)
        ax.text(floor, len(layers) - 1, " nul", color=SOFT, fontsize=SMALL)
    ax.set_yticks(range(len(layers)), [", ".join(layer_place(layer)) for layer in layers])
    ax.set_ylim(len(layers) - 0.4, -1.2)
    ax.set_title("BatchNorm efface le biais de la convolution : gradient nul, à l’arrondi près")
    log_x(ax)
    ax.set_xlabel("norme L2 du gradient (échelle logarithmique)")
    ax.set_ylabel("couche")
    categories(ax)
    ax.grid(True, axis="y")
    low, high = (choose(r.gradients, key=lambda g: g.norm) for choose in (min, max))
    alt = (
        f"La norme va de {power(low.norm)} ({low.name}) à {power(high.norm)} ({high.name}) ; "
        f"tenseurs qui reçoivent un gradient : {len(positive)} sur {len(norms)}."
    )
    return finish(fig, "Norme du gradient par couche, premier lot", alt)
