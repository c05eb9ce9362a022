"""The images themselves, all of them: counts, faults, exact copies, extremes, colours by class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from eurosat_lib.data import SPLITS, EuroSAT
from eurosat_lib.stages import Record

# MD5 of the file names of each split, joined by newlines: the lists that google-research
# (remote_sensing_representations) published and torchgeo uses.
PUBLISHED = {
    "train": "908f142e73d6acdf3f482c5e80d851b1",
    "validation": "95de90f2aa998f70a3b2416bfe0687b4",
    "test": "7ae5ab94471417b6e315763121e67c5f",
}
SOURCE = ("kind", "location", "revision")  # of an audit's fields
SHOWN = 6  # tiles of each extreme, for the gallery
BLOCK = 1024  # images looked at together: 12 MB of pixels
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: what JPEG calls luminance
NODATA = 8  # of 255: at most this in the three channels; JPEG smears a zero by a few levels
CLIPPED = 255  # the value at which the sensor's range was cut
SATURATED = 0.01  # share of the values at 255 above which an image is called saturated
FAINT = 3.0  # of 255: standard deviation of the most contrasted channel of a faint image


class Tile(Record):
    """One image: where it is, and what it is said to show."""

    split: str  # "train", "validation" or "test"
    index: int  # position in its split
    name: str
    label: int


def list_tiles(dataset: EuroSAT) -> list[Tile]:
    """Name all images: those of train, then of validation, then of test."""
    splits = {name: getattr(dataset, name) for name in SPLITS}
    return [
        Tile(split=name, index=index, name=split.names[index], label=label)
        for name, split in splits.items()
        for index, label in enumerate(split.labels.tolist())
    ]


def luminance(images: np.ndarray) -> np.ndarray:
    """Weigh the channels of uint8 (N, 3, H, W) into one: float32 (N, H, W), in [0, 255]."""
    grey = images[:, 0] * np.float32(LUMA[0])
    grey += images[:, 1] * np.float32(LUMA[1])
    grey += images[:, 2] * np.float32(LUMA[2])
    return grey


def blocks(images: np.ndarray) -> list[np.ndarray]:
    """Cut images into views of at most ``BLOCK``."""
    return [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]


def measure(images: np.ndarray) -> dict[str, np.ndarray]:
    """Say what the pixels of images, uint8 (N, 3, H, W), are; levels are 0-255.

    Returns:
        ``mean``, ``sd``: float64 (N, 3), of each channel. ``clipped``: float64 (N,), share of
        values at 255. bool (N,): ``black``, no pixel has data; ``nodata``, one pixel or more has
        none; ``flat``, a single colour; ``saturated``, more than ``SATURATED`` of the values at
        255; ``faint``, no channel varies by ``FAINT``.
    """
    return _joined(list(map(_measure, blocks(images))))


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _measure(images: np.ndarray) -> dict[str, np.ndarray]:
    pixels = images.reshape(len(images), images.shape[1], -1)  # (n, 3, H * W)
    values = pixels.astype(np.float32)
    mean = pixels.mean(2)
    squares = np.einsum("ncp,ncp->nc", values, values, dtype=np.float64) / pixels.shape[2]
    sd = np.sqrt(np.maximum(squares - mean**2, 0))
    empty = pixels.max(1) <= NODATA  # (n, H * W): pixels without data
    clipped = (pixels == CLIPPED).mean((1, 2))
    return {
        "mean": mean,
        "sd": sd,
        "clipped": clipped,
        "black": empty.all(1),
        "nodata": empty.any(1),
        "flat": (pixels.max(2) == pixels.min(2)).all(1),
        "saturated": clipped > SATURATED,
        "faint": sd.max(1) < FAINT,
    }


class Colours(Record):
    """Moments of the [0, 1] values of one set of images, per channel."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]  # over all pixels of all images


def _pooled(mean: np.ndarray, sd: np.ndarray) -> Colours:
    """Return the moments over all pixels of images of equal size; 0 without images."""
    if not len(mean):
        return Colours(mean=(0.0,) * mean.shape[1], sd=(0.0,) * mean.shape[1])
    center = mean.mean(0)
    spread = np.sqrt((sd**2 + (mean - center) ** 2).mean(0))  # law of total variance
    return Colours(mean=tuple((center / 255).tolist()), sd=tuple((spread / 255).tolist()))


