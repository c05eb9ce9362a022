"""Figures of notebooks 02 and 03: what to beat, the network, its first loss, a few images."""

from __future__ import annotations

import statistics

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import from_numpy

from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import Architecture, InitialLoss, Overfit
from eurosat_lib.config import Config
from eurosat_lib.controls import ShuffledLabels
from eurosat_lib.data import load_dataset
from eurosat_lib.french import layer_place, nombre, pct, plural, power
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, GREEN, ORANGE, SOFT, finish, note, one_axes, styled
from eurosat_lib.stats import wilson
from eurosat_lib.transforms import get_preprocess_transforms

LEVEL = 0.95  # of the intervals of the baselines
EXAMPLE = "Highway"  # a class told by what is around it
COLUMN = style.WIDTH / 5  # inches: input, three stages, head
PARTS = {"Entrée": SOFT, "Étage 1": BLUE, "Étage 2": BLUE, "Étage 3": ORANGE, "Tête": GREEN}
TALLEST, DEEPEST = 0.95, 0.42  # inches: side of the largest map, thickness of the thickest stack
SHEETS = 6  # drawn of each stack
FLOOR, LISTS = 2.0, 1.45  # inches: foot of the maps, top of the lists
TRUE, SHUFFLED = "vraies étiquettes", "étiquettes mélangées"


@styled
def baselines(b: Baselines) -> Figure:
    """Show the validation accuracies to beat, with their 95 % intervals, and chance."""
    scores = {
        f"classe majoritaire\n({b.majority_class})": b.majority_validation,
        "vignette 4 × 4,\nrégression logistique": b.thumbnail_validation,
        "statistiques de couleur,\nrégression logistique": b.color_validation,
    }
    n, values = b.validation_images, list(scores.values())
    bounds = np.array([wilson(round(value * n), n, LEVEL) for value in values])
    fig, ax = one_axes(2.4)
    ax.barh(range(3), values, 0.6, color=(SOFT, BLUE, BLUE))
    style.intervals(ax, range(3), values, bounds, fmt="none", ecolor="black", capsize=3)
    for row, value in enumerate(values):
        note(ax, bounds[row, 1], row, f"  {pct(value)}", "black", weight="bold")
    chance = f"hasard : {pct(b.uniform, 0)}"
    ax.axvline(b.uniform, color=ORANGE, ls="--", lw=1.2, label=chance)
    style.categories(ax, scores)
    ax.set(xlim=(0, min(1, bounds.max() * 1.18)), xlabel="exactitude en validation (%)")
    told = ", ".join(f"{name} {pct(score)}" for name, score in scores.items())
    alt = f"{told} ; {chance}. Intervalles à {pct(LEVEL, 0)} sur {plural(n, 'image')}."
    return finish(fig, alt)


@styled
def architecture(arch: Architecture) -> Figure:
    """Draw the stages: the maps they put out, to scale, above the operations they apply."""
    stages = [[a for a in arch.layers if a.name.startswith(f"stages.{k}.")] for k in range(3)]
    shapes = [arch.input_shape, *(layers[-1].output_shape for layers in stages)]
    logits, counts = arch.output_shape[0], [0, *(sum(a.parameters for a in s) for s in stages)]
    counts.append(arch.parameters - sum(counts))
    sizes = [*(" × ".join(map(str, shape)) for shape in shapes), f"{logits} logits"]
    fig, ax = one_axes(3.5)
    style.bare(ax).set(xlim=(0, style.WIDTH), ylim=(0.05, 3.15), aspect="equal")
    places = (np.arange(5) + 0.5) * COLUMN
    scale = np.array([DEEPEST, TALLEST, TALLEST]) / np.max(shapes, axis=0)  # inches per value
    for x, shape, color in zip(places, shapes, PARTS.values(), strict=False):
        depth, height, width = np.maximum(shape * scale, (0.02, 0.08, 0.08))
        for back in np.linspace(depth, 0, SHEETS):
            corner = (x - (width + depth) / 2 + back, FLOOR + 0.55 * back)
            ax.add_patch(Rectangle(corner, width, height, fc=color, ec="white", lw=0.6))
    cells = FLOOR + TALLEST * np.linspace(0, 1, logits, endpoint=False)
    ax.bar([places[-1]] * logits, 0.8 * TALLEST / logits, 0.1, cells, color=GREEN)
    arrow = {"arrowstyle": "-|>", "color": SOFT, "mutation_scale": 9}
    box = {"boxstyle": "round,pad=0,rounding_size=0.05", "fc": style.PANEL, "ec": style.RULE}
    bold = {"ha": "center", "weight": "bold", "fontsize": 9}
    for k, (x, part, lines) in enumerate(zip(places, PARTS, _operations(arch), strict=True)):
        ax.add_patch(FancyBboxPatch((x - COLUMN / 2 + 0.08, 0.31), COLUMN - 0.16, 1.14, **box))
        note(ax, x, FLOOR - 0.13, sizes[k], style.INK, **bold)
        note(ax, x, LISTS + 0.15, part, PARTS[part], **bold)
        note(ax, x, 0.88, "\n".join(lines), style.INK, linespacing=1.9, ha="center")
        if k:
            note(ax, x, 0.18, plural(counts[k], "paramètre"), ha="center")
            x, y = x - COLUMN / 2, FLOOR + TALLEST / 2
            ax.annotate("", (x + 0.1, y), (x - 0.1, y), arrowprops=arrow)
    alt = f"{' → '.join(sizes)} ; étage 3 sans pooling, de dilatation {arch.dilation_stage3} ; "
    alt += f"{plural(arch.parameters, 'paramètre')} en tout."
    return finish(fig, alt)


