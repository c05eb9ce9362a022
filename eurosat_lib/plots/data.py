"""Figures of notebook 01: classes, colours, the images themselves, tiles that overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eurosat_lib.audit import Audit, Tile
from eurosat_lib.audit import mean_images as class_means
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.french import SPLITS, nombre, pct, plural
from eurosat_lib.overlaps import Overlap, Overlaps
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, GREEN, INK, ORANGE, SMALL, SOFT, finish, gallery, styled
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms

# Of the [0, 1] values of ImageNet's training images: torchvision's constants.
IMAGENET = ("ImageNet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CHANNELS = {"rouge": ORANGE, "vert": GREEN, "bleu": BLUE}
NARROW = 0.035  # share of the longest bar below which a bar is too short for its number
EXTREMES = {  # kind -> what its row is called, how its value is written
    "faint": ("les plus\nunies", lambda v: f"écart-type {nombre(v, 1)}"),
    "light": ("les plus\nclaires", lambda v: f"moyenne {nombre(v, 0)}"),
    "clipped": ("les plus\nsaturées", lambda v: f"{pct(v, 0)} à 255"),
}
CONTRAST = 3  # of the second row of mean images
COLUMNS, PAIRS = 6, 5  # images, and overlapping pairs, in a row
ROWS, DRAWS = 4, 5  # images that are augmented, and how often


@styled
def class_distribution(audit: Audit) -> Figure:
    """Stack the images of the three splits, class by class, the most frequent class on top."""
    counts = pd.DataFrame(audit.counts, index=list(audit.classes))[::-1]
    counts = counts.sort_values("train", kind="stable")
    totals, starts = counts.sum(axis=1), counts.cumsum(axis=1) - counts
    fig, ax = style.one_axes(0.27 * len(counts) + 1.0)
    for split, color in zip(counts, (BLUE, style.SKY, style.RULE), strict=True):
        bars = ax.barh(
            counts.index, counts[split], 0.78, starts[split], color=color, edgecolor="white"
        )
        text = counts[split].map(nombre).where(counts[split] > NARROW * totals.max(), "")
        ink = "white" if color == BLUE else INK
        ax.bar_label(bars, text, label_type="center", fontsize=SMALL, color=ink)
        middle = (starts[split] + counts[split] / 2).iloc[-1]
        style.note(ax, middle, len(counts) - 0.3, SPLITS[split], ha="center")
    ax.bar_label(bars, totals.map(nombre), padding=3, fontsize=SMALL, weight="bold")
    ax.set(xlabel="images", ylabel="classe", xlim=(0, totals.max() * 1.07))
    style.decimal(ax.xaxis)
    style.categories(ax)
    least, most = (int(counts["train"].iloc[end]) for end in (0, -1))
    alt = (
        f"Barres empilées par classe. En entraînement, {counts.index[-1]} est la plus fréquente "
        f"({plural(most, 'image')}) et {counts.index[0]} la plus rare ({nombre(least)}), "
        f"un rapport de {nombre(most / least, 2)}."
    )
    return finish(fig, "Images par classe et par split", alt)


@styled
def class_colours(audit: Audit) -> Figure:
    """Compare mean and standard deviation of each channel, class by class, with ImageNet's."""
    present = [k for k, count in enumerate(audit.counts["train"]) if count]
    present.sort(key=lambda k: -sum(audit.colours[k].mean))
    rows = [IMAGENET, ("toutes les classes", audit.channel_mean, audit.channel_sd)]
    rows += [(audit.classes[k], audit.colours[k].mean, audit.colours[k].sd) for k in present]
    names, means, sds = zip(*rows, strict=True)
    fig, ax = style.one_axes(0.27 * len(rows) + 1.0)
    for channel, (word, color) in enumerate(CHANNELS.items()):
        mean, sd = (np.array(values)[:, channel] for values in (means, sds))
        look = {"fmt": style.MARKERS[channel], "ms": 3.8, "lw": 1.1, "label": word}
        ax.errorbar(
            mean, np.arange(len(rows)) + 0.22 * (channel - 1), xerr=sd, color=color, **look
        )
        ax.axvline(mean[0], color=color, lw=0.8, ls=(0, (4, 3)), zorder=0)
    ax.axhline(1.5, color=SOFT, lw=0.8)
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel("valeur des pixels (0 : noir, 1 : pleine intensité) ; tirets : ImageNet")
    style.decimal(ax.xaxis)
    style.categories(ax)
    ax.legend(loc="lower right", ncols=3, frameon=True, edgecolor="none")
    told = [f"{name} {' / '.join(nombre(m, 2) for m in mean)}" for name, mean, _ in rows]
    alt = f"Moyenne des canaux rouge, vert et bleu : {' ; '.join(told)}."
    return finish(fig, "Moyenne ± écart-type de chaque canal, par classe, face à ImageNet", alt)


