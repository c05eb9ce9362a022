"""One entry of the cache of decoded images: where it lies, whether it is sound, what it holds.

An entry is a folder ``decoded/<key>`` with, per split, ``images.npy``, ``labels.npy`` and
``names.txt``, and ``meta.json``. Files up to 1 MB are checked by their whole content at each
load, larger ones by their size and 64 blocks of 4 KB spread over them: that finds a file that is
cut, swapped or partly written, in milliseconds; a single altered byte in between it may miss.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from eurosat_lib.data.types import CLASSES, SIDE, SPLITS, EuroSAT, Source, Split

FORMAT = 1  # of an entry; another number leaves older entries aside
META = "meta.json"  # written last
WHOLE_BYTES = 2**20  # files up to this size are checked by their whole content
SAMPLES, SAMPLE_BYTES = 64, 4096


def cache_folder() -> Path:
    """Return the folder of our caches, ``$EUROSAT_CACHE`` or ``~/.cache/eurosat_lib``."""
    chosen = os.environ.get("EUROSAT_CACHE") or os.path.join("~", ".cache", "eurosat_lib")
    return Path(os.path.abspath(os.path.expanduser(chosen)))


def entry_folder(signature: str) -> Path:
    """Return the folder of the entry for a source with this signature, there or not."""
    key = hashlib.sha256(f"{FORMAT}\n{signature}".encode()).hexdigest()[:16]
    return cache_folder() / "decoded" / key


def is_decoded(signature: str) -> bool:
    """Tell whether there is a sound entry."""
    return read_meta(entry_folder(signature), signature) is not None


def read_meta(folder: Path, signature: str) -> dict[str, Any] | None:
    """Return what ``meta.json`` says when the entry is sound, else ``None``."""
    try:
        meta = json.loads((folder / META).read_text("utf-8"))
        if (meta["format"], meta["signature"]) != (FORMAT, signature):
            return None
        for name, expected in meta["files"].items():
            if file_state(folder / name) != expected:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return meta


def load_entry(signature: str, source: Source) -> EuroSAT | None:
    """Map an entry into memory; ``None`` when there is no sound one."""
    folder = entry_folder(signature)
    meta = read_meta(folder, signature)
    if meta is None:
        return None
    try:
        splits = [_load_split(folder, split) for split in SPLITS]
    except (OSError, ValueError):  # another process has just removed or replaced it
        return None
    return EuroSAT(*splits, CLASSES, meta["fingerprint"], source)


def split_files(folder: Path, split: str) -> tuple[Path, Path, Path]:
    """Return the files of the images, labels and names of a split."""
    return tuple(folder / f"{split}_{name}" for name in ("images.npy", "labels.npy", "names.txt"))


def file_state(path: Path) -> dict[str, Any]:
    """Return size and checksum of a file, the latter by samples when it is large."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if size <= WHOLE_BYTES:
            digest.update(file.read())
        else:
            for i in range(SAMPLES):
                file.seek(i * (size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return {"size": size, "checksum": digest.hexdigest()}


def _load_split(folder: Path, split: str) -> Split:
    image_file, label_file, name_file = split_files(folder, split)
    images = np.load(image_file, mmap_mode="r")
    labels = np.load(label_file, mmap_mode="r")
    names = tuple(name_file.read_bytes().decode().split("\n"))
    if images.shape != (len(names), 3, SIDE, SIDE) or labels.shape != (len(names),):
        raise ValueError(f"{folder}: {split}: shapes disagree")
    return Split(images, labels, names)
