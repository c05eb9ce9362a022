"""Figures of notebook 01: classes, the images themselves, as they are and as they are seen."""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from eurosat_lib.audit import Audit
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.french import SPLITS, nombre, plural
from eurosat_lib.loaders import BatchLoader, make_loader
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, INK, SMALL, break_name, finish, gallery, styled
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms

NARROW = 0.035  # share of the longest bar below which a bar is too short for its number
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
    alt += f"({counts.index[-1]})."
    return finish(fig, alt)


@styled
def examples(config: Config) -> Figure:
    """Show an image per class of train, then of validation, as the batches give them."""
    dataset, data = load_dataset(config), config.data
    train = make_loader(config, dataset.train, data.train_limit, augment=True)
    validation = make_loader(config, dataset.validation, data.validation_limit)
    names = dataset.classes
    rows = [_first_of_each(loader, len(names)) for loader in (train, validation)]
    labels = sorted(rows[0].keys() & rows[1].keys())
    shown = torch.stack([row[label] for row in rows for label in labels]).cpu()
    titles = [break_name(names[label], 10) for label in labels] * 2
    fig = gallery(train.preprocess.invert(shown), titles, len(labels), ["train", "validation"])
    alt = f"Une image par classe, de {config.data.image_size} pixels de côté, normalisation "
    return finish(fig, f"{alt}défaite : entraînement après augmentation, puis validation, sans.")


@styled
def augmentation_draws(config: Config) -> Figure:
    """Show four training images, of the classes drawn with most contrast, and five draws each."""
    images, names = _one_of_each(config)
    kept = np.sort(images.std(axis=(1, 2, 3)).argsort()[::-1][:ROWS])
    images, names = images[kept], [names[i] for i in kept]
    plain = _as_seen(config, images, augmented=False)
    drawn = _as_seen(config, np.repeat(images, DRAWS, axis=0), augmented=True)
    shown = torch.cat([plain[:, None], drawn.unflatten(0, (-1, DRAWS))], dim=1).flatten(0, 1)
    titles = ["original", *(f"tirage {k + 1}" for k in range(DRAWS))]
    fig = gallery(shown, titles, DRAWS + 1, list(map(break_name, names)))
    alt = f"Une ligne par image ({', '.join(names)}) : l’original, puis {DRAWS} tirages décalés, "
    return finish(fig, f"{alt}retournés, recolorés légèrement ; la classe reste reconnaissable.")


def _first_of_each(loader: BatchLoader, count: int) -> dict[int, torch.Tensor]:
    """Return an image, float32 (3, S, S), of each of ``count`` classes, from the first batches."""
    found: dict[int, torch.Tensor] = {}
    for images, labels in loader.epoch(0):
        found = dict(zip(labels.tolist(), images, strict=True)) | found
        if len(found) == count:
            break
    return found


def _as_seen(config: Config, images: np.ndarray, augmented: bool) -> torch.Tensor:
    """Transform uint8 (N, 3, H, W) as for the network, then undo the normalisation."""
    preprocess = get_preprocess_transforms(config)
    batch = preprocess.resize(torch.from_numpy(images))
    if augmented:
        augment = get_augmentation_transforms(config)
        batch = augment(batch, augment.draw(len(batch), epoch_generator(config.seed, 0)))
    return preprocess.invert(preprocess(batch))


def _one_of_each(config: Config) -> tuple[np.ndarray, list[str]]:
    """Draw a training image of each of the K classes: uint8 (K, 3, H, W), class names."""
    dataset = load_dataset(config)
    part = dataset.train
    order = np.random.default_rng(config.seed).permutation(len(part))
    labels, first = np.unique(part.labels[order], return_index=True)
    return part.images[order[first]], [dataset.classes[label] for label in labels]
