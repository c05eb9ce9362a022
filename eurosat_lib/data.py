"""EuroSAT RGB as uint8 arrays: every image of a source checked, decoded once, then mapped.

source and split lists -> rows -> uint8 arrays in the cache -> memory maps
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from eurosat_lib.config import Config, override
from eurosat_lib.errors import UserError, did_you_mean, one_line
from eurosat_lib.files import PICTURES, locked, replacing, write_json
from eurosat_lib.progress import announce, progress
from eurosat_lib.sources import (
    CLASSES,
    SIDE,
    SPLITS,
    Row,
    Source,
    describe_source,
    folder_source,
    read_rows,
)

DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError)  # the cache; or not there


@dataclass(frozen=True, eq=False)
class Split:
    """One of train, validation, test, in the order of the source."""

    images: np.ndarray  # uint8 (N, 3, 64, 64), RGB, 0–255, a read-only memory map
    labels: np.ndarray  # int64 (N,), 0–9, read-only
    names: tuple[str, ...]  # N file names, without folder

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)


@dataclass(frozen=True, eq=False)
class EuroSAT:
    """The three splits, decoded: to learn from, to choose by, and for the final evaluation only.

    The fingerprint is the SHA-256 (hex) of pixels, labels, names (in order) and classes.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]  # the ten names, alphabetical; ``classes[label]``
    fingerprint: str
    source: Source


def load_dataset(config: Config) -> EuroSAT:
    """Load the images of the configured source, decoded once and mapped from disk since.

    ``data.source`` names the source; ``auto`` takes ``$EUROSAT_DATA``, else the Hub or its local
    cache, else, said once, if the Hub cannot be reached, the drawn images. ``data.split`` names
    the cut: the source's own, the spatial lists, or a folder's.

    Raises:
        UserError: the source or cut cannot be had, or an image is not sound.
    """
    source = describe_source(config)
    file = source.decoded
    try:
        signature = source.signature
        with suppress(*DAMAGED):
            return _map(file, signature, source)
        with locked(file.with_suffix(".lock")):
            with suppress(*DAMAGED):  # another process has made it
                return _map(file, signature, source)
            _make(file, signature, source)
        return _map(file, signature, source)
    except (OSError, UserError) as error:
        folder_source.cache_clear()  # for a folder that is mended, and asked for again
        if isinstance(error, UserError):
            raise
        where = f"decoded images are kept in {file.parent} (EUROSAT_CACHE names another folder)"
        raise UserError(f"{source.place}: {one_line(error)}; {where}") from error


def on_spatial(config: Config) -> Config:
    """Return the same configuration on the spatial split."""
    return override(config, {"data.split": "spatial"})


def spatial_absence(config: Config) -> str:
    """Say in a line why a run has no spatial split beside its own; empty when it has one."""
    if not config.spatial.enabled:
        return "spatial.enabled is false"
    if config.data.split != "standard":
        return f"data.split is {config.data.split} already"
    try:
        load_dataset(on_spatial(config))
    except UserError as error:
        return str(error)
    return ""