def explained(mean: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Return the share of the variance of mean colours (N, 3) that labels (N,) explain, in [0, 1].

    The correlation ratio (eta squared) of a one-way analysis of variance: between-class sum of
    squares over the total (Fisher 1925); 0 where nothing varies.
    """
    center, groups = mean.mean(0), [mean[labels == label] for label in np.unique(labels)]
    between = sum(len(group) * (group.mean(0) - center) ** 2 for group in groups)
    total = ((mean - center) ** 2).sum(0)
    return tuple(np.divide(between, total, out=np.zeros_like(total), where=total > 0).tolist())


class Balance(Record):
    """A chi-square test of independence between split and class."""

    statistic: float
    degrees: int  # of freedom
    p_value: float  # of a larger statistic, were the splits drawn without regard to the class
    cramers_v: float  # size of the effect, 0 (same shares) to 1


def balance(counts: Sequence[Sequence[int]]) -> Balance | None:
    """Test whether the shares of the classes differ between splits (rows of the counts).

    Classes without images are left out; ``None`` where fewer than two remain.
    """
    table = np.array(counts)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2:
        return None
    statistic, p_value, degrees, _ = chi2_contingency(table, correction=False)
    v = float(association(table, method="cramer"))
    return Balance(statistic=statistic, degrees=degrees, p_value=p_value, cramers_v=v)


class Extreme(Record):
    """A tile at one end of the whole set, and its value there."""

    tile: Tile
    value: float  # mean (0-255), standard deviation (0-255), share of values at 255


class Audit(Record):
    """Counts and findings over all images of the three splits; see :func:`measure`."""

    stage: ClassVar[str] = "explore_dataset"
    source_kind: str  # "hub", "folder" or "synthetic"
    source_location: str
    source_revision: str | None
    fingerprint: str  # sha256 of pixels, labels and names
    published_lists: bool  # the three splits are those of google-research, in that order
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]  # split -> images per class, in the order of classes
    balance: Balance | None  # of the classes over the splits
    image_shape: tuple[int, ...]  # of every image: decoding refuses another size or mode
    duplicates: int  # images whose pixels already occurred
    duplicates_across: int  # groups of equal images that span two splits
    black: int
    nodata: int
    flat: int
    saturated: int
    faint: int
    saturated_by_class: tuple[int, ...]
    faint_by_class: tuple[int, ...]
    extremes: dict[str, tuple[Extreme, ...]]  # "faint", "light", "clipped"; never of the test
    channel_mean: tuple[float, ...]  # train, of [0, 1] values
    channel_sd: tuple[float, ...]
    colours: tuple[Colours, ...]  # train, class by class
    explained: tuple[float, ...]  # of the variance of train images' mean colour, by the class

    @property
    def sizes(self) -> dict[str, int]:
        """Images per split."""
        return {split: sum(counts) for split, counts in self.counts.items()}

    def facts(self) -> dict[str, Any]:
        """Return the fields and what follows from them."""
        train, total = self.counts["train"], sum(self.sizes.values())
        largest, smallest = max(train), min(train)
        return self.model_dump(mode="json", exclude={"extremes"}) | {
            **{f"n_{split}": size for split, size in self.sizes.items()},
            "total": total,
            "shares": {split: size / total for split, size in self.sizes.items()},
            "num_classes": len(self.classes),
            "largest_class": self.classes[train.index(largest)],
            "largest_count": largest,
            "smallest_class": self.classes[train.index(smallest)],
            "smallest_count": smallest,
            "imbalance": largest / smallest,
            "synthetic": self.source_kind == "synthetic",
            "saturated_class": self.classes[int(np.argmax(self.saturated_by_class))],
            "faint_classes": self._faint_classes(),
        }

    def _faint_classes(self) -> list[str]:
        """Name the classes that together hold nine faint images in ten, most first."""
        order = np.argsort(self.faint_by_class, kind="stable")[::-1]
        reached = np.cumsum(np.array(self.faint_by_class)[order])
        needed = int(np.searchsorted(reached, 0.9 * self.faint)) + 1 if self.faint else 0
        return [self.classes[i] for i in order[:needed]]


def explore_dataset(dataset: EuroSAT) -> Audit:
    """Count classes and faults over all images; limits of the configuration do not apply."""
    splits = {name: getattr(dataset, name) for name in SPLITS}
    measures = {name: measure(split.images) for name, split in splits.items()}
    train, found = measures["train"], _joined(list(measures.values()))
    by_class = partial(np.bincount, minlength=len(dataset.classes))
    counts = {name: by_class(split.labels).tolist() for name, split in splits.items()}
    every = np.concatenate([split.labels for split in splits.values()])
    members = [dataset.train.labels == label for label in range(len(dataset.classes))]
    pooled = _pooled(train["mean"], train["sd"])
    return Audit(
        **{f"source_{part}": getattr(dataset.source, part) for part in SOURCE},
        fingerprint=dataset.fingerprint,
        published_lists=all(_md5(splits[name].names) == PUBLISHED[name] for name in SPLITS),
        classes=dataset.classes,
        counts=counts,
        balance=balance(list(counts.values())),
        image_shape=dataset.train.images.shape[1:],
        **_copies(dataset),
        **{name: int(rows.sum()) for name, rows in found.items() if rows.dtype == bool},
        saturated_by_class=by_class(every[found["saturated"]]).tolist(),
        faint_by_class=by_class(every[found["faint"]]).tolist(),
        extremes=_extremes(dataset, found),
        channel_mean=pooled.mean,
        channel_sd=pooled.sd,
        colours=tuple(_pooled(train["mean"][rows], train["sd"][rows]) for rows in members),
        explained=explained(train["mean"], dataset.train.labels),
    )


def _md5(names: Sequence[str]) -> str:
    return hashlib.md5("\n".join(names).encode(), usedforsecurity=False).hexdigest()


def _copies(dataset: EuroSAT) -> dict[str, int]:
    images = [
        (hashlib.blake2b(image.tobytes(), digest_size=16).digest(), name)
        for name in SPLITS
        for image in getattr(dataset, name).images
    ]
    table = pd.DataFrame(images, columns=["digest", "split"])
    across = table.groupby("digest")["split"].nunique() > 1
    again = table["digest"].duplicated()
    return {"duplicates": int(again.sum()), "duplicates_across": int(across.sum())}


def _extremes(dataset: EuroSAT, found: dict[str, np.ndarray]) -> dict[str, tuple[Extreme, ...]]:
    """Take the ends of three scales, among train and validation: the test is not looked at."""
    tiles, sd, mean = list_tiles(dataset), found["sd"], found["mean"]
    scales = {"faint": sd.max(1), "light": -mean.mean(1), "clipped": -found["clipped"]}
    seen = len(tiles) - len(dataset.test)
    ends = {k: np.argsort(scale[:seen], kind="stable")[:SHOWN] for k, scale in scales.items()}
    return {
        kind: tuple(Extreme(tile=tiles[p], value=abs(float(scales[kind][p]))) for p in rows)
        for kind, rows in ends.items()
    }
