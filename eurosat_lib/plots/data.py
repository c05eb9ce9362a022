"""Figures of notebook 01: classes, the images themselves, tiles that overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from eurosat_lib.audit import Audit, Overlap, Overlaps
from eurosat_lib.config import Config
from eurosat_lib.data import CLASSES, SIDE, EuroSAT, load_dataset
from eurosat_lib.french import SPLITS, nombre, pct, plural
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, INK, SMALL, break_name, finish, gallery, styled
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms

NARROW = 0.035  # share of the longest bar below which a bar is too short for its number
PAIRS = 5  # overlapping pairs in a row
ROWS, DRAWS = 4, 5  # images that are augmented, and how often


@styled
def class_distribution(audit: Audit) -> Figure:
    """Stack the images of the three splits, class by class, the most frequent class on top."""
    counts = pd.DataFrame(audit.counts, index=list(audit.classes)).rename(columns=SPLITS)
    counts = counts.sort_values(SPLITS["train"], ascending=False, kind="stable")
    totals, colours = counts.sum(axis=1), (BLUE, style.SKY, style.RULE)
    fig, ax = style.subplots(0.27 * len(counts) + 0.8)
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
def examples(config: Config) -> Figure:
    """Show an image per class of train, then of validation, as the network receives them."""
    shown, titles = [], []
    for split in ("train", "validation"):
        images, names = _one_of_each(config, split, len(CLASSES))
        shown += [*_as_seen(config, images, augmented=split == "train")]
        titles += [break_name(name, 10) for name in names]
    fig = gallery(shown, titles, len(CLASSES), 2, ["train", "validation"])
    size = f"{config.data.image_size} × {config.data.image_size} pixels"
    alt = (
        f"Une image par classe, {size}, normalisation défaite : entraînement après augmentation, "
    )
    return finish(fig, f"{alt}puis validation, sans augmentation.")


@styled
def augmentation_draws(config: Config) -> Figure:
    """Show four training images, of the classes drawn with most contrast, and five draws each."""
    images, names = _one_of_each(config, "train", len(CLASSES))
    kept = np.sort(images.std(axis=(1, 2, 3)).argsort()[::-1][:ROWS])
    images, names = images[kept], [names[i] for i in kept]
    plain = _as_seen(config, images, augmented=False)
    drawn = _as_seen(config, np.repeat(images, DRAWS, axis=0), augmented=True)
    shown = torch.cat([plain[:, None], drawn.unflatten(0, (-1, DRAWS))], dim=1).flatten(0, 1)
    titles = ["original", *(f"tirage {k + 1}" for k in range(DRAWS))]
    fig = gallery(shown, titles, DRAWS + 1, 0, list(map(break_name, names)))
    alt = f"Une ligne par image ({', '.join(names)}) : l’original, puis {DRAWS} tirages décalés, "
    return finish(fig, f"{alt}retournés, recolorés légèrement ; la classe reste reconnaissable.")


@styled
def overlaps(config: Config, found: Overlaps) -> Figure | None:
    """Lay the tiles of some pairs over each other, those of two classes first; no test tile."""
    dataset = load_dataset(config)
    seen = [pair for pair in found.pairs if "test" not in (pair.first.split, pair.second.split)]
    shown = sorted(seen, key=lambda pair: pair.first.label == pair.second.label)[:PAIRS]
    if not shown:
        return None
    names = [[dataset.classes[t.label] for t in (pair.first, pair.second)] for pair in shown]
    titles = [" ≠\n".join(map(break_name, dict.fromkeys(both))) for both in names]
    fig = gallery([_mosaic(dataset, pair) for pair in shown], titles, PAIRS, 3)
    told = [f"{p.first.name} et {p.second.name}, {pct(p.share, 0)} en commun" for p in shown]
    return finish(fig, " ; ".join(told) + ".")


def _mosaic(dataset: EuroSAT, pair: Overlap) -> np.ndarray:
    """Lay the second tile over the first, on white: uint8 (3, H, W)."""
    canvas = np.full((3, SIDE + abs(pair.down), SIDE + abs(pair.right)), 255, np.uint8)
    for tile, sign in ((pair.first, -1), (pair.second, 1)):
        top, left = max(0, sign * pair.down), max(0, sign * pair.right)
        pixels = getattr(dataset, tile.split).images[tile.index]
        canvas[:, top : top + SIDE, left : left + SIDE] = pixels
    return canvas


def _as_seen(config: Config, images: np.ndarray, augmented: bool) -> torch.Tensor:
    """Transform uint8 (N, 3, H, W) as for the network, then undo the normalisation."""
    preprocess = get_preprocess_transforms(config)
    batch = preprocess.resize(torch.from_numpy(images))
    if augmented:
        augment = get_augmentation_transforms(config)
        batch = augment(batch, augment.draw(len(batch), epoch_generator(config.seed, 0)))
    return preprocess.invert(preprocess(batch))


def _one_of_each(config: Config, split: str, count: int) -> tuple[np.ndarray, list[str]]:
    """Draw images of the classes in turn, sorted by class: uint8 (count, 3, H, W), class names."""
    dataset, generator = load_dataset(config), np.random.default_rng(config.seed)
    part = getattr(dataset, split)
    order = pd.Series(part.labels)[generator.permutation(len(part))]
    turn = order.groupby(order).cumcount().sort_index()  # how many of its class come before
    place = generator.permutation(int(part.labels.max()) + 1)[part.labels]  # in each turn
    index = np.lexsort((place, turn))[:count]
    index = index[np.argsort(part.labels[index], kind="stable")]
    return part.images[index], [dataset.classes[label] for label in part.labels[index]]
