"""Colours class by class: moments, what of them the class explains, the mean image."""

from __future__ import annotations

import numpy as np

from eurosat_lib.data.types import Split
from eurosat_lib.record import Record


class Colours(Record):
    """Moments of the [0, 1] values of one set of images, per channel."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]  # over all pixels of all images


def pooled(mean: np.ndarray, sd: np.ndarray) -> Colours:
    """Return the moments over all pixels of images of equal size.

    Args:
        mean: float (N, 3), of each image, 0-255; N may be 0, the moments are then 0.
        sd: float (N, 3), of each image, 0-255.
    """
    if not len(mean):
        return Colours(mean=(0.0,) * mean.shape[1], sd=(0.0,) * mean.shape[1])
    center = mean.mean(0)
    spread = np.sqrt((sd**2 + (mean - center) ** 2).mean(0))  # law of total variance
    return Colours(mean=tuple((center / 255).tolist()), sd=tuple((spread / 255).tolist()))


def explained(mean: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Return the share of the variance of images' mean colours that their class explains.

    The correlation ratio (eta squared) of a one-way analysis of variance: between-class sum of
    squares over the total (Fisher 1925); 0 where nothing varies.

    Args:
        mean: float (N, 3).
        labels: int (N,).

    Returns:
        One share in [0, 1] per channel.
    """
    total = ((mean - mean.mean(0)) ** 2).sum(0)
    between = np.zeros_like(total)
    for label in np.unique(labels):
        members = mean[labels == label]
        between += len(members) * (members.mean(0) - mean.mean(0)) ** 2
    return tuple(np.divide(between, total, out=np.zeros_like(total), where=total > 0).tolist())


def standardised(differences: np.ndarray) -> float:
    """Return a mean difference over its standard deviation (Cohen's d of paired values).

    Args:
        differences: float (n,); 0 comes back where they are fewer than two or do not vary.
    """
    deviation = differences.std(ddof=1) if len(differences) > 1 else 0.0
    return float(differences.mean() / deviation) if deviation else 0.0


def mean_images(split: Split, classes: int) -> np.ndarray:
    """Average the images of each class, pixel by pixel.

    Returns:
        float32 (K, 3, H, W), 0-255; NaN for a class without images.
    """
    sums = np.zeros((classes, *split.images.shape[1:]), np.int64)
    for label in range(classes):
        members = np.flatnonzero(split.labels == label)
        for part in np.array_split(members, max(1, len(members) // 512)):
            sums[label] += split.images[part].sum(0, dtype=np.int64)
    counts = np.bincount(split.labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        return (sums / counts[:, None, None, None]).astype(np.float32)
