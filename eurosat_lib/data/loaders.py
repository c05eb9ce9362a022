"""Batches: from the decoded splits to normalised tensors on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eurosat_lib.config import Config
from eurosat_lib.data import Split, load_dataset
from eurosat_lib.runtime import epoch_generator, get_device
from eurosat_lib.transforms import (
    Augmentation,
    Preprocessing,
    get_augmentation_transforms,
    get_preprocess_transforms,
)

RESIZE_BATCH = 1024  # images resized at a time: bounds the memory of an antialiased resize


@dataclass
class BatchLoader:
    """Iterate over one split; the order and augmentation of an epoch depend on (seed, epoch) only.

    Yields ``images`` float32 (B, 3, S, S), normalised, channels last, and ``labels`` int64 (B,).
    With ``augment`` the images are shuffled and augmented, otherwise they come in file order.
    Each ``for`` loop over a training loader is the next epoch; ``epoch(e)`` gives any of them.
    """

    images: Tensor  # uint8 (N, 3, S, S)
    labels: Tensor  # int64 (N,)
    batch_size: int
    preprocess: Preprocessing
    augment: Augmentation | None
    seed: int
    device: torch.device
    _epoch: int = field(default=0, repr=False)

    def __len__(self) -> int:
        """Return the number of batches; the last may be smaller."""
        return -(-len(self.labels) // self.batch_size)

    @property
    def num_images(self) -> int:
        """Number of images of one pass."""
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over the next epoch."""
        self._epoch += 1
        return self.epoch(self._epoch - 1)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over the batches of epoch number ``epoch``, counted from 0."""
        generator = epoch_generator(self.seed, epoch)
        if self.augment:
            order = torch.randperm(self.num_images, generator=generator)
        else:
            order = torch.arange(self.num_images)
        for index in order.split(self.batch_size):
            yield self._batch(index, generator)

    def _batch(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = self.images[index].to(self.device, non_blocking=True)
        labels = self.labels[index].to(self.device, non_blocking=True)
        if self.augment:
            images = self.augment(images, generator)
        images = self.preprocess(images)
        return images.contiguous(memory_format=torch.channels_last), labels


def get_dataloaders(
    config: Config,
) -> tuple[BatchLoader, BatchLoader, BatchLoader, dict[str, Any]]:
    """Build the loaders of the three splits.

    Returns:
        train (shuffled, augmented), validation, test, and
        ``meta = {"num_classes": 10, "input_shape": (3, S, S)}``.
    """
    dataset = load_dataset(config)
    train = make_loader(config, dataset.train, config.data.train_limit, augment=True)
    validation = make_loader(config, dataset.validation, config.data.validation_limit)
    test = make_loader(config, dataset.test, config.data.test_limit)
    size = config.data.image_size
    meta = {"num_classes": len(dataset.classes), "input_shape": (3, size, size)}
    return train, validation, test, meta


def make_loader(
    config: Config,
    split: Split,
    limit: int | None = None,
    augment: bool = False,
    seed: int | None = None,
) -> BatchLoader:
    """Build the loader of one split.

    Args:
        config: sizes, transformations, device.
        split: decoded images.
        limit: keep this many images, drawn once and for all; ``None`` keeps them all.
        augment: shuffle and augment, as for training.
        seed: of the order and augmentation; ``None``: ``config.seed``.
    """
    preprocess = get_preprocess_transforms(config)
    index = subset(len(split.labels), limit)
    return BatchLoader(
        images=_resized(split.images, index, preprocess),
        labels=torch.from_numpy(split.labels[index].astype(np.int64)),
        batch_size=config.data.batch_size,
        preprocess=preprocess,
        augment=get_augmentation_transforms(config) if augment else None,
        seed=config.seed if seed is None else seed,
        device=get_device(config.compute.device),
    )


def subset(total: int, limit: int | None) -> np.ndarray:
    """Return the positions kept by a limit: a fixed random draw, in file order; int64 (n,)."""
    if limit is None or limit >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).permutation(total)[:limit])


def _resized(images: np.ndarray, index: np.ndarray, preprocess: Preprocessing) -> Tensor:
    """Resize is deterministic, so it is done once here and not at every epoch."""
    parts = [
        preprocess.resize(torch.from_numpy(images[part]))
        for part in np.array_split(index, max(1, len(index) // RESIZE_BATCH))
    ]
    return torch.cat(parts)
