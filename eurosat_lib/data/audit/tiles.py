"""Name a tile, and walk over many of them without filling the memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eurosat_lib.data.types import SPLITS, EuroSAT
from eurosat_lib.record import Record

BLOCK = 1024  # images looked at together: 12 MB of pixels
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: what JPEG calls luminance


class Tile(Record):
    """One image: where it is, and what it is said to show."""

    split: str  # "train", "validation" or "test"
    index: int  # position in its split
    name: str
    label: int


class Tiles:
    """All images of the three splits, one after the other."""

    def __init__(self, dataset: EuroSAT) -> None:
        """Line up train, validation, test."""
        self.splits = {name: getattr(dataset, name) for name in SPLITS}
        sizes = [len(split) for split in self.splits.values()]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.labels = np.concatenate([split.labels for split in self.splits.values()])
        self.split_of = np.repeat(np.arange(len(SPLITS)), sizes)  # (N,), 0 for train

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self.starts[-1])

    def __getitem__(self, position: int) -> Tile:
        """Name the image at a position of the whole line."""
        number = int(self.split_of[position])
        split, index = SPLITS[number], int(position - self.starts[number])
        name = self.splits[split].names[index]
        return Tile(split=split, index=index, name=name, label=int(self.labels[position]))

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the images in order: uint8 (n, 3, H, W), at most ``BLOCK`` at a time."""
        for split in self.splits.values():
            for start in range(0, len(split), BLOCK):
                yield split.images[start : start + BLOCK]

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Return the images at some positions, uint8 (n, 3, H, W)."""
        found = [self[int(p)] for p in positions]
        return np.stack([self.splits[tile.split].images[tile.index] for tile in found])


def luminance(images: np.ndarray) -> np.ndarray:
    """Weigh the three channels into one.

    Args:
        images: uint8 (N, 3, H, W).

    Returns:
        float32 (N, H, W), in [0, 255].
    """
    grey = images[:, 0] * np.float32(LUMA[0])
    grey += images[:, 1] * np.float32(LUMA[1])
    grey += images[:, 2] * np.float32(LUMA[2])
    return grey