def _operations(arch: Architecture) -> list[list[str]]:
    block = [f"{plural(arch.blocks_per_stage, 'bloc')} de :", "Conv 3 × 3", "BatchNorm", "ReLU"]
    wide = [block[0], f"Conv 3 × 3, D = {arch.dilation_stage3}", *block[2:], "sans pooling"]
    head = ["moyenne globale", f"linéaire {arch.channels[-1]} → {arch.output_shape[0]}"]
    pooled = [*block, "MaxPool 2 × 2"]
    return [["image normalisée", "3 canaux RVB"], pooled, pooled, wide, head]


@styled
def receptive_field(config: Config, arch: Architecture) -> Figure:
    """Draw, over a training image, what one output of stage 3 sees, for each network."""
    size, dataset = config.data.image_size, load_dataset(config)
    wanted = dataset.classes.index(EXAMPLE) if EXAMPLE in dataset.classes else 0
    index = int((dataset.train.labels == wanted).argmax())
    preprocess = get_preprocess_transforms(config)
    fig, ax = one_axes(3.7)
    image = from_numpy(dataset.train.images[[index]])
    style.show(ax, preprocess.invert(preprocess(image))[0])
    variants = sorted(arch.variants, key=lambda v: v.receptive_field)
    center, reach = (size - 1) / 2, 0.54 * max(size, variants[-1].receptive_field)
    ax.set(xlim=(center - reach, center + reach), ylim=(center + reach, center - reach))
    ax.set_facecolor("#eceff3")
    for k, v in enumerate(variants):
        side, name = v.receptive_field, plural(v.blocks_per_stage, "bloc")
        look = {"ec": style.SERIES[k % 6], "ls": ("-", "--", "-.", ":")[k % 4], "lw": 1.8}
        look["label"] = f"{side} px : {name}, dilatation {v.dilation_stage3}"
        ax.add_patch(Rectangle([center - side / 2] * 2, side, side, fill=False, **look))
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), labelspacing=1)
    ax.set_xlabel(f"image : {size} × {size} px ; fond gris : au-delà du bord, des zéros")
    told = " ; ".join(patch.get_label() for patch in ax.patches)
    alt = f"Carrés centrés sur une image d’entraînement de {size} px : {told}."
    return finish(fig, alt)


@styled
def initial_losses(r: InitialLoss) -> Figure:
    """Show the initial loss of every initialisation around ln K, and that of this network."""
    mean, sd = statistics.fmean(r.losses), statistics.stdev(r.losses)
    spread = f"moyenne ± écart-type : {nombre(mean, 3)} ± {nombre(sd, 3)}"
    own, theory = f"ce réseau : {nombre(r.loss, 3)}", f"ln {r.classes} = {nombre(r.theory, 3)}"
    fig, ax = one_axes(2.0)
    ax.axvline(r.theory, color=SOFT, lw=1.2, label=theory)
    heights = np.random.default_rng(0).uniform(0.1, 0.6, len(r.losses))
    ax.scatter(r.losses, heights, s=20, color=BLUE, alpha=0.75, lw=0)
    ax.scatter([r.loss], [0.35], s=55, color=ORANGE, marker="D", label=own, zorder=3)
    look = {"color": BLUE, "capsize": 3, "label": spread}
    style.intervals(ax, [-0.15], [mean], [(mean - sd, mean + sd)], **look)
    style.categories(ax, [""])
    ax.set(xlabel="perte du réseau non entraîné, premier lot (nats)", ylim=(-0.4, 0.8))
    ax.margins(x=0.12)
    return finish(fig, f"{spread} ; {own} ; théorie : {theory}.")


