"""Figures of notebook 01: classes, colours, the images themselves, tiles that overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from eurosat_lib.audit import Audit, Tile
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.french import SPLITS, nombre, pct, plural
from eurosat_lib.overlaps import Overlap, Overlaps
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, GREEN, INK, ORANGE, SMALL, break_name, finish, styled
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
    counts = pd.DataFrame(audit.counts, index=list(audit.classes)).rename(columns=SPLITS)
    counts = counts.sort_values(SPLITS["train"], ascending=False, kind="stable")
    totals, colours = counts.sum(axis=1), (BLUE, style.SKY, style.RULE)
    fig, ax = style.one_axes(0.27 * len(counts) + 0.8)
    counts.plot.barh(stacked=True, width=0.78, color=colours, ec="white", ax=ax, legend=False)
    for bars, name, color in zip(ax.containers, counts, colours, strict=True):
        text = counts[name].map(nombre).where(counts[name] > NARROW * totals.max(), "")
        ink = "white" if color == BLUE else INK
        ax.bar_label(bars, text, label_type="center", fontsize=SMALL, color=ink)
    ax.bar_label(bars, totals.map(nombre), padding=3, fontsize=SMALL, weight="bold")
    style.categories(ax, counts.index)
    ax.set(xlabel="images", ylabel="classe", xlim=(0, totals.max() * 1.07))
    most, least = counts.iloc[[0, -1], 0].tolist()
    alt = f"En entraînement, de {plural(most, 'image')} ({counts.index[0]}) à {nombre(least)} "
    alt += f"({counts.index[-1]}), un rapport de {nombre(most / least, 2)}."
    return finish(fig, alt)


@styled
def class_colours(audit: Audit) -> Figure:
    """Compare mean and standard deviation of each channel, class by class, with ImageNet's."""
    found = zip(audit.classes, audit.colours, audit.counts["train"], strict=True)
    present = [(name, one.mean, one.sd) for name, one, count in found if count]
    present.sort(key=lambda row: -sum(row[1]))
    rows = [IMAGENET, ("toutes les classes", audit.channel_mean, audit.channel_sd), *present]
    names, means, sds = zip(*rows, strict=True)
    fig, ax = style.one_axes(0.27 * len(rows) + 1.0)
    for channel, (word, color) in enumerate(CHANNELS.items()):
        mean, sd = (np.array(values)[:, channel] for values in (means, sds))
        look = {"color": color, "fmt": style.MARKERS[channel], "label": word}
        places = np.arange(len(rows)) + 0.22 * (channel - 1)
        style.intervals(ax, places, mean, np.transpose([mean - sd, mean + sd]), **look)
        ax.axvline(mean[0], color=color, lw=0.8, ls=(0, (4, 3)), zorder=0)
    ax.axhline(1.5, color=style.SOFT, lw=0.8)
    style.categories(ax, names)
    ax.set_xlabel("valeur des pixels (0 : noir, 1 : pleine intensité) ; tirets : ImageNet")
    ax.legend(loc="lower right", ncols=3, frameon=True, edgecolor="none")
    told = [f"{name} {' / '.join(nombre(m, 2) for m in mean)}" for name, mean, _ in rows]
    alt = f"Moyenne des canaux rouge, vert et bleu : {' ; '.join(told)}."
    return finish(fig, alt)


@styled
def extremes(config: Config, audit: Audit) -> Figure:
    """Show the most uniform, the lightest and the most saturated tiles, as they are."""
    dataset, columns = load_dataset(config), min(map(len, audit.extremes.values()))
    images, titles = [], []
    for kind, (_, write) in EXTREMES.items():
        for one in audit.extremes[kind][:columns]:
            images.append(_pixels(dataset, one.tile))
            titles.append(f"{dataset.classes[one.tile.label]}\n{write(one.value)}")
    fig = style.gallery(images, titles, columns, 2, [name for name, _ in EXTREMES.values()])
    return finish(fig, " ; ".join(titles).replace("\n", ", ") + ".")


@styled
def mean_images(config: Config) -> Figure:
    """Show the mean training image of each class, then the same with its contrast enlarged."""
    dataset = load_dataset(config)
    present = np.unique(dataset.train.labels)
    groups = [dataset.train.images[dataset.train.labels == k] for k in present]
    means = np.stack([group.mean(0) for group in groups]).astype(np.float32) / 255  # (K, 3, H, W)
    center = means.mean((2, 3), keepdims=True)
    strong = (center + CONTRAST * (means - center)).clip(0, 1)
    titles = [break_name(dataset.classes[k], 9) for k in present]
    rows = ("moyenne", f"contraste × {CONTRAST}")
    fig = style.gallery([*means, *strong], titles, len(present), rows=rows)
    within, between = 255 * means.std((2, 3)).mean(1), 255 * center.std(0).mean()
    low, high, between = (nombre(float(v), 1) for v in (within.min(), within.max(), between))
    alt = f"Variation de {between} niveaux sur 255 d’une classe à l’autre ; d’un endroit à "
    alt += f"l’autre, de {low} à {high} (pour {dataset.classes[present[within.argmax()]]})."
    return finish(fig, alt)


