"""A folder of parquet files in the layout of the Hub: any number of shards per split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eurosat_lib.data.decode import RawSplit
from eurosat_lib.data.tables import one_line, quiet_datasets, table_splits
from eurosat_lib.data.types import SPLITS, Source
from eurosat_lib.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

# train.parquet, train-00000-of-00002.parquet, or that with the suffix push_to_hub once gave.
SHARD = re.compile(r"(?P<split>[a-z]+)(?:-(?P<index>\d+)-of-(?P<count>\d+))?(?:-\w+)?\.parquet")
ALIASES = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}


@dataclass(frozen=True)
class ParquetFolder:
    """Parquet shards of the three splits.

    Attributes:
        source: as shown to the reader.
        folder: its absolute path.
        shards: split -> its files, in order.
    """

    source: Source
    folder: Path
    shards: Mapping[str, tuple[Path, ...]]

    @property
    def origin(self) -> str:
        """What stays the same when the files change."""
        return f"folder:{self.folder}"

    @property
    def signature(self) -> str:
        """A text that changes with the folder and with name, size or date of a shard."""
        digest = hashlib.sha256(self.origin.encode())
        for path in self._paths():
            stat = path.stat()
            digest.update(f"\n{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
        return f"folder:{digest.hexdigest()}"

    def read(self, scratch: Path) -> dict[str, RawSplit]:
        """Read the tables through `datasets`.

        Args:
            scratch: empty folder for what `datasets` writes meanwhile.

        Raises:
            UserError: a shard is not readable, a column is missing, a class is unknown.
        """
        for split in SPLITS:
            if not sum([_count_rows(path) for path in self.shards[split]]):
                raise UserError(f"{self.folder}: the {split} split is empty")
        with quiet_datasets():
            tables = {split: self._read_split(split, scratch) for split in SPLITS}
        return table_splits(tables, str(self.folder))

    def _read_split(self, split: str, scratch: Path) -> Dataset:
        from datasets import Dataset

        files = [str(path) for path in self.shards[split]]
        try:
            # Not load_dataset("parquet", ...): that counts its use over the network.
            return Dataset.from_parquet(
                files, split=split, cache_dir=str(scratch), keep_in_memory=True
            )
        except Exception as error:  # datasets wraps whatever its readers raise
            reason = one_line(error.__cause__ or error)
            raise UserError(f"{files[0]}: the {split} split is not readable ({reason})") from error

    def _paths(self) -> Iterator[Path]:
        for split in SPLITS:
            yield from self.shards[split]


def find_parquet(folder: Path) -> ParquetFolder | None:
    """Look for parquet shards in a folder or in its sub-folder ``data``.

    Returns:
        What is there, or ``None`` when there is no parquet file.

    Raises:
        UserError: a split or a shard is missing.
    """
    for place in (folder / "data", folder):
        paths = sorted(place.glob("*.parquet"))
        if paths:
            shards = {split: _shards_of(split, paths, place) for split in SPLITS}
            return ParquetFolder(Source("folder", folder.name), folder, shards)
    return None


def _shards_of(split: str, paths: list[Path], place: Path) -> tuple[Path, ...]:
    matches = [(SHARD.fullmatch(path.name), path) for path in paths]
    mine = [(match, path) for match, path in matches if match and match["split"] in ALIASES[split]]
    if not mine:
        raise UserError(f"{place}: the {split} split is missing (no file {split}-*.parquet)")
    counts = {match["count"] for match, _ in mine}
    expected = int(mine[0][0]["count"] or 1)
    if len(counts) > 1 or len(mine) > expected:
        names = ", ".join(path.name for _, path in mine)
        raise UserError(f"{place}: {names}: not the shards of one {split} split; keep one set")
    found = {int(match["index"] or 0) for match, _ in mine}
    for index in range(expected):
        if index not in found:
            name = f"{split}-{index:05d}-of-{expected:05d}.parquet"
            raise UserError(f"{place}: the shard {name} is missing; download it again")
    return tuple(path for _, path in mine)


def _count_rows(path: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_metadata(path).num_rows
    except (OSError, pyarrow.ArrowException):
        raise UserError(f"{path}: not a readable parquet file; download it again") from None