@styled
def gradient_norms(r: InitialLoss) -> Figure:
    """Show the norm of each tensor's first gradient: a row per layer, weights and biases."""
    norms = {one.name: one.norm for one in r.gradients}
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in norms))
    positive = [norm for norm in norms.values() if norm > 0]
    floor = min(positive, default=1.0) / 3
    fig, ax = one_axes(0.21 * len(layers) + 1.1)
    for rank, (kind, label) in enumerate({"weight": "poids", "bias": "biais"}.items()):
        x = [max(norms.get(f"{layer}.{kind}", np.nan), floor) for layer in layers]
        ax.scatter(x, range(len(layers)), s=24, label=label, zorder=3, **style.series(rank))
    if len(positive) < len(norms):
        ax.axvline(floor, color=SOFT, ls=":", lw=1, label="nul")
    style.log_axis(ax)
    style.categories(ax, [", ".join(layer_place(layer)) for layer in layers])
    ax.grid(True, axis="y")
    ax.set(xlabel="norme L2 du gradient (échelle logarithmique)", ylabel="couche")
    ax.set_title("BatchNorm efface le biais de la convolution : gradient nul, à l’arrondi près")
    low, high = (choose(norms, key=norms.get) for choose in (min, max))
    alt = f"De {power(norms[low])} ({low}) à {power(norms[high])} ({high}) ; "
    alt += f"tenseurs qui reçoivent un gradient : {len(positive)} sur {len(norms)}."
    return finish(fig, alt)


@styled
def overfit(r: Overfit, control: ShuffledLabels) -> Figure:
    """Show the few images learnt by heart, and what a validation makes of it."""
    fig = style.new_figure(3.1)
    left, right = fig.subplots(1, 2, width_ratios=(1.5, 1))
    curves = [r.losses]
    for pair in control.pairs:
        cases = {TRUE: (pair.true, BLUE), SHUFFLED: (pair.shuffled, ORANGE)}
        heights = [case.validation_accuracy for case, _ in cases.values()]
        right.plot((0, 1), heights, color=SOFT, lw=0.9, zorder=2)
        right.scatter((0, 1), heights, s=26, color=(BLUE, ORANGE), zorder=3)
        for label, (case, color) in cases.items():
            curves.append(case.losses)
            look = {"color": color, "lw": 0.9, "alpha": 0.55, "label": label}
            left.plot(range(1, len(case.losses) + 1), case.losses, **look)
    end = nombre(r.losses[-1], 4)
    left.plot(range(1, len(r.losses) + 1), r.losses, "o-", ms=2.5, label=f"cet essai, fin à {end}")
    left.axhline(r.target_loss, label=f"but : {nombre(r.target_loss)}", **style.DASHES)
    left.set_ylabel("perte d’entraînement (nats)")
    style.log_axis(left, "y")
    style.epochs(left, max(map(len, curves)))
    facts, reached = control.facts(), "atteint" if r.facts()["reached"] else "non atteint"
    chance = f"hasard : {pct(facts['chance'])}"
    right.axhline(facts["chance"], color=SOFT, ls=":", lw=1.2, label=chance)
    style.categories(right, ("vraies", "mélangées"), "x")
    right.set(xlabel="étiquettes apprises", ylabel="exactitude en validation (%)")
    right.set(xlim=(-0.5, 1.5), ylim=(0, None), title=plural(control.validation_images, "image"))
    alt = (
        f"Perte de {nombre(r.losses[0], 3)} à {end} en {plural(len(r.losses), 'époque')} (but "
        f"{reached}). Exactitude en validation : {pct(facts['true_accuracy'])} avec les "
        f"{TRUE}, {pct(facts['shuffled_accuracy'])} avec les {SHUFFLED}, {chance}."
    )
    return finish(fig, alt)
