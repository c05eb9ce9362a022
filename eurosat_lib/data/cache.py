"""Decode once: the images of a source go to disk, whole or not at all, and are mapped from there.

Any number of processes may do so at the same time: each writes a folder of its own, the first
one done moves it to its place, and the others take that.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from eurosat_lib.data.entry import (
    FORMAT,
    META,
    cache_folder,
    entry_folder,
    file_state,
    load_entry,
    read_meta,
    split_files,
)
from eurosat_lib.data.types import CLASSES, SIDE, SPLITS, EuroSAT, Source
from eurosat_lib.errors import UserError

if TYPE_CHECKING:
    from eurosat_lib.data.decode import RawSplit
    from eurosat_lib.progress import Bar

LEFTOVER_SECONDS = 86400  # unfinished folders older than this belong to no living process


class Origin(Protocol):
    """What a source of images offers."""

    @property
    def source(self) -> Source:
        """As shown to the reader."""

    @property
    def origin(self) -> str:
        """What stays the same when the images change: its newest entry replaces older ones."""

    @property
    def signature(self) -> str:
        """A text that changes when the images do."""

    def read(self, scratch: Path) -> dict[str, RawSplit]:
        """Return the three splits, to be decoded; ``scratch`` is an empty folder."""


def fetch(origin: Origin) -> EuroSAT:
    """Return the decoded images of a source: from the cache, else decoded into it first.

    Raises:
        UserError: the source cannot be read, or the cache cannot be written.
    """
    dataset = load_entry(origin.signature, origin.source)
    if dataset is None:
        dataset = load_entry(_build(origin), origin.source)
    if dataset is None:
        raise UserError(f"{entry_folder(origin.signature)}: damaged while written; try again")
    return dataset


def _build(origin: Origin) -> str:
    signature = origin.signature
    target = entry_folder(signature)
    staging = target.parent / f".building-{uuid.uuid4().hex}"
    scratch = staging / "scratch"
    with _writing():
        scratch.mkdir(parents=True)
    try:
        splits = origin.read(scratch)
        with _writing():
            _write(staging, origin, signature, splits)
            shutil.rmtree(scratch, ignore_errors=True)
            _publish(staging, target, signature)
            _prune(target, origin.origin)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return signature


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{cache_folder()}: decoded images cannot be written ({error.strerror or error}); "
            "free some space (EuroSAT takes 330 MB) or set EUROSAT_CACHE to another folder"
        ) from error


def _write(folder: Path, origin: Origin, signature: str, splits: dict[str, RawSplit]) -> None:
    from eurosat_lib.progress import progress

    digest = hashlib.sha256("\n".join(("EuroSAT 1", *CLASSES)).encode())
    with progress(
        _task(origin.source), sum(len(raw.names) for raw in splits.values()), "images"
    ) as bar:
        for split in SPLITS:
            _write_split(folder, split, splits[split], digest, bar)
    files = [path for split in SPLITS for path in split_files(folder, split)]
    meta = {
        "format": FORMAT,
        "signature": signature,
        "origin": origin.origin,
        "location": origin.source.location,
        "classes": CLASSES,
        "fingerprint": digest.hexdigest(),
        "files": {path.name: file_state(path) for path in files},
    }
    (folder / META).write_text(json.dumps(meta, indent=1), "utf-8")


def _task(source: Source) -> str:
    if source.split != "standard":
        return f"Cutting EuroSAT anew ({source.split})"
    return "Storing the synthetic images" if source.synthetic else "Decoding EuroSAT"


def _write_split(folder: Path, split: str, raw: RawSplit, digest: Any, bar: Bar) -> None:
    image_file, label_file, name_file = split_files(folder, split)
    names = "\n".join(raw.names).encode()
    labels = np.ascontiguousarray(raw.labels, "<i8")
    digest.update(b"\n%s %d\n%s\n" % (split.encode(), len(raw.names), names))
    digest.update(labels)
    name_file.write_bytes(names)
    np.save(label_file, labels)
    shape = (len(raw.names), 3, SIDE, SIDE)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with open(image_file, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        # Plain writes: a process that writes through a memory map is killed by a full disk.
        for images in raw.chunks():
            file.write(images.data)
            digest.update(images)
            bar.advance(len(images))


def _publish(staging: Path, target: Path, signature: str) -> None:
    """Move a finished entry to its place, unless another process was faster."""
    for _ in range(3):
        with suppress(OSError):
            staging.rename(target)
            return
        if read_meta(target, signature) is not None:
            return
        _discard(target)
    staging.rename(target)


def _prune(target: Path, origin: str) -> None:
    """Remove the entries that this one replaces, and what killed processes left."""
    for folder in target.parent.iterdir():
        with suppress(OSError, ValueError, KeyError, TypeError):
            if folder.name.startswith("."):
                obsolete = time.time() - folder.stat().st_mtime > LEFTOVER_SECONDS
            else:
                obsolete = json.loads((folder / META).read_text("utf-8"))["origin"] == origin
            if obsolete and folder != target:
                _discard(folder)


def _discard(folder: Path) -> None:
    trash = folder.parent / f".trash-{uuid.uuid4().hex}"
    with suppress(OSError):
        folder.rename(trash)  # at one stroke, so that no process reads half an entry
    shutil.rmtree(trash, ignore_errors=True)
