"""Figures of notebooks 02 and 03: what to beat, the network, its first loss, a few images."""

from __future__ import annotations

import statistics

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle
from torch import from_numpy

from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import Architecture, InitialLoss, Overfit, ShuffledLabels
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.french import layer_place, nombre, pct, plural, power
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, GREEN, ORANGE, SOFT, finish, note, one_axes, styled
from eurosat_lib.stats import wilson
from eurosat_lib.transforms import get_preprocess_transforms

LEVEL = 0.95  # of the intervals of the baselines
EXAMPLE = "Highway"  # a class told by what is around it
COLUMN = style.WIDTH / 5  # inches: input, three stages, head
TALLEST, DEEPEST = 0.95, 0.42  # inches: side of the largest map, thickness of the thickest stack
FLOOR, LISTS = 2.0, 1.45  # inches: foot of the maps, top of the lists
TRUE, SHUFFLED = "vraies étiquettes", "étiquettes mélangées"


@styled
def baselines(b: Baselines) -> Figure:
    """Show the validation accuracies to beat, with their 95 % intervals, and chance."""
    scores = {
        "statistiques de couleur,\nrégression logistique": b.color_validation,
        "vignette 4 × 4,\nrégression logistique": b.thumbnail_validation,
        f"classe majoritaire\n({b.majority_class})": b.majority_validation,
    }
    n, values = b.validation_images, np.array(list(scores.values()))
    bounds = np.array([wilson(round(value * n), n, LEVEL) for value in values]).T
    fig, ax = one_axes(2.3)
    ax.barh(list(scores), values, 0.6, color=(BLUE, BLUE, SOFT))
    ax.errorbar(values, range(3), xerr=abs(bounds - values), fmt="none", ecolor="black", capsize=3)
    for row, (value, high) in enumerate(zip(values, bounds[1], strict=True)):
        ax.text(high, row, f"  {pct(value)}", va="center", weight="bold")
    note(ax, bounds[1, 2], 2, f"{'':24}test : {pct(b.majority_test)}", fontsize=8.5)
    ax.axvline(b.uniform, color=ORANGE, ls="--", lw=1.2)
    chance = f"hasard : {pct(b.uniform, 0)}"
    note(ax, b.uniform, 2.6, f" {chance}", ORANGE)
    ax.set(ylim=(-0.5, 2.85), xlim=(0, min(1.0, bounds.max() * 1.18)))
    ax.set_xlabel("exactitude sur validation (%)")
    style.percent(ax.xaxis)
    style.categories(ax)
    alt = ", ".join(f"{name} {pct(score)}" for name, score in scores.items()).replace("\n", " ")
    alt += f" ; {chance}. Intervalles à {pct(LEVEL, 0)} sur {plural(n, 'image')}."
    return finish(fig, "Ce qu’un modèle doit dépasser", alt)


@styled
def architecture(arch: Architecture) -> Figure:
    """Draw the stages: the maps they put out, to scale, above the operations they apply."""
    stages = [
        [layer for layer in arch.layers if layer.name.startswith(f"stages.{k}.")] for k in range(3)
    ]
    shapes = [arch.input_shape, *(layers[-1].output_shape for layers in stages)]
    sizes = [" × ".join(map(str, shape)) for shape in shapes] + [f"{arch.output_shape[0]} logits"]
    counts = [0, *(sum(layer.parameters for layer in layers) for layers in stages)]
    counts.append(arch.parameters - sum(counts))
    fig, ax = one_axes(3.5)
    style.bare(ax).set(xlim=(0, style.WIDTH), ylim=(0.05, 3.15), aspect="equal")
    titles = ("Entrée", "Étage 1", "Étage 2", "Étage 3", "Tête")
    colors = (SOFT, BLUE, BLUE, ORANGE, GREEN)
    places = (np.arange(5) + 0.5) * COLUMN
    scale = np.array([DEEPEST, TALLEST, TALLEST]) / np.max(shapes, axis=0)  # inches per value
    for x, shape, color in zip(places, shapes, colors, strict=False):
        _block(ax, x, *np.maximum(shape * scale, (0.02, 0.08, 0.08)), color)
    cells = FLOOR + TALLEST * np.linspace(0, 1, arch.output_shape[0], endpoint=False)
    ax.bar([places[-1]] * len(cells), 0.8 * TALLEST / len(cells), 0.1, cells, color=GREEN)
    middle = {"ha": "center", "va": "center"}
    for k, (x, lines, color) in enumerate(zip(places, _operations(arch), colors, strict=True)):
        ax.text(x, FLOOR - 0.13, sizes[k], weight="bold", fontsize=8, **middle)
        ax.text(x, LISTS + 0.15, titles[k], color=color, weight="bold", **middle)
        look = {"boxstyle": "round,pad=0,rounding_size=0.05", "fc": style.PANEL, "ec": style.RULE}
        ax.add_patch(FancyBboxPatch((x - COLUMN / 2 + 0.08, 0.31), COLUMN - 0.16, 1.14, **look))
        note(ax, x, 0.88, "\n".join(lines), style.INK, linespacing=1.9, ha="center")
        note(ax, x, 0.18, plural(counts[k], "paramètre") if k else "", ha="center", fontsize=7)
    arrow = {"arrowstyle": "-|>", "color": SOFT, "mutation_scale": 9}
    for x in places[1:] - COLUMN / 2:
        y = FLOOR + TALLEST / 2
        ax.annotate("", (x + 0.1, y), (x - 0.1, y), arrowprops=arrow)
    alt = (
        f"De l’image aux logits : {' → '.join(sizes)} ; dilatation {arch.dilation_stage3} et pas "
    )
    alt += "de pooling à l’étage 3."
    return finish(fig, f"Le réseau : trois étages, {plural(arch.parameters, 'paramètre')}", alt)


