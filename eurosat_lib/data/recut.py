"""The images of a source, cut anew by lists of file names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from eurosat_lib.data.cache import Origin, fetch
from eurosat_lib.data.decode import CHUNK, RawSplit
from eurosat_lib.data.entry import is_decoded
from eurosat_lib.data.lists import Lists, folder_lists, read_lists, spatial_digest, spatial_lists
from eurosat_lib.data.types import SIDE, SPLITS, EuroSAT, Source
from eurosat_lib.errors import UserError


@dataclass(frozen=True)
class Recut:
    """The same decoded images in other splits; images that no list names are left out.

    Attributes:
        base: where the images come from.
        split: as shown to the reader: ``spatial``, or the folder's name.
        place: what tells this cut from others of the same images: ``spatial``, or a path.
        digest: changes with the lists.
        lists: gives them.
    """

    base: Origin
    split: str
    place: str
    digest: str
    lists: Callable[[], Lists]

    @property
    def source(self) -> Source:
        """As shown to the reader."""
        return replace(self.base.source, split=self.split)

    @property
    def origin(self) -> str:
        """What stays the same when images or lists change."""
        return f"{self.base.origin}|split:{self.place}"

    @property
    def signature(self) -> str:
        """A text that changes with the images and with the lists."""
        return f"{self.base.signature}|split:{self.digest}"

    def read(self, scratch: Path) -> dict[str, RawSplit]:
        """Find every image of the lists among the decoded ones.

        Args:
            scratch: not needed here.

        Raises:
            UserError: a list names an image that is not there; images share a name.
        """
        lists, dataset = self.lists(), fetch(self.base)
        where = _places(dataset)
        return {split: _raw_split(dataset, where, split, lists[split]) for split in SPLITS}


def spatial(base: Origin) -> Recut:
    """Cut by the published spatial lists; they are not needed once the cut is in the cache.

    Raises:
        UserError: the lists cannot be had, or are not those published.
    """
    recut = Recut(base, "spatial", "spatial", spatial_digest(), spatial_lists)
    if not is_decoded(recut.signature):
        spatial_lists()  # refuses now, before anything is computed
    return recut


def by_folder(base: Origin, folder: Path) -> Recut:
    """Cut by the three lists of a folder.

    Raises:
        UserError: a list is missing, empty, or overlaps another.
    """
    folder = folder.resolve()
    paths = folder_lists(folder)
    read_lists(paths)  # refuses now
    digest = hashlib.sha256(b"\0".join(paths[split].read_bytes() for split in SPLITS))
    return Recut(base, folder.name, str(folder), digest.hexdigest(), partial(read_lists, paths))


def _places(dataset: EuroSAT) -> dict[str, tuple[int, int]]:
    """Map each name, without its suffix, to (number of its split, row)."""
    found: dict[str, tuple[int, int]] = {}
    for number, split in enumerate(SPLITS):
        for row, name in enumerate(getattr(dataset, split).names):
            if found.setdefault(PurePosixPath(name).stem, (number, row)) != (number, row):
                raise UserError(
                    f"{dataset.source.location}: two images are named {name}: "
                    "they cannot be cut by lists of names; take data.split=standard"
                )
    return found


def _raw_split(
    dataset: EuroSAT, where: dict[str, tuple[int, int]], split: str, listed: tuple[str, ...]
) -> RawSplit:
    stems = [PurePosixPath(name).stem for name in listed]
    for name, stem in zip(listed, stems, strict=True):
        if stem not in where:
            raise UserError(
                f"data.split: {name} is in the {split} list, "
                f"but not among the images of {dataset.source.location}"
            )
    places = np.array([where[stem] for stem in stems])  # (N, 2): split, row
    splits = [getattr(dataset, name) for name in SPLITS]
    names = tuple(splits[number].names[row] for number, row in places)
    labels = np.array([splits[number].labels[row] for number, row in places], np.int64)
    return RawSplit(names, labels, partial(_chunks, dataset, places))


def _chunks(dataset: EuroSAT, places: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(places), CHUNK):
        numbers, rows = places[start : start + CHUNK].T
        images = np.empty((len(rows), 3, SIDE, SIDE), np.uint8)
        for number, split in enumerate(SPLITS):
            mine = numbers == number
            images[mine] = getattr(dataset, split).images[rows[mine]]
        yield images
