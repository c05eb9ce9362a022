"""Galleries of the audit: extremes, near-duplicates, mean images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.data.audit import Audit, Duplicates
from eurosat_lib.data.audit.colours import mean_images as class_means
from eurosat_lib.data.audit.duplicates import Pair
from eurosat_lib.data.audit.perceptual import view
from eurosat_lib.data.audit.tiles import Tile
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.pictures import break_name, fill, gallery, show
from eurosat_lib.plots.style import (
    BLUE,
    ORANGE,
    SMALL,
    finish,
    say,
    styled,
)
from eurosat_lib.tables.words import plural

SCALES = {  # extreme -> what its row is called, how its value is written
    "faint": ("les plus\nunies", lambda v: f"écart-type {nombre(v, 1)}"),
    "light": ("les plus\nclaires", lambda v: f"moyenne {nombre(v, 0)}"),
    "clipped": ("les plus\nsaturées", lambda v: f"{pct(v, 0)} à 255"),
}
PAIRS = 4  # shown on either side of the threshold
SPREAD = 3.0  # contrast of the second row of mean images


@styled
def extremes(config: Config, audit: Audit) -> Figure:
    """Show the most uniform, the lightest and the most saturated tiles, as they are."""
    dataset = load_dataset(config)
    columns = max(len(found) for found in audit.extremes.values())
    fig, axes = gallery(columns, len(SCALES), title_lines=2)
    for row, (kind, (name, write)) in zip(axes, SCALES.items(), strict=True):
        found = audit.extremes[kind]
        titles = [f"{class_of(dataset, e.tile)}\n{write(e.value)}" for e in found]
        fill(row, [picture(pixels(dataset, e.tile)) for e in found], titles)
        row[0].set_ylabel(name, fontsize=SMALL)
    ends = " ; ".join(
        f"{name} : {', '.join(sorted({class_of(dataset, e.tile) for e in audit.extremes[kind]}))}"
        for kind, (name, _) in SCALES.items()
    ).replace("\n", " ")
    alt = f"Trois rangées de {columns} vignettes d’entraînement et de validation. {ends}."
    return finish(fig, "Les vignettes extrêmes (entraînement et validation)", alt)


@styled
def duplicate_pairs(config: Config, duplicates: Duplicates) -> Figure:
    """Show the weakest pairs above the threshold and the strongest below, one over the other."""
    dataset = load_dataset(config)
    seen = [p for p in duplicates.pairs if "test" not in (p.first.split, p.second.split)]
    above, below = seen[::-1][:PAIRS][::-1], duplicates.rejected[:PAIRS]
    fig, axes = gallery(max(2, len(above) + len(below)), 2, title_lines=1)
    fill(axes, [], [])
    for column, pair in enumerate([*above, *below]):
        color = ORANGE if pair in above else BLUE
        first, second = _both(dataset, pair)
        show(axes[0, column], first, f"{nombre(pair.correlation, 2)}", color)
        show(axes[1, column], second, f"{plural(pair.distance, 'bit')}", color)
    if not above and not below:
        say(axes[0, 0], "aucune paire")
    words = [
        f"{p.first.name} et {p.second.name} ({nombre(p.correlation, 2)})" for p in (*above, *below)
    ]
    alt = (
        f"Paires l’une au-dessus de l’autre, la seconde tournée comme la première : "
        f"{plural(len(above), 'paire')} au-dessus du seuil, {len(below)} au-dessous. "
        f"{' ; '.join(words)}."
    )
    title = f"De part et d’autre du seuil de {nombre(duplicates.same)} : orange, même lieu"
    return finish(fig, title, alt)


@styled
def mean_images(config: Config) -> Figure:
    """Show the mean training image of each class, then the same with its contrast enlarged."""
    dataset = load_dataset(config)
    means = class_means(dataset.train, len(dataset.classes)) / 255
    present = [k for k in range(len(means)) if np.isfinite(means[k]).all()]
    fig, axes = gallery(len(present), 2, title_lines=1)
    for column, label in enumerate(present):
        mean = means[label]
        center = mean.mean((1, 2), keepdims=True)
        strong = (center + SPREAD * (mean - center)).clip(0, 1)
        show(axes[0, column], torch.from_numpy(mean), break_name(dataset.classes[label], 9))
        show(axes[1, column], torch.from_numpy(strong))
    axes[0, 0].set_ylabel("moyenne", fontsize=SMALL)
    axes[1, 0].set_ylabel(f"contraste × {nombre(SPREAD)}", fontsize=SMALL)
    spread = [float(means[k].std((1, 2)).mean()) * 255 for k in present]
    between = float(means[present].mean((2, 3)).std(0).mean()) * 255
    widest = dataset.classes[present[int(np.argmax(spread))]]
    alt = (
        "Image moyenne de chaque classe. D’une classe à l’autre, elle varie de "
        f"{nombre(between, 1)} niveaux sur 255 ; d’un endroit à l’autre d’une même image moyenne, "
        f"de {nombre(min(spread), 1)} à {nombre(max(spread), 1)}, le plus pour {widest}."
    )
    return finish(fig, "L’image moyenne de chaque classe (entraînement)", alt)


def pixels(dataset: EuroSAT, tile: Tile) -> np.ndarray:
    """Return the pixels of a tile, uint8 (3, H, W).

    Raises:
        ValueError: a tile of the test split, which is not for looking at.
    """
    if tile.split == "test":
        raise ValueError(f"{tile.name}: the test split is not for looking at")
    return getattr(dataset, tile.split).images[tile.index]


def picture(image: np.ndarray) -> Tensor:
    """Turn uint8 (3, H, W) into float32 in [0, 1], as ``show`` wants it."""
    return torch.from_numpy(np.ascontiguousarray(image) / np.float32(255))


def class_of(dataset: EuroSAT, tile: Tile) -> str:
    """Return the class that a tile is labelled with."""
    return dataset.classes[tile.label]


def _both(dataset: EuroSAT, pair: Pair) -> Sequence[Tensor]:
    second = view(pixels(dataset, pair.second), pair.view)
    return picture(pixels(dataset, pair.first)), picture(second)
