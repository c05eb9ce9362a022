"""Look at every image before training on any: counts, faults, colours, lists."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import ClassVar

import numpy as np

from eurosat_lib.data.types import SPLITS, EuroSAT, Split
from eurosat_lib.record import Record

# MD5 of the file names of each split, joined by newlines: the lists that google-research
# (remote_sensing_representations) published and torchgeo uses.
PUBLISHED = {
    "train": "908f142e73d6acdf3f482c5e80d851b1",
    "validation": "95de90f2aa998f70a3b2416bfe0687b4",
    "test": "7ae5ab94471417b6e315763121e67c5f",
}
BLOCK = 2048  # images looked at together: bounds memory


class Audit(Record):
    """Counts and findings over all images of the three splits."""

    stage: ClassVar[str] = "explore_dataset"

    source_kind: str  # "hub", "folder" or "synthetic"
    source_location: str
    source_revision: str | None
    fingerprint: str  # sha256 of pixels, labels and names
    published_lists: bool  # the three splits are those of google-research, in that order
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
        published_lists=all(_is_published(name, split) for name, split in splits.items()),
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


def _is_published(name: str, split: Split) -> bool:
    names = "\n".join(split.names).encode()
    return hashlib.md5(names, usedforsecurity=False).hexdigest() == PUBLISHED[name]


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
