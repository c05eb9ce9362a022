"""Pictures of notebook 01: examples of the classes, draws of the augmentation."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.plots.pictures import break_name, fill, gallery, show
from eurosat_lib.plots.style import SMALL, finish, styled
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms

OF = {"train": "d’entraînement", "validation": "de validation"}
COLUMNS = 6  # pictures in a row
ROWS, DRAWS = 4, 5  # pictures that are augmented, and how often


@styled
def examples(config: Config, split: str, augmented: bool, count: int = 12) -> Figure:
    """Show images of all classes in turn, as the network receives them, normalisation undone.

    Args:
        config: size, transformations, seed of the draw.
        split: ``train`` or ``validation``.
        augmented: augment them, as in training.
        count: pictures.

    Raises:
        UserError: another split; the test is not for looking at.
    """
    if split not in OF:
        raise UserError(f"examples: split {split!r} is not shown; take train or validation")
    dataset = load_dataset(config)
    images, labels = getattr(dataset, split).images, getattr(dataset, split).labels
    index = _one_of_each(labels, count, config.seed)
    shown = _as_seen(config, images[index], augmented)
    names = [dataset.classes[label] for label in labels[index]]
    rows = -(-len(index) // COLUMNS)
    fig, axes = gallery(COLUMNS, rows)
    fill(axes, list(shown), [break_name(name) for name in names])
    state = "après augmentation" if augmented else "sans augmentation"
    size = f"{config.data.image_size} × {config.data.image_size} pixels"
    alt = f"{len(index)} images {OF[split]}, {state}, {size} : {', '.join(names)}."
    return finish(fig, f"Images {OF[split]}, {state} ({size})", alt)


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
    fig, axes = gallery(DRAWS + 1, len(index), title_lines=0)
    for row, cells in enumerate(axes):
        show(cells[0], plain[row], "original" if row == 0 else "")
        cells[0].set_ylabel(break_name(dataset.classes[labels[index[row]]]), fontsize=SMALL)
        for draw in range(DRAWS):
            title = f"tirage {draw + 1}" if row == 0 else ""
            show(cells[draw + 1], drawn[row * DRAWS + draw], title)
    names = ", ".join(dataset.classes[labels[i]] for i in index)
    alt = (
        f"Une ligne par image ({names}) : l’original à gauche, puis {DRAWS} tirages décalés, "
        "retournés, de couleurs légèrement changées ; la classe reste reconnaissable."
    )
    return finish(fig, "La même image, augmentée plusieurs fois", alt)


def _as_seen(config: Config, images: np.ndarray, augmented: bool) -> Tensor:
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
    order = generator.permutation(len(labels))
    turn = np.empty(len(labels), dtype=int)  # how many of its class are drawn before an image
    for label in np.unique(labels):
        members = order[labels[order] == label]
        turn[members] = np.arange(len(members))
    place = generator.permutation(int(labels.max()) + 1)[labels]  # of its class in each turn
    index = np.lexsort((place, turn))[:count]
    return index[np.argsort(labels[index], kind="stable")]