def _make(file: Path, signature: str, source: Source) -> None:
    """Decode all images into one array, and what belongs to them into JSON beside it."""
    rows, names, seen, end = read_rows(source), {}, Counter(), 0
    images, labels = np.empty((len(rows), 3, SIDE, SIDE), np.uint8), np.empty(len(rows), "<i8")
    with progress("Décodage des images", len(rows), "images") as bar:
        for i, row in enumerate(rows):
            where = f"{source.place}: {row.split}, row {seen[row.split]}"
            images[i], labels[i] = _decode(row, where)
            seen[row.split] += 1
            bar.update()
    total = hashlib.sha256("\n".join(("EuroSAT 1", *CLASSES)).encode())
    for split in SPLITS:
        names[split] = own = [row.name for row in rows if row.split == split]
        start, end = end, end + len(own)
        first: dict[str, int] = {}  # row of the first image of a name
        for i, name in enumerate(own, start):  # a copy is for the audit
            j = first.setdefault(name, i)
            if labels[i] != labels[j] or (images[i] != images[j]).any():
                raise UserError(f"{source.place}: {split}: {name} names two images; rename one")
        total.update("\n".join([f"\n{split} {len(own)}", *own, ""]).encode())
        total.update(labels[start:end])
        total.update(images[start:end])
        absent = ", ".join(CLASSES[k] for k in range(10) if k not in labels[start:end])
        if not own or (absent and split == "train" and not source.synthetic):
            raise UserError(f"{source.place}: {split}: no image of {absent}")
        if absent and not source.synthetic:
            said = f"aucune image de {absent}, moyennes sans ces classes"
            announce(f"{source.place} : {split} : {said}")
    with replacing(file) as part, open(part, "wb") as stream:
        np.save(stream, images)
    kept = {"names": names, "labels": labels.tolist(), "fingerprint": total.hexdigest()}
    write_json(file.with_suffix(".json"), kept | {"state": _state(file, signature, kept)})


def _decode(row: Row, where: str) -> tuple[np.ndarray, int]:
    """Decode and check one image: uint8 (3, 64, 64), and its label."""
    content, label, said = row.content, row.label, row.name.partition("_")[0]
    try:
        if label not in CLASSES:
            raise ValueError(f"unknown class {label!r} as label{did_you_mean(label, CLASSES)}")
        if said in CLASSES and said != label:
            raise ValueError(f"its name says {said}, its label {label}")
        if not isinstance(content, np.ndarray):
            file = content if isinstance(content, str) else BytesIO(content)
            with open_picture(file) as image:
                if image.size != (SIDE, SIDE) or image.mode != "RGB":
                    raise ValueError(f"{image.size} pixels, {image.mode}; not 64 x 64 and RGB")
                content = np.asarray(image).transpose(2, 0, 1)
        return content, CLASSES.index(label)
    except Exception as error:  # Pillow raises whatever it meets
        raise UserError(f"{where}, {row.name}: {one_line(error)}") from None


@contextmanager
def open_picture(file: str | Path | BinaryIO) -> Iterator[Image.Image]:
    """Open a picture of 8 bits per channel, a path or an open file; ValueError if it has more."""
    with Image.open(file, formats=PICTURES) as picture:
        # Pillow cuts 16 bits per channel down to 8 without a word: only the coding names them.
        deep = any(";16" in str(tile) for tile in picture.tile)
        if deep or picture.mode.startswith(("I", "F")):
            raise ValueError(f"of mode {picture.mode}, more than 8 bits per channel")
        yield picture


def _state(file: Path, signature: str, kept: Mapping[str, Any]) -> list:
    """Return what changes when the source does, or when an entry of the cache is written to."""
    text = json.dumps([kept[key] for key in ("names", "labels", "fingerprint")])
    seal = hashlib.sha256(f"{signature}{text}".encode()).hexdigest()
    return [seal, file.stat().st_size, file.stat().st_mtime_ns]


@lru_cache(maxsize=4)  # standard and spatial of two sources
def _map(file: Path, signature: str, source: Source) -> EuroSAT:
    """Map an entry of the cache into memory; missing, old or damaged, it raises of DAMAGED."""
    kept = json.loads(file.with_suffix(".json").read_text("utf-8"))
    images, labels = np.load(file, mmap_mode="r"), np.array(kept["labels"], np.int64)
    if kept["state"] != _state(file, signature, kept):  # asked once the images are mapped
        raise ValueError("another source, or written to")
    labels.setflags(write=False)
    splits, end = [], 0
    for names in (kept["names"][split] for split in SPLITS):
        start, end = end, end + len(names)
        splits.append(Split(images[start:end], labels[start:end], tuple(names)))
    return EuroSAT(*splits, CLASSES, kept["fingerprint"], source)