def _operations(arch: Architecture) -> list[list[str]]:
    block = [f"{plural(arch.blocks_per_stage, 'bloc')} de :", "Conv 3 × 3", "BatchNorm", "ReLU"]
    wide = [block[0], f"Conv 3 × 3, D = {arch.dilation_stage3}", *block[2:], "sans pooling"]
    head = ["moyenne globale", f"linéaire {arch.channels[-1]} → {arch.output_shape[0]}"]
    pooled = [*block, "MaxPool 2 × 2"]
    return [["image normalisée", "3 canaux RVB"], pooled, pooled, wide, head]


def _block(ax: Axes, middle: float, depth: float, height: float, width: float, color: str) -> None:
    """Draw a stack of maps as a slanted block; sizes in inches."""
    across, up, back = np.array([(width, 0), (0, height), (depth, 0.55 * depth)])
    base = np.array((middle - (width + depth) / 2, FLOOR))
    faces = (
        (base, across, up, 0.85),
        (base + up, across, back, 0.55),
        (base + across, back, up, 0.7),
    )
    for corner, a, b, alpha in faces:
        look = {"fc": color, "ec": "white", "lw": 0.8, "alpha": alpha}
        ax.add_patch(Polygon([corner, corner + a, corner + a + b, corner + b], **look))


@styled
def receptive_field(config: Config, arch: Architecture) -> Figure:
    """Draw, over a training image, what one output of stage 3 sees, for each network."""
    size, dataset = config.data.image_size, load_dataset(config)
    wanted = dataset.classes.index(EXAMPLE) if EXAMPLE in dataset.classes else 0
    index = int((dataset.train.labels == wanted).argmax())
    preprocess = get_preprocess_transforms(config)
    image = preprocess.invert(preprocess(from_numpy(dataset.train.images[[index]])))[0]
    variants = sorted(arch.variants, key=lambda v: v.receptive_field)
    fig, ax = one_axes(3.7)
    style.show(ax, image)
    center, reach = (size - 1) / 2, 0.54 * max(size, variants[-1].receptive_field)
    start, stop = center - reach, center + reach
    ax.add_patch(Rectangle((start, start), 2 * reach, 2 * reach, fc="#eceff3", zorder=-1))
    ends = [(stop, 0.9 * size, f"image : {size} × {size} px", SOFT)]
    if start < -0.5:
        ends.append((stop, stop, "fond gris : au-delà du bord, des zéros", SOFT))
    for k, v in enumerate(variants):
        side, color = v.receptive_field, style.SERIES[k % 6]
        corner = center - side / 2
        look = {"fill": False, "ec": color, "lw": 1.8, "ls": ("-", "--", "-.", ":")[k % 4]}
        ax.add_patch(Rectangle((corner, corner), side, side, **look))
        ax.plot([corner + side, stop], [corner, corner], color=color, lw=0.7)
        name = f"{plural(v.blocks_per_stage, 'bloc')}, dilatation {v.dilation_stage3}"
        ends.append((stop, corner, f"{side} px : {name}", color))
    ax.plot([size - 0.5, stop], [0.9 * size] * 2, color=SOFT, lw=0.7)
    ax.set(xlim=(start, stop + 1.5 * reach), ylim=(stop, start))
    style.label_ends(ax, ends)
    alt = f"Carrés centrés sur une image d’entraînement : {' ; '.join(end[2] for end in ends)}."
    return finish(fig, "Ce qu’une sortie de l’étage 3 voit de l’image", alt)


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
    own, theory = f"ce réseau : {nombre(r.loss, 3)}", f"ln {r.classes} = {nombre(r.theory, 3)}"
    note(ax, r.theory, 0.62, f"  {theory}")
    note(ax, mean + sd, -0.65, f"  {spread}", BLUE)
    note(ax, r.loss, 0.38, own, ORANGE, ha="center")
    ax.set(ylim=(-0.95, 0.8), yticks=[])
    ax.margins(x=0.12)
    ax.set_xlabel("perte du réseau non entraîné, premier lot (nats)")
    style.decimal(ax.xaxis)
    style.categories(ax)
    title = f"Perte initiale de {len(r.losses)} initialisations, face à la théorie"
    return finish(fig, title, f"{spread} ; {own} ; théorie : {theory}.")