@styled
def examples(config: Config, split: str, augmented: bool, count: int = 12) -> Figure:
    """Show images of all classes in turn, as the network receives them, normalisation undone.

    Raises:
        UserError: neither ``train`` nor ``validation``; the test is not for looking at.
    """
    of = {"train": "d’entraînement", "validation": "de validation"}.get(split)
    if not of:
        raise UserError(f"examples: split {split!r} is not shown; take train or validation")
    dataset = load_dataset(config)
    part = getattr(dataset, split)
    index = _one_of_each(part.labels, count, config.seed)
    names = [dataset.classes[label] for label in part.labels[index]]
    shown = _as_seen(config, part.images[index], augmented)
    fig = style.gallery(shown, list(map(break_name, names)), COLUMNS)
    state = "après augmentation" if augmented else "sans augmentation"
    size = f"{config.data.image_size} × {config.data.image_size} pixels"
    alt = f"{len(index)} images {of}, {state}, {size} : {', '.join(names)}."
    return finish(fig, alt)


@styled
def augmentation_draws(config: Config) -> Figure:
    """Show four training images, of the classes drawn with most contrast, and five draws each."""
    dataset = load_dataset(config)
    images, labels = dataset.train.images, dataset.train.labels
    index = _one_of_each(labels, len(dataset.classes), config.seed)
    contrast = images[index].std(axis=(1, 2, 3))
    index = index[np.sort(contrast.argsort()[::-1][:ROWS])]
    plain = _as_seen(config, images[index], augmented=False)
    drawn = _as_seen(config, np.repeat(images[index], DRAWS, axis=0), augmented=True)
    shown = torch.cat([plain[:, None], drawn.unflatten(0, (-1, DRAWS))], dim=1).flatten(0, 1)
    names = [dataset.classes[label] for label in labels[index]]
    titles = ["original", *(f"tirage {k + 1}" for k in range(DRAWS))]
    fig = style.gallery(shown, titles, DRAWS + 1, 0, list(map(break_name, names)))
    alt = f"Une ligne par image ({', '.join(names)}) : l’original, puis {DRAWS} tirages décalés, "
    alt += "retournés, de couleurs légèrement changées ; la classe reste reconnaissable."
    return finish(fig, alt)


@styled
def overlaps(config: Config, found: Overlaps) -> Figure:
    """Show how the threshold splits the pairs, and some pairs laid over each other."""
    dataset = load_dataset(config)
    seen = [pair for pair in found.pairs if "test" not in (pair.first.split, pair.second.split)]
    shown = sorted(seen, key=lambda pair: pair.first.label == pair.second.label)[:PAIRS]
    rows = [row for row in (shown, found.rejected[:PAIRS]) if row]
    heights = [1.9, *[1.75] * len(rows)]
    fig = style.new_figure(sum(heights))
    grid = fig.add_gridspec(len(heights), PAIRS, height_ratios=heights)
    _correlations(fig.add_subplot(grid[0, :]), found)
    for line, row in enumerate(rows, start=1):
        for column, pair in enumerate(row):
            _mosaic(fig.add_subplot(grid[line, column]), dataset, pair, found.same)
    told = [f" {p.first.name} et {p.second.name}, {pct(p.share, 0)} en commun." for p in shown]
    alt = f"{nombre(len(found.pairs))} sur {plural(len(found.correlations), 'paire')} proposées, "
    alt += f"au-dessus d’une corrélation de {nombre(found.same)}.{''.join(told)}"
    return finish(fig, alt)


def _correlations(ax: Axes, found: Overlaps) -> None:
    if not found.correlations:
        style.say(ax, "aucune paire proposée")
    counts, edges = np.histogram(found.correlations, np.arange(-0.3, 1.001, 0.05))
    colors = np.where(edges[:-1] > found.same - 0.01, ORANGE, BLUE)
    ax.bar(edges[:-1], counts, 0.045, align="edge", color=colors)
    ax.set(xlabel="corrélation du rectangle commun", ylabel="paires proposées", xlim=(-0.3, 1))
    ax.axvline(found.same, **style.DASHES)
    ax.grid(False, axis="x")


def _mosaic(ax: Axes, dataset: EuroSAT, pair: Overlap, same: float) -> None:
    """Lay the second tile over the first, and draw the outline of both."""
    height, width = dataset.train.images.shape[2:]
    color = ORANGE if pair.correlation >= same else BLUE
    names = [break_name(dataset.classes[t.label]) for t in (pair.first, pair.second)]
    title = " ≠\n".join(dict.fromkeys(names)) + f"\n{nombre(pair.correlation, 2)}"
    for tile, edge, side in ((pair.first, "white", -1), (pair.second, color, 1)):
        right, down = max(0, side * pair.right), max(0, side * pair.down)
        style.show(ax, _pixels(dataset, tile), title, color, right, down)
        corner, look = (right - 0.5, down - 0.5), {"ec": edge, "lw": 1.2, "zorder": 2}
        ax.add_patch(Rectangle(corner, width, height, fill=False, **look))
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
