"""The drawn images: ten textures under EuroSAT's class names, 64 x 64 pixels.

They stand in where EuroSAT cannot be had, so that everything can be tried; they measure nothing
on Earth. Stripes, single or crossed, of five widths tell the classes apart, mean colours only in
part. Only NumPy's generators and operations that IEEE 754 rounds exactly are used: the bits are
the same on every machine.
"""

from __future__ import annotations

import numpy as np

SIDE = 64  # pixels
SPLITS = ("train", "validation", "test")
# Images in a block of 108, in EuroSAT's proportions; alphabetical, as its labels are.
SHARES = {"AnnualCrop": 12, "Forest": 12, "HerbaceousVegetation": 12, "Highway": 10}
SHARES |= {"Industrial": 10, "Pasture": 8, "PermanentCrop": 10, "Residential": 12}
SHARES |= {"River": 10, "SeaLake": 12}
CLASSES: tuple[str, ...] = tuple(SHARES)
WIDTHS = (4, 7, 11, 17, 26)  # pixels from stripe to stripe, about; crossed in half of the classes
TINTS = np.array((3, 7, 9))[:, None, None]  # how the colour of the ground depends on the class


def generate(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the first ``count`` images of a split; more start with the same ones.

    They are uint8 (count, 3, 64, 64), RGB 0–255; the labels int64 (count,), places in ``CLASSES``.
    """
    key, block = SPLITS.index(split), np.repeat(np.arange(10), list(SHARES.values()))
    starts = range(0, count + 1, len(block))
    dealt = [np.random.default_rng([key, start]).permutation(block) for start in starts]
    labels = np.concatenate(dealt)[:count]
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    for i, label in enumerate(labels.tolist()):
        images[i] = _draw(np.random.default_rng([key, i, label]), label)
    return images, labels


def _draw(rng: np.random.Generator, label: int) -> np.ndarray:
    """Draw stripes of the class's width in any direction, on a ground of about its colour."""
    x, y = rng.uniform(-1, 1), rng.uniform(0.01, 1)
    x, y = x / np.sqrt(x * x + y * y), y / np.sqrt(x * x + y * y)
    crossed, rank = divmod(label, len(WIDTHS))
    grid, width = np.arange(SIDE), WIDTHS[rank] * rng.uniform(0.85, 1.15)
    image = rng.uniform(40, 110, (3, 1, 1)) + 8 * (label * TINTS % 10)
    for along in (x * grid + y * grid[:, None], y * grid - x * grid[:, None])[: 1 + crossed]:
        turns = along / width + rng.uniform()
        image = image + rng.uniform(15, 60) * np.abs(turns - np.rint(turns))
    image = image + rng.uniform(5, 25) * rng.uniform(-1, 1, (3, SIDE, SIDE))
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)