@styled
def extremes(config: Config, audit: Audit) -> Figure:
    """Show the most uniform, the lightest and the most saturated tiles, as they are."""
    dataset, columns = load_dataset(config), min(map(len, audit.extremes.values()))
    images, titles = [], []
    for kind, (_, write) in EXTREMES.items():
        for one in audit.extremes[kind][:columns]:
            images.append(_pixels(dataset, one.tile))
            titles.append(f"{dataset.classes[one.tile.label]}\n{write(one.value)}")
    fig, _ = gallery(images, titles, columns, 2, [name for name, _ in EXTREMES.values()])
    told = " ; ".join(titles).replace("\n", ", ")
    return finish(fig, "Les vignettes extrêmes (entraînement et validation)", f"{told}.")


@styled
def mean_images(config: Config) -> Figure:
    """Show the mean training image of each class, then the same with its contrast enlarged."""
    dataset = load_dataset(config)
    present = np.unique(dataset.train.labels)
    means = class_means(dataset.train, len(dataset.classes))[present] / 255  # (K, 3, H, W)
    center = means.mean((2, 3), keepdims=True)
    strong = (center + CONTRAST * (means - center)).clip(0, 1)
    titles = [style.break_name(dataset.classes[k], 9) for k in present] + [""] * len(present)
    rows = ("moyenne", f"contraste × {CONTRAST}")
    fig, _ = gallery([*means, *strong], titles, len(present), rows=rows)
    within, between = 255 * means.std((2, 3)).mean(1), 255 * center.std(0).mean()
    alt = (
        f"D’une classe à l’autre, l’image moyenne varie de {nombre(float(between), 1)} niveaux "
        f"sur 255 ; d’un endroit à l’autre de l’image, de {nombre(float(within.min()), 1)} à "
        f"{nombre(float(within.max()), 1)}, le plus pour "
        f"{dataset.classes[present[within.argmax()]]}."
    )
    return finish(fig, "L’image moyenne de chaque classe (entraînement)", alt)


@styled
def examples(config: Config, split: str, augmented: bool, count: int = 12) -> Figure:
    """Show images of all classes in turn, as the network receives them, normalisation undone.

    Args:
        config: size, transformations, seed of the draw.
        split: ``train`` or ``validation``.
        augmented: augment them, as in training.
        count: images.

    Raises:
        UserError: another split; the test is not for looking at.
    """
    of = {"train": "d’entraînement", "validation": "de validation"}.get(split)
    if not of:
        raise UserError(f"examples: split {split!r} is not shown; take train or validation")
    dataset = load_dataset(config)
    images, labels = getattr(dataset, split).images, getattr(dataset, split).labels
    index = _one_of_each(labels, count, config.seed)
    names = [dataset.classes[label] for label in labels[index]]
    shown = _as_seen(config, images[index], augmented)
    fig, _ = gallery(shown, list(map(style.break_name, names)), COLUMNS)
    state = "après augmentation" if augmented else "sans augmentation"
    size = f"{config.data.image_size} × {config.data.image_size} pixels"
    alt = f"{len(index)} images {of}, {state}, {size} : {', '.join(names)}."
    return finish(fig, f"Images {of}, {state} ({size})", alt)


@styled
def augmentation_draws(config: Config) -> Figure:
    """Show four training images, of the classes drawn with most contrast, and five draws each."""
    dataset = load_dataset(config)
    labels = dataset.train.labels
    index = _one_of_each(labels, len(dataset.classes), config.seed)
    contrast = dataset.train.images[index].std(axis=(1, 2, 3))
    index = index[np.sort(contrast.argsort()[::-1][:ROWS])]
    originals = dataset.train.images[index]
    plain = _as_seen(config, originals, augmented=False)
    drawn = _as_seen(config, np.repeat(originals, DRAWS, axis=0), augmented=True)
    shown = torch.cat([plain[:, None], drawn.unflatten(0, (-1, DRAWS))], dim=1).flatten(0, 1)
    names = [dataset.classes[label] for label in labels[index]]
    titles = ["original", *(f"tirage {k + 1}" for k in range(DRAWS))] + [""] * len(shown)
    fig, _ = gallery(shown, titles, DRAWS + 1, 0, list(map(style.break_name, names)))
    alt = (
        f"Une ligne par image ({', '.join(names)}) : l’original à gauche, puis {DRAWS} tirages "
        "décalés, retournés, de couleurs légèrement changées ; la classe reste reconnaissable."
    )
    return finish(fig, "La même image, augmentée plusieurs fois", alt)


