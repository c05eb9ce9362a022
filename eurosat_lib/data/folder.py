"""A folder with one sub-folder of images per class, and lists that say which split has which."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

import numpy as np

from eurosat_lib.data.decode import RawSplit, encoded_split
from eurosat_lib.data.parquet import ParquetFolder, find_parquet
from eurosat_lib.data.types import CLASSES, SPLITS, Source
from eurosat_lib.errors import UserError, did_you_mean

# Where the class folders may lie below the named folder: EuroSAT.zip unpacks into 2750.
PLACES = (".", "2750", "EuroSAT", "EuroSAT/2750", "EuroSAT_RGB", "images")
LISTS = {
    "train": ("eurosat-train.txt", "train.txt"),
    "validation": ("eurosat-val.txt", "eurosat-validation.txt", "val.txt", "validation.txt"),
    "test": ("eurosat-test.txt", "test.txt"),
}
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class ImageFolder:
    """Class folders and three lists.

    Attributes:
        source: as shown to the reader.
        folder: the named folder, its absolute path.
        place: the folder that holds the class folders.
        lists: split -> its list of file names, one a line.
    """

    source: Source
    folder: Path
    place: Path
    lists: Mapping[str, Path]

    @property
    def origin(self) -> str:
        """What stays the same when the files change."""
        return f"folder:{self.folder}"

    @cached_property
    def signature(self) -> str:
        """A text that changes with the folder, a list, and name, size or date of an image."""
        digest = hashlib.sha256(self.origin.encode())
        for split in SPLITS:
            digest.update(self.lists[split].read_bytes())
        for name in CLASSES:
            files = sorted(_files(self.place / name), key=lambda entry: entry.name)
            for stat, file in ((entry.stat(), entry.name) for entry in files):
                digest.update(f"\n{name}/{file} {stat.st_size} {stat.st_mtime_ns}".encode())
        return f"folder:{digest.hexdigest()}"

    def read(self, scratch: Path) -> dict[str, RawSplit]:
        """Find the class of every image of the lists.

        Args:
            scratch: not needed here.

        Raises:
            UserError: a list names an image that is not there, or one that another list names.
        """
        classes_of: dict[str, list[str]] = {}
        for name in CLASSES:
            for entry in _files(self.place / name):
                classes_of.setdefault(entry.name, []).append(name)
        seen: dict[str, str] = {}
        return {split: self._read_split(split, classes_of, seen) for split in SPLITS}

    def _read_split(
        self, split: str, classes_of: Mapping[str, list[str]], seen: dict[str, str]
    ) -> RawSplit:
        path = self.lists[split]
        lines = path.read_text("utf-8").splitlines()
        names = [PurePosixPath(line.strip()).name for line in lines if line.strip()]
        if not names:
            raise UserError(f"{path}: the list is empty")
        labels, files = [], []
        for name in names:
            if name in seen:
                raise UserError(f"{path}: {name} is in the {seen[name]} split already")
            seen[name] = split
            found = _class_of(name, classes_of.get(name, []))
            if found is None:
                raise UserError(
                    f"{path}: {name} is listed, but in no class folder of {self.place}"
                )
            labels.append(CLASSES.index(found))
            files.append(self.place / found / name)
        where = f"{self.folder}: {split}"
        return encoded_split(where, names, np.array(labels, np.int64), partial(_read, files))


def find_folder(folder: Path) -> ParquetFolder | ImageFolder:
    """Recognise the layout of a folder: parquet shards, or class folders and lists.

    Raises:
        UserError: neither; a split, shard or list is missing; a class folder is unknown.
    """
    folder = Path(os.path.abspath(folder))
    parquet = find_parquet(folder)
    if parquet:
        return parquet
    for place in (folder / name for name in PLACES):
        if any((place / name).is_dir() for name in CLASSES):
            _refuse_unknown_classes(place)
            lists = {split: _find_list(split, folder, place) for split in SPLITS}
            return ImageFolder(Source("folder", folder.name), folder, place, lists)
    raise UserError(
        f"{folder}: no EuroSAT images here; expected parquet files (train-*.parquet, "
        "validation-*.parquet, test-*.parquet) or one folder of images per class "
        "(AnnualCrop ... SeaLake) and the lists eurosat-{train,val,test}.txt"
    )


def _class_of(name: str, candidates: Sequence[str]) -> str | None:
    prefix = name.rpartition("_")[0]
    if prefix in candidates:
        return prefix
    return candidates[0] if candidates else None


def _read(files: Sequence[Path], start: int, stop: int) -> list[bytes]:
    try:
        return [path.read_bytes() for path in files[start:stop]]
    except OSError as error:
        raise UserError(f"{error.filename}: not readable ({error.strerror})") from None


def _find_list(split: str, folder: Path, place: Path) -> Path:
    for parent in dict.fromkeys((folder, place)):
        for name in LISTS[split]:
            if (parent / name).is_file():
                return parent / name
    raise UserError(
        f"{folder}: no list of the {split} split (looked for {', '.join(LISTS[split])}); "
        "the Hub data set torchgeo/eurosat has eurosat-{train,val,test}.txt"
    )


def _refuse_unknown_classes(place: Path) -> None:
    for entry in os.scandir(place):
        if entry.is_dir() and entry.name not in CLASSES and any(_files(Path(entry.path))):
            hint = did_you_mean(entry.name, CLASSES)
            raise UserError(f"{entry.path}: unknown class{hint}; EuroSAT has {', '.join(CLASSES)}")


def _files(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.name.lower().endswith(SUFFIXES)]
