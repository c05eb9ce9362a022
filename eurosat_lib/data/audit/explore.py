"""Count classes, faults and exact copies over all images, and describe their colours."""

from __future__ import annotations

import hashlib
from typing import ClassVar

import numpy as np

from eurosat_lib.data.audit.balance import Balance, balance
from eurosat_lib.data.audit.colours import Colours, explained, pooled, standardised
from eurosat_lib.data.audit.measures import Measures, measure
from eurosat_lib.data.audit.tiles import Tile, Tiles
from eurosat_lib.data.types import SPLITS, EuroSAT, Split
from eurosat_lib.record import Record

# MD5 of the file names of each split, joined by newlines: the lists that google-research
# (remote_sensing_representations) published and torchgeo uses.
PUBLISHED = {
    "train": "908f142e73d6acdf3f482c5e80d851b1",
    "validation": "95de90f2aa998f70a3b2416bfe0687b4",
    "test": "7ae5ab94471417b6e315763121e67c5f",
}
CENTRED = 0.2  # standard deviations: a small effect (Cohen 1988)
SHOWN = 6  # tiles of each extreme, for the gallery


class Extreme(Record):
    """A tile at one end of the whole set, and its value there."""

    tile: Tile
    value: float  # mean (0-255), standard deviation (0-255), share of values at 255


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
    balance: Balance | None  # of the classes over the splits
    image_shape: tuple[int, ...]  # of every image: decoding refuses another size or mode
    duplicates: int  # images whose pixels already occurred
    duplicates_across: int  # groups of equal images that span two splits
    black: int  # every pixel without data
    nodata: int  # at least one pixel without data: no channel above measures.NODATA
    flat: int  # a single colour
    saturated: int  # more than 1 % of the values at 255
    faint: int  # no channel varies by more than measures.FAINT
    darkest: int  # brightest channel of the darkest pixel of all
    saturated_by_class: tuple[int, ...]
    faint_by_class: tuple[int, ...]
    extremes: dict[str, tuple[Extreme, ...]]  # "faint", "light", "clipped"; never of the test
    channel_mean: tuple[float, ...]  # train, of [0, 1] values
    channel_sd: tuple[float, ...]
    colours: tuple[Colours, ...]  # train, class by class
    explained: tuple[float, ...]  # of the variance of train images' mean colour, by the class
    centring: tuple[float, ...]  # train, class by class: middle less rest, over its deviation

    @property
    def sizes(self) -> dict[str, int]:
        """Images per split."""
        return {split: sum(counts) for split, counts in self.counts.items()}

    def facts(self) -> dict:
        """Return the fields and what follows from them."""
        train = self.counts["train"]
        total = sum(self.sizes.values())
        return self.model_dump(mode="json", exclude={"extremes"}) | {
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
            "saturated_class": self.classes[int(np.argmax(self.saturated_by_class))],
            "faint_classes": self._faint_classes(),
            "centred_classes": [
                name
                for name, effect in zip(self.classes, self.centring, strict=True)
                if abs(effect) >= CENTRED
            ],
        }

    def _faint_classes(self) -> list[str]:
        """Name the classes that together hold nine faint images in ten, most first."""
        order = np.argsort(self.faint_by_class, kind="stable")[::-1]
        reached = np.cumsum(np.array(self.faint_by_class)[order])
        needed = int(np.searchsorted(reached, 0.9 * self.faint)) + 1 if self.faint else 0
        return [self.classes[i] for i in order[:needed]]


def explore_dataset(dataset: EuroSAT) -> Audit:
    """Count classes and faults over all images; limits of the configuration do not apply."""
    tiles = Tiles(dataset)
    found = measure(tiles)
    train, count = slice(len(dataset.train)), len(dataset.classes)
    labels = dataset.train.labels
    whole = pooled(found.mean[train], found.sd[train])
    counts = {
        name: tuple(np.bincount(split.labels, minlength=count).tolist())
        for name, split in tiles.splits.items()
    }
    return Audit(
        source_kind=dataset.source.kind,
        source_location=dataset.source.location,
        source_revision=dataset.source.revision,
        fingerprint=dataset.fingerprint,
        published_lists=all(_is_published(name, s) for name, s in tiles.splits.items()),
        classes=dataset.classes,
        counts=counts,
        balance=balance(list(counts.values())),
        image_shape=dataset.train.images.shape[1:],
        **_copies(tiles),
        **_faults(tiles, found, count),
        extremes=_extremes(tiles, found),
        channel_mean=whole.mean,
        channel_sd=whole.sd,
        colours=tuple(
            pooled(found.mean[train][labels == k], found.sd[train][labels == k])
            for k in range(count)
        ),
        explained=explained(found.mean[train], labels),
        centring=tuple(standardised(found.centre[train][labels == k]) for k in range(count)),
    )


def _is_published(name: str, split: Split) -> bool:
    names = "\n".join(split.names).encode()
    return hashlib.md5(names, usedforsecurity=False).hexdigest() == PUBLISHED[name]


def _copies(tiles: Tiles) -> dict[str, int]:
    holders: dict[bytes, set[str]] = {}
    for name, split in tiles.splits.items():
        for image in split.images:
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            holders.setdefault(digest, set()).add(name)
    across = sum(len(names) > 1 for names in holders.values())
    return {"duplicates": len(tiles) - len(holders), "duplicates_across": across}


def _faults(tiles: Tiles, found: Measures, count: int) -> dict:
    by_class = {
        f"{kind}_by_class": tuple(np.bincount(tiles.labels[rows], minlength=count).tolist())
        for kind, rows in (("saturated", found.saturated), ("faint", found.faint))
    }
    return by_class | {
        "black": int(found.black.sum()),
        "nodata": int((found.nodata > 0).sum()),
        "flat": int(found.flat.sum()),
        "saturated": int(found.saturated.sum()),
        "faint": int(found.faint.sum()),
        "darkest": int(found.darkest.min()),
    }


def _extremes(tiles: Tiles, found: Measures) -> dict[str, tuple[Extreme, ...]]:
    """Take the ends of three scales, among train and validation: the test is not looked at."""
    shown = np.flatnonzero(tiles.split_of != SPLITS.index("test"))
    scales = {
        "faint": found.sd.max(1),
        "light": -found.mean.mean(1),
        "clipped": -found.clipped,
    }
    return {
        kind: tuple(
            Extreme(tile=tiles[p], value=abs(float(scale[p])))
            for p in shown[np.argsort(scale[shown], kind="stable")[:SHOWN]]
        )
        for kind, scale in scales.items()
    }
