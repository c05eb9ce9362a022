"""EuroSAT RGB as uint8 arrays: every image of a source checked, decoded once, then mapped.

source (Hub, folder, drawn) and split lists -> rows -> uint8 arrays in the cache -> memory maps
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock
from PIL import Image, UnidentifiedImageError

from eurosat_lib import sources
from eurosat_lib.config import Config, override
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.progress import announce, progress
from eurosat_lib.sources import HUB, Origin, Row, Source, digest, one_line
from eurosat_lib.synthetic import CLASSES, SPLITS

SIDE = 64  # pixels: a tile is SIDE x SIDE, 10 m per pixel on the ground
FORMAT = 2  # of the cache: another number leaves older entries aside
BLOCK = 500  # images decoded by a thread at a time
_loaded: dict[tuple[Path, Source], EuroSAT] = {}


@dataclass(frozen=True)
class Split:
    """One of train, validation, test, in the order of the source.

    Attributes:
        images: uint8 (N, 3, 64, 64), RGB, 0–255, a read-only memory map.
        labels: int64 (N,), 0–9, read-only.
        names: N file names, without folder unless several class folders hold the name.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)


@dataclass(frozen=True)
class EuroSAT:
    """The three splits, decoded: to learn from, to choose by, and for the final evaluation only.

    Attributes:
        classes: the ten names, alphabetical; ``classes[label]``.
        fingerprint: SHA-256 (hex) of pixels, labels, names (in order) and classes; the same for
            the same images whatever the layout, place or date of their source.
        source: where they come from.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    fingerprint: str
    source: Source


@dataclass(frozen=True)
class Absence:
    """Why there is no spatial split: the kind of reason, and one line for the user."""

    kind: Literal["disabled", "split", "synthetic", "lists"]
    reason: str


def load_dataset(config: Config) -> EuroSAT:
    """Load the images of the configured source, decoded once and mapped from disk since.

    Args:
        config: ``data.source`` names the source; ``auto`` takes ``$EUROSAT_DATA``, else the Hub
            or its local cache, else, said once, if the Hub cannot be reached, the drawn images.
            ``data.split`` names the cut: the source's own, the spatial lists, or a folder's.

    Returns:
        The three splits, whole: uint8 (N, 3, 64, 64) in 0–255, labels int64 (N,) in 0–9.

    Raises:
        UserError: the source or cut cannot be had, or an image is not sound.
    """
    return _load(_origin(config))


def describe_source(config: Config) -> Source:
    """Tell which source ``load_dataset`` takes; only an ``auto`` that asks the Hub loads it."""
    return _origin(config).source


def signature(config: Config) -> str:
    """Return a text that changes when the source does: kind, place, files, drawing code, cut."""
    return _origin(config).signature


def pinned_source(config: Config) -> str:
    """Return the value of ``data.source`` that names what ``auto`` takes now."""
    base = _base(config)
    return base.source.kind if base.source.synthetic else base.place


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
        return Absence("synthetic", "the built-in synthetic images have no geography")
    try:
        load_dataset(on_spatial(config))
    except UserError as error:
        return Absence("lists", str(error))
    return None


def spatial_signature(config: Config) -> str:
    """Return a text that changes with the spatial split, or with the kind of its absence."""
    absence = spatial_absence(config)
    return f"no spatial split: {absence.kind}" if absence else signature(on_spatial(config))


def _origin(config: Config) -> Origin:
    """Lay the configured cut over the configured source."""
    name, base = config.data.split, _base(config)
    if name == "standard":
        return base
    if base.source.synthetic:
        raise UserError(
            f"data.split = {name}: the built-in synthetic images are drawn and have no geography; "
            "take data.split=standard, or real images (EUROSAT_DATA)"
        )
    if name == "spatial":
        place, find = name, partial(sources.published_lists, sources.SPATIAL)
        signed = digest(*(sources.PUBLISHED[file] for file in sources.SPATIAL))
    else:
        hint = did_you_mean(name, ("standard", "spatial"))
        others = f"the lists {sources.LISTS}{hint}; or standard, spatial"
        place = str(_named_folder("data.split", name, config, others))
        lists = sources.split_lists(place)
        if not lists:
            raise UserError(f"{place}: the lists {sources.LISTS} are not there")
        find, signed = partial(list, lists), digest(*lists)
    shown = replace(base.source, split=Path(place).name)
    signed = f"{base.signature} by {signed}"
    return Origin(shown, f"{base.place} by {place}", signed, base.rows, find)


def _base(config: Config) -> Origin:
    """Find the configured source, in its own splits."""
    name, named = config.data.source, os.environ.get("EUROSAT_DATA")
    if name == "auto" and named:
        return sources.folder_origin(_named_folder("EUROSAT_DATA", named, config, "the images"))
    if name == HUB or (name == "auto" and _hub_is_there()):
        return sources.hub_origin()
    if name in ("auto", "synthetic"):
        return sources.drawn_origin(config.data.synthetic_images)
    known = ("auto", "synthetic", HUB)
    others = f"the images{did_you_mean(name, known)}; or {', '.join(known)}"
    return sources.folder_origin(_named_folder("data.source", name, config, others))


@cache  # once per process, so that ``auto`` never changes the images half way
def _hub_is_there() -> bool:
    try:
        _load(sources.hub_origin())
    except sources.HubUnavailable as error:
        announce(
            "WARNING: using the built-in SYNTHETIC images, not EuroSAT. What they yield says "
            f"nothing about satellite images. EUROSAT_DATA is not set, and {error}"
        )
        return False
    return True


def _named_folder(variable: str, name: str, config: Config, others: str) -> Path:
    """Find a named folder: relative to the project, so that notebooks find it too, or to here."""
    for parent in (Path(config.paths.root), Path.cwd()):
        folder = parent / Path(name).expanduser()
        if folder.is_dir():
            return Path(os.path.abspath(folder))
    raise UserError(f"{variable} = {name}: no such folder; give a folder with {others}")


def _load(origin: Origin) -> EuroSAT:
    """Map the decoded images of a source; where they are not in the cache, make them first."""
    chosen = Path(os.environ.get("EUROSAT_CACHE") or "~/.cache/eurosat_lib").expanduser()
    place, key = digest(origin.place)[:16], digest(str(FORMAT), origin.signature)[:16]
    folder = chosen.absolute() / "decoded" / f"{place}-{key}"
    if (folder, origin.source) not in _loaded:
        dataset = _map(folder, origin.source) or _make(folder, origin)
        if len(_loaded) == 4:  # standard and spatial of two sources
            _loaded.pop(next(iter(_loaded)))
        _loaded[folder, origin.source] = dataset
    return _loaded[folder, origin.source]


def _make(folder: Path, origin: Origin) -> EuroSAT:
    """Decode into the cache, whole or not at all, while other processes wait for the result."""
    place = folder.name.partition("-")[0]
    part = folder.with_name(f"{place}-part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{place}.lock")):
            dataset = _map(folder, origin.source)
            if dataset is None:
                splits = sources.rows_by_split(origin)
                for older in folder.parent.glob(f"{place}-*"):  # or what a killed process left
                    shutil.rmtree(older, ignore_errors=True)
                try:
                    part.mkdir()
                    _write(part, splits, origin.place)
                    part.rename(folder)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
                dataset = _map(folder, origin.source)
    except OSError as error:
        raise UserError(
            f"{folder.parent}: decoded images cannot be kept ({one_line(error)}); free some "
            "space (EuroSAT takes 330 MB) or set EUROSAT_CACHE to another folder"
        ) from error
    if dataset is None:
        raise UserError(f"{folder}: damaged while it was written; try again")
    return dataset


def _write(folder: Path, splits: dict[str, list[Row]], where: str) -> None:
    total = hashlib.sha256("\n".join(("EuroSAT 1", *CLASSES)).encode())
    kept: dict[str, Any] = {}
    for split, rows in splits.items():
        images, labels = _decoded(rows, f"{where}: {split}")
        names = [name for name, _, _ in rows]
        total.update(b"\n%s %d\n%s\n" % (split.encode(), len(rows), "\n".join(names).encode()))
        total.update(labels.astype("<i8"))
        total.update(images)
        np.save(folder / f"{split}.npy", images)
        kept[split] = {"names": names, "labels": labels.tolist()}
    kept["fingerprint"] = total.hexdigest()
    (folder / "rows.json").write_text(json.dumps(kept), "utf-8")


def _decoded(rows: list[Row], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode and check every image: uint8 (N, 3, 64, 64) and labels int64 (N,)."""
    if not rows:
        raise UserError(f"{where}: no images")
    images = np.empty((len(rows), 3, SIDE, SIDE), np.uint8)
    labels = np.empty(len(rows), np.int64)

    def decode(start: int) -> int:
        block = rows[start : start + BLOCK]
        for i, (name, label, content) in enumerate(block, start):
            try:
                images[i], labels[i] = _pixels(content), _label(label)
            except Exception as error:  # Pillow raises whatever it meets
                known = isinstance(error, UnidentifiedImageError)
                wrong = "not a readable image" if known else one_line(error)
                raise UserError(f"{where}, row {i}, {name}: {wrong}") from None
        return len(block)

    with progress("Decoding the images", len(rows), "images") as bar, ThreadPoolExecutor() as pool:
        for done in pool.map(decode, range(0, len(rows), BLOCK)):
            bar.advance(done)
    return images, labels