@styled
def gradient_norms(r: InitialLoss) -> Figure:
    """Show the norm of each tensor's first gradient: a row per layer, weights and biases."""
    layers = list(dict.fromkeys(g.name.rpartition(".")[0] for g in r.gradients))
    norms, rows = {g.name: g.norm for g in r.gradients}, range(len(layers))
    positive = [norm for norm in norms.values() if norm > 0]
    floor = min(positive, default=1.0) / 3
    fig, ax = one_axes(0.21 * len(layers) + 1.0)
    kinds = {"weight": ("poids", BLUE, "o"), "bias": ("biais", ORANGE, "s")}
    for kind, (label, color, marker) in kinds.items():
        x = [max(norms.get(f"{layer}.{kind}", np.nan), floor) for layer in layers]
        ax.scatter(x, rows, color=color, marker=marker, s=24, zorder=3)
        note(ax, x[0], -0.75, label, color, ha="center", fontsize=8)
    if len(positive) < len(norms):
        ax.axvline(floor, color=SOFT, ls=":", lw=1)
        note(ax, floor, rows[-1], " nul")
    ax.set_yticks(rows, [", ".join(layer_place(layer)) for layer in layers])
    ax.set(ylim=(len(layers) - 0.4, -1.2), ylabel="couche")
    ax.set_title("BatchNorm efface le biais de la convolution : gradient nul, à l’arrondi près")
    style.log_x(ax)
    ax.set_xlabel("norme L2 du gradient (échelle logarithmique)")
    style.categories(ax)
    ax.grid(True, axis="y")
    low, high = (choose(r.gradients, key=lambda g: g.norm) for choose in (min, max))
    alt = f"La norme va de {power(low.norm)} ({low.name}) à {power(high.norm)} ({high.name}) ; "
    alt += f"tenseurs qui reçoivent un gradient : {len(positive)} sur {len(norms)}."
    return finish(fig, "Norme du gradient par couche, premier lot", alt)


@styled
def overfit(r: Overfit, control: ShuffledLabels) -> Figure:
    """Show the few images learnt by heart, and what a validation makes of it."""
    fig = style.new_figure(2.9)
    left, right = fig.subplots(1, 2, width_ratios=(1.5, 1))
    _losses(left, r, control)
    _validation(right, control)
    facts, reached = control.facts(), "atteint" if r.facts()["reached"] else "non atteint"
    alt = (
        f"La perte va de {nombre(r.losses[0], 3)} à {nombre(r.losses[-1], 4)} en "
        f"{plural(len(r.losses), 'époque')} (but {reached}). "
        f"Exactitude moyenne en validation : {pct(facts['true_accuracy'])} avec les {TRUE}, "
        f"{pct(facts['shuffled_accuracy'])} avec les {SHUFFLED}, {pct(facts['chance'])} au hasard."
    )
    return finish(fig, f"{r.size} images apprises par cœur, et la contre-épreuve", alt)


def _losses(ax: Axes, r: Overfit, control: ShuffledLabels) -> None:
    curves = [(pair.shuffled.losses, ORANGE) for pair in control.pairs]
    curves += [(pair.true.losses, BLUE) for pair in control.pairs]
    for losses, color in curves:
        ax.plot(range(1, len(losses) + 1), losses, color=color, lw=0.9, alpha=0.55)
    ax.plot(range(1, len(r.losses) + 1), r.losses, color=BLUE, marker="o", ms=2.5, zorder=3)
    ax.plot(len(r.losses), r.losses[-1], "o", color=BLUE, ms=6)
    ax.axhline(r.target_loss, color=SOFT, ls="--", lw=1.2)
    style.log_y(ax)
    ax.set_ylabel("perte d’entraînement (nats)")
    style.epochs(ax, max(len(r.losses), *(len(losses) for losses, _ in curves)))
    note(ax, 1, 1.08 * r.target_loss, f"but : {nombre(r.target_loss)}", va="bottom")
    bold = f"{TRUE} (en gras : cet essai, fin à {nombre(r.losses[-1], 4)})"
    note(ax, 0.98, 0.95, bold, BLUE, transform=ax.transAxes, ha="right")
    note(ax, 0.98, 0.86, SHUFFLED, ORANGE, transform=ax.transAxes, ha="right")


def _validation(ax: Axes, control: ShuffledLabels) -> None:
    pairs = [(p.true.validation_accuracy, p.shuffled.validation_accuracy) for p in control.pairs]
    for heights in pairs:
        ax.plot((0, 1), heights, color=SOFT, lw=0.9, zorder=2)
        ax.scatter((0, 1), heights, s=26, color=(BLUE, ORANGE), zorder=3)
    chance = control.facts()["chance"]
    ax.axhline(chance, color=SOFT, ls=":", lw=1.2)
    note(ax, 2.07, chance, f"hasard : {pct(chance)}", ha="right", va="bottom")
    ax.set_xticks((0, 1), ("vraies", "mélangées"))
    ax.set(xlabel="étiquettes apprises", ylabel="exactitude en validation (%)")
    ax.set(xlim=(-0.35, 2.1), ylim=(0, min(1, np.max(pairs) * 1.25 + 0.02)))
    ax.set_title(plural(control.validation_images, "image"))
    style.percent(ax.yaxis)
    style.categories(ax, "x")
