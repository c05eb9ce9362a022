"""What Hugging Face's own caches hold of the data set: found by looking, without the network."""

from __future__ import annotations

import os
import re
from pathlib import Path

from eurosat_lib.data.parquet import ParquetFolder, find_parquet
from eurosat_lib.data.types import SPLITS
from eurosat_lib.errors import UserError

REPOSITORY = "timm/eurosat-rgb"
REVISION = "b4e28552cd5f3932b6abc37eb20d3e84901ad728"
# As `datasets` names the tables it keeps: eurosat-rgb-train.arrow, …-train-00000-of-00002.arrow.
ARROW = re.compile(r"eurosat-rgb-(?P<split>[a-z]+)(?:-\d+-of-(?P<count>\d+))?\.arrow")


def is_cached() -> bool:
    """Tell whether the pinned revision is there, complete."""
    return find_arrow() is not None or find_snapshot() is not None


def find_arrow() -> dict[str, list[Path]] | None:
    """Find the tables that an earlier ``datasets.load_dataset`` left.

    Returns:
        split -> arrow files, in order; ``None`` when they are not there or incomplete.
    """
    root = _folder("HF_DATASETS_CACHE", "datasets") / REPOSITORY.replace("/", "___")
    for folder in root.glob(f"*/*/{REVISION}"):
        tables: dict[str, list[Path]] = {split: [] for split in SPLITS}
        counts: dict[str, int] = {}
        for path in sorted(folder.glob("*.arrow")):
            match = ARROW.fullmatch(path.name)
            if match and match["split"] in tables:
                tables[match["split"]].append(path)
                counts[match["split"]] = int(match["count"] or 1)
        if all(len(tables[split]) == counts.get(split) for split in SPLITS):
            return tables
    return None


def find_snapshot() -> ParquetFolder | None:
    """Find the files that an earlier download (``hf download``, ``load_dataset``) left.

    Returns:
        The snapshot's folder, or ``None`` when it is not there or incomplete.
    """
    root = hub_folder() / f"datasets--{REPOSITORY.replace('/', '--')}"
    try:
        return find_parquet(root / "snapshots" / REVISION)
    except UserError:
        return None


def downloaded_bytes() -> int:
    """Return how much of the data set, of any revision, the download cache holds."""
    root = hub_folder() / f"datasets--{REPOSITORY.replace('/', '--')}"
    total = 0
    for path in (root / "blobs").glob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # renamed meanwhile
            continue
    return total


def hub_folder() -> Path:
    """Return the folder of Hugging Face's downloads."""
    return _folder("HF_HUB_CACHE", "hub")


def _folder(variable: str, name: str) -> Path:
    """Return one of the caches of Hugging Face, where the environment puts it."""
    xdg = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", os.path.join(xdg, "huggingface"))
    chosen = os.environ.get(variable, os.path.join(home, name))
    return Path(os.path.expandvars(os.path.expanduser(chosen)))