@styled
def overlaps(config: Config, found: Overlaps) -> Figure:
    """Show how the threshold splits the pairs, and some pairs laid over each other."""
    dataset = load_dataset(config)
    seen = [pair for pair in found.pairs if "test" not in (pair.first.split, pair.second.split)]
    shown = sorted(seen, key=lambda pair: pair.first.label == pair.second.label)[:PAIRS]
    rows = [row for row in (shown, found.rejected[:PAIRS]) if row]
    heights = [1.9, *[1.75] * len(rows)]
    fig = style.new_figure(sum(heights))
    upper, *lower = fig.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _correlations(upper.subplots(), found)
    for part, row in zip(lower, rows, strict=True):
        axes = part.subplots(1, PAIRS)
        for ax in axes:
            style.bare(ax)
        for ax, pair in zip(axes, row, strict=False):
            _mosaic(ax, dataset, pair, ORANGE if pair.correlation >= found.same else BLUE)
    facts = found.facts()
    told = [f" {p.first.name} et {p.second.name}, {pct(p.share, 0)} en commun." for p in shown]
    alt = (
        f"Sur {plural(facts['proposed'], 'paire')} proposées, {nombre(facts['found'])} au-dessus "
        f"d’une corrélation de {nombre(found.same)}.{''.join(told)}"
    )
    some, none = "Vignettes qui se chevauchent : le même terrain deux fois", "Aucun chevauchement"
    return finish(fig, some if found.pairs else none, alt)


def _correlations(ax: Axes, found: Overlaps) -> None:
    ax.set(xlabel="corrélation du rectangle commun", ylabel="paires proposées", xlim=(-0.3, 1))
    style.decimal(ax.xaxis)
    if not found.correlations:
        style.say(ax, "aucune paire proposée")
    counts, edges = np.histogram(found.correlations, np.arange(-0.3, 1.001, 0.05))
    colors = [ORANGE if edge > found.same - 0.01 else BLUE for edge in edges[:-1]]
    ax.bar(edges[:-1], counts, 0.045, align="edge", color=colors)
    ax.axvline(found.same - 0.0025, color=INK, lw=0.9, ls=(0, (4, 3)))
    ax.grid(False, axis="x")


def _mosaic(ax: Axes, dataset: EuroSAT, pair: Overlap, color: str) -> None:
    """Lay the second tile over the first, and draw the outline of both."""
    height, width = dataset.train.images.shape[2:]
    for tile, edge, side in ((pair.first, "white", -1), (pair.second, color, 1)):
        right, down = max(0, side * pair.right), max(0, side * pair.down)
        style.show(ax, _pixels(dataset, tile), right=right, down=down)
        look = {"fill": False, "ec": edge, "lw": 1.2, "zorder": 2}
        ax.add_patch(Rectangle((right - 0.5, down - 0.5), width, height, **look))
    names = [style.break_name(dataset.classes[t.label]) for t in (pair.first, pair.second)]
    title = " /\n".join(dict.fromkeys(names)) + f"\n{nombre(pair.correlation, 2)}"
    ax.set_title(title, fontsize=SMALL, color=color, loc="center", pad=3)
    ax.set_xlim(-0.5, width + abs(pair.right) - 0.5)
    ax.set_ylim(height + abs(pair.down) - 0.5, -0.5)


def _pixels(dataset: EuroSAT, tile: Tile) -> np.ndarray:
    if tile.split == "test":
        raise ValueError(f"{tile.name}: the test split is not for looking at")
    return getattr(dataset, tile.split).images[tile.index]


def _as_seen(config: Config, images: np.ndarray, augmented: bool) -> torch.Tensor:
    """Transform uint8 (N, 3, H, W) as for the network, then undo the normalisation."""
    preprocess = get_preprocess_transforms(config)
    batch = preprocess.resize(torch.from_numpy(images))
    if augmented:
        augment = get_augmentation_transforms(config)
        batch = augment(batch, augment.draw(len(batch), epoch_generator(config.seed, 0)))
    return preprocess.invert(preprocess(batch))


def _one_of_each(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw images of the classes in turn; int64 (count,), sorted by class."""
    generator = np.random.default_rng(seed)
    order = pd.Series(labels)[generator.permutation(len(labels))]
    turn = order.groupby(order).cumcount().sort_index()  # how many of its class come before
    place = generator.permutation(int(labels.max()) + 1)[labels]  # of its class in each turn
    index = np.lexsort((place, turn))[:count]
    return index[np.argsort(labels[index], kind="stable")]
