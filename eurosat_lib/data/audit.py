"""Look at every image before training on any: counts, faults, colours, batches."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import ClassVar

import numpy as np
import torch

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, Split
from eurosat_lib.data.loaders import BatchLoader, get_dataloaders
from eurosat_lib.training.records import Record

SPLITS = ("train", "validation", "test")
BLOCK = 2048  # images looked at together: bounds memory


class Audit(Record):
    """Counts and findings over all images of the three splits."""

    stage: ClassVar[str] = "explore_dataset"

    source_kind: str  # "hub", "folder" or "synthetic"
    source_location: str
    source_revision: str | None
    fingerprint: str  # sha256 of pixels, labels and names
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]  # split -> images per class, in the order of classes
    image_shape: tuple[int, ...]
    duplicates: int  # images whose pixels already occurred
    duplicates_across: int  # groups of equal images that span two splits
    black: int  # all pixels 0
    nodata: int  # at least one pixel 0 in the three channels
    flat: int  # a single colour
    saturated: int  # more than 1 % of the values at 255
    channel_mean: tuple[float, ...]  # train, of [0, 1] values
    channel_sd: tuple[float, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Images per split."""
        return {split: sum(counts) for split, counts in self.counts.items()}

    def facts(self) -> dict:
        """Return the fields and what follows from them."""
        train = self.counts["train"]
        total = sum(self.sizes.values())
        return self.model_dump(mode="json") | {
            **{f"n_{split}": size for split, size in self.sizes.items()},
            "total": total,
            "shares": {split: size / total for split, size in self.sizes.items()},
            "num_classes": len(self.classes),
            "largest_class": self.classes[int(np.argmax(train))],
            "largest_count": max(train),
            "smallest_class": self.classes[int(np.argmin(train))],
            "smallest_count": min(train),
            "imbalance": max(train) / min(train),
            "synthetic": self.source_kind == "synthetic",
        }


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


def explore_dataset(dataset: EuroSAT) -> Audit:
    """Count classes and faults over all images; limits of the configuration do not apply."""
    splits = {name: getattr(dataset, name) for name in SPLITS}
    digests = {name: _digests(split) for name, split in splits.items()}
    holders: dict[bytes, set[str]] = {}
    for name, values in digests.items():
        for value in values:
            holders.setdefault(value, set()).add(name)
    faults = sum((_faults(split) for split in splits.values()), Counter())
    mean, sd = channel_statistics(dataset.train.images)
    return Audit(
        source_kind=dataset.source.kind,
        source_location=dataset.source.location,
        source_revision=dataset.source.revision,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        counts={
            name: tuple(np.bincount(split.labels, minlength=len(dataset.classes)).tolist())
            for name, split in splits.items()
        },
        image_shape=dataset.train.images.shape[1:],
        duplicates=sum(map(len, digests.values())) - len(holders),
        duplicates_across=sum(len(names) > 1 for names in holders.values()),
        **{kind: faults[kind] for kind in ("black", "nodata", "flat", "saturated")},
        channel_mean=mean,
        channel_sd=sd,
    )


def verify_pipeline(config: Config) -> Pipeline:
    """Draw batches from the loaders and check shapes, ranges, order; the test is not opened."""
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


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel of [0, 1] values, over all pixels.

    Args:
        images: uint8 (N, 3, H, W).
    """
    histogram = np.stack(
        [
            sum(
                np.bincount(images[i : i + BLOCK, c].ravel(), minlength=256)
                for i in range(0, len(images), BLOCK)
            )
            for c in range(images.shape[1])
        ]
    )
    values = np.arange(256) / 255
    weights = histogram / histogram.sum(1, keepdims=True)
    mean = weights @ values
    sd = np.sqrt(weights @ values**2 - mean**2)
    return tuple(mean.tolist()), tuple(sd.tolist())


def _digests(split: Split) -> list[bytes]:
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in split.images]


def _faults(split: Split) -> Counter:
    found: Counter = Counter()
    for start in range(0, len(split.images), BLOCK):
        pixels = split.images[start : start + BLOCK].reshape(-1, 3, split.images[0, 0].size)
        black = (pixels == 0).all(1)  # (B, H * W)
        found["black"] += int(black.all(1).sum())
        found["nodata"] += int(black.any(1).sum())
        found["flat"] += int((pixels.max(2) == pixels.min(2)).all(1).sum())
        found["saturated"] += int(((pixels == 255).mean((1, 2)) > 0.01).sum())
    return found


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
