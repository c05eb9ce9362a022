"""What a recipe makes of the configuration: network, batches, normalisation, sides."""

from __future__ import annotations

import numpy as np

from eurosat_lib.config import Config, override
from eurosat_lib.config.recipes import Augmenting, Settings
from eurosat_lib.data import Split

FULL_SIDE = 64  # pixels of a EuroSAT tile
DIGITS = 4  # of mean and standard deviation
SIDE_STEP = 4  # pixels: the network halves the side twice
BLOCK = 2048  # images summed at a time


def recipe_config(config: Config, settings: Settings, train: Split) -> Config:
    """Return the configuration with the recipe's network, batches and normalisation.

    Args:
        config: of the run.
        settings: the recipe.
        train: its images give the statistics, if the recipe asks for them.
    """
    values = {
        "data.batch_size": settings.batch_size,
        "model.blocks_per_stage": settings.blocks_per_stage,
        "model.dilation_stage3": settings.dilation_stage3,
    }
    if settings.statistics == "data":
        mean, std = channel_statistics(train)
        values |= {"preprocess.mean": mean, "preprocess.std": std}
    return override(config, values)


def scaled(settings: Settings, config: Config) -> Augmenting:
    """Return the augmentation with the crop's padding in pixels of this run's images."""
    own = settings.augment
    padding = round(own.crop_padding * config.data.image_size / FULL_SIDE)
    return own.model_copy(update={"crop_padding": padding})


def channel_statistics(split: Split) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel over all pixels, for [0, 1] values."""
    sums, squares = np.zeros(3), np.zeros(3)
    for start in range(0, len(split), BLOCK):
        values = np.asarray(split.images[start : start + BLOCK], np.float64) / 255
        sums += values.sum((0, 2, 3))
        squares += (values**2).sum((0, 2, 3))
    count = len(split) * split.images.shape[2] * split.images.shape[3]
    mean = sums / count
    std = np.sqrt(squares / count - mean**2)
    return [round(float(m), DIGITS) for m in mean], [round(float(s), DIGITS) for s in std]


def side_at(settings: Settings, epoch: int, full: int) -> int:
    """Return the side of the training images of an epoch, in pixels.

    Args:
        settings: ``sides`` tells the share of the full side from which share of the epochs on.
        epoch: counted from 0.
        full: side of the images that the network is judged on, in pixels.

    Returns:
        A multiple of 4, at least 16 and at most ``full``.
    """
    share = [side for start, side in settings.sides if start * settings.epochs <= epoch][-1]
    return min(full, max(16, SIDE_STEP * round(share * full / SIDE_STEP)))
