"""What the loaders deliver: shapes, ranges, order."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from eurosat_lib.config import Config
from eurosat_lib.data.loaders import BatchLoader, get_dataloaders
from eurosat_lib.data.types import SPLITS
from eurosat_lib.record import Record


class Pipeline(Record):
    """What the loaders deliver."""

    stage: ClassVar[str] = "verify_pipeline"

    batch_shape: tuple[int, ...]
    batch_dtype: str
    labels_shape: tuple[int, ...]
    labels_dtype: str
    label_min: int
    label_max: int
    input_shape: tuple[int, int, int]
    num_classes: int
    batch_size: int
    batches: dict[str, int]  # split -> batches of one pass
    used: dict[str, int]  # split -> images of one pass
    value_min: float  # over all validation images, after preprocessing
    value_max: float
    value_mean: tuple[float, ...]  # per channel
    value_sd: tuple[float, ...]
    possible_min: float  # of any uint8 image
    possible_max: float
    reshuffled: bool  # two epochs of train come in different orders
    repeatable: bool  # the same epoch twice gives the same bits
    fixed_order: bool  # validation comes twice in the same order

    @property
    def coherent(self) -> bool:
        """Tell whether a batch has the shape that ``meta`` announces."""
        return self.batch_shape[1:] == self.input_shape

    def facts(self) -> dict:
        """Return the fields and the verdict."""
        return self.model_dump(mode="json") | {"coherent": self.coherent}


def verify_pipeline(config: Config) -> Pipeline:
    """Draw batches from train and validation, and check shapes, ranges, order."""
    train, validation, test, meta = get_dataloaders(config)
    images, labels = next(iter(train.epoch(0)))
    other = next(iter(train.epoch(1)))[0]
    again = next(iter(train.epoch(0)))[0]
    low, high, mean, sd = _value_statistics(validation)
    orders = [torch.cat([y for _, y in validation.epoch(e)]) for e in (0, 1)]
    channel = np.array(config.preprocess.mean), np.array(config.preprocess.std)
    return Pipeline(
        batch_shape=tuple(images.shape),
        batch_dtype=str(images.dtype).removeprefix("torch."),
        labels_shape=tuple(labels.shape),
        labels_dtype=str(labels.dtype).removeprefix("torch."),
        label_min=int(train.labels.min()),
        label_max=int(train.labels.max()),
        **meta,
        batch_size=config.data.batch_size,
        batches={"train": len(train), "validation": len(validation), "test": len(test)},
        used={
            name: loader.num_images
            for name, loader in zip(SPLITS, (train, validation, test), strict=True)
        },
        value_min=low,
        value_max=high,
        value_mean=mean,
        value_sd=sd,
        possible_min=float(((0 - channel[0]) / channel[1]).min()),
        possible_max=float(((1 - channel[0]) / channel[1]).max()),
        reshuffled=not torch.equal(images, other),
        repeatable=torch.equal(images, again),
        fixed_order=torch.equal(*orders),
    )


def _value_statistics(loader: BatchLoader) -> tuple[float, float, tuple, tuple]:
    low, high, count = np.inf, -np.inf, 0
    total, squares = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for images, _ in loader.epoch(0):
        values = images.cpu().double()
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        total += values.sum((0, 2, 3))
        squares += (values**2).sum((0, 2, 3))
        count += values.numel() // 3
    mean = total / count
    sd = (squares / count - mean**2).sqrt()
    return low, high, tuple(mean.tolist()), tuple(sd.tolist())
