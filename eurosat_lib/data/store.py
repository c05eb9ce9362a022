"""Where the images of a training wait: on the device if they fit there, else in their file."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from eurosat_lib.data.types import Split
from eurosat_lib.transforms import Preprocessing

RESIZE_BATCH = 1024  # images resized at a time: bounds the memory of an antialiased resize
CPU_BYTES = 2**30  # a larger set is read from its file, batch by batch
FREE_SHARE = 0.5  # of a GPU's free memory that the images may take
KEPT = 6  # stores kept: train, validation and test of two tasks


class Store(Protocol):
    """Images of one split, of one size, to be taken by position."""

    positions: torch.device  # where positions are best given

    def __len__(self) -> int:
        """Return the number of images."""

    def take(self, rows: Tensor) -> Tensor:
        """Return images on the device: uint8 (B, 3, S, S).

        Args:
            rows: int64 (B,), positions, on the device of ``positions``.
        """


class Resident:
    """Images in one tensor on the device."""

    def __init__(self, images: Tensor) -> None:
        """Keep uint8 (N, 3, S, S)."""
        self.images, self.positions = images, images.device

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def take(self, rows: Tensor) -> Tensor:
        """Return images on the device: uint8 (B, 3, S, S)."""
        return self.images[rows]


class Streamed:
    """Images in their file: each batch is read from it, resized and sent to the device.

    Reads do not go through the memory map, whose pages would count as memory of the process until
    the whole set is in.
    """

    positions = torch.device("cpu")

    def __init__(
        self,
        images: np.ndarray,
        index: np.ndarray,
        preprocess: Preprocessing,
        device: torch.device,
    ) -> None:
        """Take positions ``index`` of uint8 (M, 3, H, W), a memory map or an array."""
        self.images, self.index, self.preprocess, self.device = images, index, preprocess, device
        path = getattr(images, "filename", None)
        self.file = open(path, "rb", buffering=0) if path else None  # noqa: SIM115 - lives as long

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.index)

    def __del__(self) -> None:
        """Close the file."""
        if self.file:
            self.file.close()

    def take(self, rows: Tensor) -> Tensor:
        """Return images on the device: uint8 (B, 3, S, S)."""
        batch = torch.from_numpy(self._read(self.index[rows.numpy()]))
        if self.device.type == "cuda":
            batch = batch.pin_memory()  # lets the copy run beside the computation
        return self.preprocess.resize(batch.to(self.device, non_blocking=True))

    def _read(self, positions: np.ndarray) -> np.ndarray:
        if self.file is None:
            return self.images[positions]
        batch = np.empty((len(positions), *self.images.shape[1:]), np.uint8)
        for image, position in zip(batch, positions, strict=True):
            self.file.seek(self.images.offset + int(position) * image.nbytes)
            self.file.readinto(image)
        return batch


_stores: OrderedDict[tuple, tuple[Split, Store]] = OrderedDict()


def open_store(
    split: Split, index: np.ndarray, preprocess: Preprocessing, device: torch.device
) -> Store:
    """Return the store of some images of a split; the last ones asked for are kept.

    Args:
        split: decoded images.
        index: int64 (N,), positions in the split.
        preprocess: gives the size.
        device: where the batches are wanted.
    """
    source = getattr(split.images, "filename", None) or id(split)
    key = (source, hash(index.tobytes()), preprocess.size, str(device))
    if key not in _stores:
        _stores[key] = (split, _make(split, index, preprocess, device))  # the split stays alive
        while len(_stores) > KEPT:
            _stores.popitem(last=False)
    _stores.move_to_end(key)
    return _stores[key][1]


def _make(
    split: Split, index: np.ndarray, preprocess: Preprocessing, device: torch.device
) -> Store:
    size = preprocess.size
    if 3 * size * size * len(index) > _room(device):
        return Streamed(split.images, index, preprocess, device)
    if len(index) == len(split) and split.images.shape[-2:] == (size, size):
        with warnings.catch_warnings():  # the memory map is read-only, and nobody writes
            warnings.simplefilter("ignore", UserWarning)
            return Resident(torch.from_numpy(split.images).to(device))
    streamed = Streamed(split.images, index, preprocess, device)
    parts = torch.arange(len(index)).split(RESIZE_BATCH)
    return Resident(torch.cat([streamed.take(part) for part in parts]))


def _room(device: torch.device) -> float:
    """Return the bytes that images may take on a device."""
    if device.type == "cuda":
        return FREE_SHARE * torch.cuda.mem_get_info(device)[0]
    return CPU_BYTES
