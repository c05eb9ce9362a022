"""EuroSAT RGB as uint8 arrays: every image of a source checked, decoded once, then mapped.

source (Hub, folder, drawn) and split lists -> rows -> uint8 arrays in the cache -> memory maps
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from eurosat_lib.config import Config, override
from eurosat_lib.errors import UserError, did_you_mean, one_line
from eurosat_lib.files import PICTURES, locked, replacing, write_json
from eurosat_lib.progress import announce, progress
from eurosat_lib.sources import NO_GEOGRAPHY, Row, Source, describe_source, digest, read_rows
from eurosat_lib.synthetic import CLASSES, SIDE, SPLITS

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

    The fingerprint is the SHA-256 (hex) of pixels, labels, names (in order) and classes: the same
    for the same images whatever the layout, place or date of their source.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]  # the ten names, alphabetical; ``classes[label]``
    fingerprint: str
    source: Source


class Absence(NamedTuple):
    """Why there is no spatial split: the kind of reason, and one line for the user."""

    kind: Literal["disabled", "split", "synthetic", "lists"]
    reason: str


def load_dataset(config: Config) -> EuroSAT:
    """Load the images of the configured source, decoded once and mapped from disk since.

    ``data.source`` names the source; ``auto`` takes ``$EUROSAT_DATA``, else the Hub or its local
    cache, else, said once, if the Hub cannot be reached, the drawn images. ``data.split`` names
    the cut: the source's own, the spatial lists, or a folder's.

    Raises:
        UserError: the source or cut cannot be had, or an image is not sound.
    """
    return _load(describe_source(config))


def on_spatial(config: Config) -> Config:
    """Return the same configuration on the spatial split."""
    return override(config, {"data.split": "spatial"})


def spatial_absence(config: Config) -> Absence | None:
    """Say why a run has no spatial split beside its own; ``None`` when it has one."""
    if not config.spatial.enabled:
        return Absence("disabled", "spatial.enabled is false")
    if config.data.split != "standard":
        return Absence("split", f"data.split is {config.data.split} already")
    if describe_source(config).synthetic:
        return Absence("synthetic", NO_GEOGRAPHY)
    try:
        load_dataset(on_spatial(config))
    except UserError as error:
        return Absence("lists", str(error))
    return None


def _load(source: Source) -> EuroSAT:
    """Map the decoded images of a source; where they are not in the cache, make them first."""
    file = source.decoded
    place = file.name.partition("-")[0]
    with suppress(*DAMAGED):
        return _map(file, source)
    try:
        with locked(file.with_name(f"{place}.lock")):
            with suppress(*DAMAGED):  # another process has made it
                return _map(file, source)
            rows = read_rows(source)
            for older in file.parent.glob(f"*{place}-*"):
                older.unlink()
            _make(file, rows, source)
        return _map(file, source)
    except OSError as error:
        raise UserError(
            f"{source.place}: {one_line(error)}; decoded images are kept in {file.parent} "
            "(330 MB; EUROSAT_CACHE names another folder)"
        ) from error


def _make(file: Path, rows: list[Row], source: Source) -> None:
    """Decode all images into one array, and what belongs to them into JSON beside it."""
    place = source.place
    names = {split: [row.name for row in rows if row.split == split] for split in SPLITS}
    for split in SPLITS:
        if not names[split]:
            raise UserError(f"{place}: {split}: no images")
    images, labels = np.empty((len(rows), 3, SIDE, SIDE), np.uint8), np.empty(len(rows), "<i8")
    total, end = hashlib.sha256("\n".join(("EuroSAT 1", *CLASSES)).encode()), 0
    with progress("Décodage des images", len(rows), "images") as bar:
        for split, own in names.items():
            start, end = end, end + len(own)
            for i in range(start, end):
                images[i], labels[i] = _decode(rows[i], f"{place}: {split}, row {i - start}")
                bar.advance()
            total.update("\n".join([f"\n{split} {len(own)}", *own, ""]).encode())
            total.update(labels[start:end])
            total.update(images[start:end])
    if not source.synthetic:
        _check_classes(place, rows)
    with replacing(file) as part, open(part, "wb") as stream:
        np.save(stream, images)
    kept = {"names": names, "labels": labels.tolist(), "fingerprint": total.hexdigest()}
    write_json(file.with_suffix(".json"), kept | {"seal": _seal(kept, file)})


def _check_classes(place: str, rows: list[Row]) -> None:
    """Refuse training images without one of the classes; elsewhere, say it."""
    for split in SPLITS:
        held = {row.label for row in rows if row.split == split}
        absent = ", ".join(sorted({*CLASSES} - held))
        if absent and split == "train":
            raise UserError(f"{place}: train: no image of {absent}; nothing can be learnt of it")
        if absent:
            announce(f"{place} : {split} : aucune image de {absent}, moyennes sans ces classes")


def _decode(row: Row, where: str) -> tuple[np.ndarray, int]:
    """Decode and check one image: uint8 (3, 64, 64), and its label."""
    content, label, said = row.content, row.label, row.name.partition("_")[0]
    try:
        if label not in CLASSES:
            raise ValueError(f"unknown class {label!r} as label{did_you_mean(label, CLASSES)}")
        if said in CLASSES and said != label:
            raise ValueError(f"its name says {said}, its label {label}")
        if isinstance(content, np.ndarray):
            return content, CLASSES.index(label)
        file = content if isinstance(content, str) else BytesIO(content)
        with Image.open(file, formats=PICTURES) as image:
            if image.size != (SIDE, SIDE) or image.mode != "RGB":
                raise ValueError(f"{image.size} pixels, {image.mode}; 64 x 64 and RGB are wanted")
            return np.asarray(image).transpose(2, 0, 1), CLASSES.index(label)
    except Exception as error:  # Pillow raises whatever it meets
        raise UserError(f"{where}, {row.name}: {one_line(error)}") from None


def _seal(kept: dict, file: Path) -> str:
    """Hash what changes when an entry of the cache is written to."""
    own = [kept[name] for name in ("names", "labels", "fingerprint")]
    return digest(json.dumps([own, file.stat().st_size, file.stat().st_mtime_ns]))


@lru_cache(maxsize=4)  # standard and spatial of two sources
def _map(file: Path, source: Source) -> EuroSAT:
    """Map an entry of the cache into memory; missing or cut short, it raises one of DAMAGED."""
    kept = json.loads(file.with_suffix(".json").read_text("utf-8"))
    if kept["seal"] != _seal(kept, file):
        raise ValueError("written to")
    images, labels = np.load(file, mmap_mode="r"), np.array(kept["labels"], np.int64)
    labels.setflags(write=False)
    splits, end = [], 0
    for names in (kept["names"][split] for split in SPLITS):
        start, end = end, end + len(names)
        splits.append(Split(images[start:end], labels[start:end], tuple(names)))
    return EuroSAT(*splits, CLASSES, kept["fingerprint"], source)
