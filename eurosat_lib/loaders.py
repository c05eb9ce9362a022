"""Batches: from the decoded splits to normalised tensors on the device."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
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

BLOCK = 1024  # images resized at a time: bounds the memory of an antialiased resize


@dataclass
class BatchLoader:
    """Iterate over one split; the order and augmentation of an epoch depend on (seed, epoch) only.

    Yields ``images`` float32 (B, 3, S, S), normalised, channels last, and ``labels`` int64 (B,).
    With ``augment`` the images are shuffled and augmented, otherwise they come in file order.
    Each ``for`` loop over a training loader is the next epoch; ``epoch(e)`` gives any of them.
    """

    images: Tensor  # uint8 (N, 3, S, S), on the device
    labels: Tensor  # int64 (N,), on the device
    batch_size: int
    preprocess: Preprocessing
    augment: Augmentation | None
    seed: int
    _epoch: int = field(default=0, repr=False)

    def __len__(self) -> int:
        """Return the number of batches; the last may be smaller."""
        return -(-self.num_images // self.batch_size)

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
        device, count = self.labels.device, self.num_images
        order = torch.arange(count)
        if self.augment:
            generator = epoch_generator(self.seed, epoch)
            order = torch.randperm(count, generator=generator)
            draws = self.augment.draw(count, generator).to(device)
        for start, rows in enumerate(order.to(device).split(self.batch_size)):
            images = self.images[rows]
            if self.augment:
                first = start * self.batch_size
                images = self.augment(images, draws[first : first + self.batch_size])
            images = self.preprocess(images).contiguous(memory_format=torch.channels_last)
            yield images, self.labels[rows]


def get_dataloaders(
    config: Config,
) -> tuple[BatchLoader, BatchLoader, BatchLoader, dict[str, Any]]:
    """Build the loaders of train (shuffled, augmented), validation and test.

    The fourth is ``meta = {"num_classes": 10, "input_shape": (3, S, S)}``.
    """
    dataset, data = load_dataset(config), config.data
    train = make_loader(config, dataset.train, data.train_limit, augment=True)
    validation = make_loader(config, dataset.validation, data.validation_limit)
    test = make_loader(config, dataset.test, data.test_limit)
    shape = (3, data.image_size, data.image_size)
    return train, validation, test, {"num_classes": len(dataset.classes), "input_shape": shape}


def make_loader(
    config: Config,
    split: Split,
    limit: int | None = None,
    augment: bool = False,
    seed: int | None = None,
) -> BatchLoader:
    """Build the loader of one split, or of ``limit`` of its images, drawn once and for all.

    ``augment`` shuffles and augments, as for training, from ``seed`` (``None``: ``config.seed``).
    """
    preprocess, device = get_preprocess_transforms(config), get_device(config.compute.device)
    return BatchLoader(
        images=_images(split, limit, preprocess, device),
        labels=torch.from_numpy(split.labels[subset(len(split), limit)]).to(device),
        batch_size=config.data.batch_size,
        preprocess=preprocess,
        augment=get_augmentation_transforms(config) if augment else None,
        seed=config.seed if seed is None else seed,
    )


def subset(total: int, limit: int | None) -> np.ndarray:
    """Return the positions kept by a limit: a fixed random draw, in file order; int64 (n,)."""
    if limit is None or limit >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).permutation(total)[:limit])


@lru_cache(maxsize=6)  # train, validation and test of two trainings
def _images(
    split: Split, limit: int | None, preprocess: Preprocessing, device: torch.device
) -> Tensor:
    """Return the images of a loader at its size, on its device."""
    rows = subset(len(split), limit)
    with warnings.catch_warnings():  # the memory map is read-only, and nobody writes
        warnings.simplefilter("ignore", UserWarning)
        whole = len(rows) == len(split)
        images = torch.from_numpy(split.images if whole else split.images[rows])
    if images.shape[-1] != preprocess.size:
        blocks = images.split(BLOCK)
        images = torch.cat([preprocess.resize(block.to(device)) for block in blocks])
    return images.to(device)
