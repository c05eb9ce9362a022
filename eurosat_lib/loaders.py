"""Batches: from the decoded splits to normalised tensors on the device."""

from __future__ import annotations

import warnings
from collections import OrderedDict
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
    Draws,
    Preprocessing,
    get_augmentation_transforms,
    get_preprocess_transforms,
)

BLOCK = 1024  # images resized at a time: bounds the memory of an antialiased resize
KEPT = 6  # tensors kept: train, validation and test of two trainings
_kept: OrderedDict[tuple, tuple[np.ndarray, Tensor]] = OrderedDict()


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
        order, draws = torch.arange(count), None
        if self.augment:
            generator = epoch_generator(self.seed, epoch)
            order = torch.randperm(count, generator=generator)
            draws = self.augment.draw(count, generator).to(device)
        order = order.to(device)
        for start in range(0, count, self.batch_size):
            batch = slice(start, start + self.batch_size)
            yield self._batch(order[batch], draws[batch] if draws else None)

    def _batch(self, rows: Tensor, draws: Draws | None) -> tuple[Tensor, Tensor]:
        images = self.images[rows]
        if self.augment and draws:
            images = self.augment(images, draws)
        images = self.preprocess(images)
        return images.contiguous(memory_format=torch.channels_last), self.labels[rows]


def get_dataloaders(
    config: Config,
) -> tuple[BatchLoader, BatchLoader, BatchLoader, dict[str, Any]]:
    """Build the loaders of the three splits.

    Returns:
        train (shuffled, augmented), validation, test, and
        ``meta = {"num_classes": 10, "input_shape": (3, S, S)}``.
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
    """Build the loader of one split.

    Args:
        config: sizes, transformations, device.
        split: decoded images.
        limit: keep this many images, drawn once and for all; ``None`` keeps them all.
        augment: shuffle and augment, as for training.
        seed: of the order and augmentation; ``None``: ``config.seed``.
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


def _images(
    split: Split, limit: int | None, preprocess: Preprocessing, device: torch.device
) -> Tensor:
    """Return the images of a loader at its size, on its device; the last ones are kept."""
    key = (id(split.images), limit, preprocess.size, device)
    if key not in _kept:
        rows = subset(len(split), limit)
        whole = len(rows) == len(split)
        with warnings.catch_warnings():  # the memory map is read-only, and nobody writes
            warnings.simplefilter("ignore", UserWarning)
            images = torch.from_numpy(split.images if whole else split.images[rows])
        if images.shape[-1] != preprocess.size:
            blocks = images.split(BLOCK)
            images = torch.cat([preprocess.resize(block.to(device)) for block in blocks])
        _kept[key] = (
            split.images,
            images.to(device),
        )  # no other array gets this id while it is kept
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key][1]
