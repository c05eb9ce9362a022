"""The published data set on the Hugging Face Hub: its local copies first, then the network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from eurosat_lib.data.decode import RawSplit
from eurosat_lib.data.hubcache import (
    REPOSITORY,
    REVISION,
    downloaded_bytes,
    find_arrow,
    find_snapshot,
)
from eurosat_lib.data.probe import endpoint, probe
from eurosat_lib.data.tables import one_line, quiet_datasets, table_splits
from eurosat_lib.data.types import Source
from eurosat_lib.errors import UserError

LOCATION = f"{REPOSITORY}@{REVISION[:7]}"
DOWNLOAD_MB = 93  # the parquet files of this revision, 1 MB = 10^6 bytes
ADVICE = (
    "check the network and HF_TOKEN, or set EUROSAT_DATA to a folder with the images, "
    "or take DATA=synthetic"
)


class HubUnavailable(UserError):
    """The data set cannot be had from the Hub; ``reason`` says why, in one line."""

    def __init__(self, reason: str) -> None:
        """Make the message: what, why, what to do."""
        super().__init__(
            f"{LOCATION} cannot be had from the Hugging Face Hub ({reason}); {ADVICE}"
        )
        self.reason = reason


@dataclass(frozen=True)
class Hub:
    """The pinned revision of the Hub data set."""

    source: ClassVar[Source] = Source("hub", LOCATION, REVISION)
    origin: ClassVar[str] = f"hub:{REPOSITORY}"
    signature: ClassVar[str] = f"hub:{REPOSITORY}@{REVISION}"

    def read(self, scratch: Path) -> dict[str, RawSplit]:
        """Read the tables from the caches of Hugging Face, else download them.

        Args:
            scratch: empty folder for what `datasets` writes meanwhile.

        Raises:
            HubUnavailable: not in the caches, and the Hub does not answer or refuses.
        """
        tables = find_arrow()
        if tables:
            return _read_arrow(tables)
        snapshot = find_snapshot()
        if snapshot:
            return snapshot.read(scratch)
        return _download()


def _read_arrow(tables: dict[str, list[Path]]) -> dict[str, RawSplit]:
    import pyarrow
    from datasets import Dataset, concatenate_datasets

    try:
        splits = {
            split: concatenate_datasets([Dataset.from_file(str(path)) for path in paths])
            for split, paths in tables.items()
        }
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        folder = tables["train"][0].parent
        raise UserError(
            f"{folder}: not readable ({one_line(error)}); delete this folder to have it made again"
        ) from error
    return table_splits(splits, LOCATION)


def _download() -> dict[str, RawSplit]:
    reason = probe()
    if reason:
        raise HubUnavailable(reason)
    from datasets import load_dataset

    try:
        with quiet_datasets(), _download_progress():
            tables = load_dataset(REPOSITORY, revision=REVISION)
    except Exception as error:  # network, token, disk: the user is shown the reason
        raise HubUnavailable(one_line(error)) from error
    files = [file["filename"] for table in tables.values() for file in table.cache_files]
    if not all(REVISION in file for file in files):
        # When the Hub fails, datasets falls back on any revision that its cache holds.
        raise HubUnavailable("the local cache holds another revision only")
    return table_splits(tables, LOCATION)


@contextmanager
def _download_progress() -> Iterator[None]:
    """Show how much of the data set has arrived, by the size of the files in the cache."""
    from eurosat_lib.progress import progress

    done, before = threading.Event(), downloaded_bytes()
    label = f"Downloading {LOCATION} from {endpoint()}"
    with progress(label, total=DOWNLOAD_MB, unit="MB") as bar:

        def watch() -> None:
            """Move the bar with the bytes that have come."""
            while not done.wait(0.5):
                arrived = min((downloaded_bytes() - before) // 10**6, DOWNLOAD_MB)
                bar.advance(max(arrived - bar.done, 0))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        bar.advance(DOWNLOAD_MB - bar.done)