def _pixels(content: bytes | str | np.ndarray) -> np.ndarray:
    """Decode an image, given by its bytes or its path: uint8 (3, 64, 64)."""
    if isinstance(content, np.ndarray):
        return content
    with Image.open(BytesIO(content) if isinstance(content, bytes) else content) as image:
        if image.size != (SIDE, SIDE) or image.mode != "RGB":
            size = f"{image.width} x {image.height} pixels, mode {image.mode}"
            raise ValueError(f"{size}; EuroSAT RGB tiles are {SIDE} x {SIDE}, mode RGB")
        return np.asarray(image).transpose(2, 0, 1)


def _label(name: str) -> int:
    if name not in CLASSES:
        raise ValueError(f"unknown class {name!r}; EuroSAT has {', '.join(CLASSES)}")
    return CLASSES.index(name)


def _map(folder: Path, source: Source) -> EuroSAT | None:
    """Map an entry of the cache into memory; ``None`` when it is missing or cut short."""
    splits = []
    try:
        kept = json.loads((folder / "rows.json").read_text("utf-8"))
        for split in SPLITS:
            images = np.load(folder / f"{split}.npy", mmap_mode="r")
            labels = np.array(kept[split]["labels"], np.int64)
            labels.setflags(write=False)
            splits.append(Split(images, labels, tuple(kept[split]["names"])))
        return EuroSAT(*splits, CLASSES, kept["fingerprint"], source)
    except (OSError, ValueError, KeyError, EOFError):
        return None
