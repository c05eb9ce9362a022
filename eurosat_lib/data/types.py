"""The types every other room sees of the data: a split, where it came from, the whole set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

CLASSES: tuple[str, ...] = (  # label 0 to 9: alphabetical, as on the Hub
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
SPLITS: tuple[str, ...] = ("train", "validation", "test")
SIDE = 64  # pixels: a tile is SIDE x SIDE, 10 m per pixel on the ground


@dataclass(frozen=True)
class Split:
    """One of train, validation, test, in the order of the source.

    Attributes:
        images: uint8 (N, 3, 64, 64), RGB, 0-255, a read-only memory map.
        labels: int64 (N,), 0-9, read-only.
        names: N file names, without folder.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)


@dataclass(frozen=True)
class Source:
    """Where the images come from, fit to be shown to a reader.

    Attributes:
        kind: the sort of source.
        location: ``timm/eurosat-rgb@b4e2855``, the folder's own name, or ``synthetic``.
        revision: full commit hash on the Hub, else ``None``.
        split: ``standard``, the source's own; ``spatial``; or the name of a folder of lists.
    """

    kind: Literal["hub", "folder", "synthetic"]
    location: str
    revision: str | None = None
    split: str = "standard"

    @property
    def synthetic(self) -> bool:
        """Whether the images are drawn, not seen by a satellite."""
        return self.kind == "synthetic"


@dataclass(frozen=True)
class EuroSAT:
    """The three splits, decoded.

    Attributes:
        train: images the network learns from.
        validation: images that choose hyperparameters and the epoch.
        test: images for the final evaluation only.
        classes: the ten names, alphabetical; ``classes[label]``.
        fingerprint: SHA-256 (hex) of pixels, labels, names (in order) and classes; the same for
            the same images whatever the layout, place or date of their source.
        source: where they come from.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    fingerprint: str
    source: Source
