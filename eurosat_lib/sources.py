"""Where images come from: the pinned Hub data set, a folder, or drawn; and lists to cut them by.

A source gives rows (file name, class, image), by split or all together; three lists of file names
then say which split has which. Nothing is decoded here.
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from glob import escape, glob
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from eurosat_lib import synthetic
from eurosat_lib.errors import UserError, one_line
from eurosat_lib.progress import announce
from eurosat_lib.synthetic import CLASSES, SPLITS

HUB, REVISION = "timm/eurosat-rgb", "b4e28552cd5f3932b6abc37eb20d3e84901ad728"
LISTS_HUB, LISTS_REVISION = "torchgeo/eurosat", "1ce6f1bfb56db63fd91b6ecc466ea67f2509774c"
# SHA-256 of the published lists: the standard random split, and torchgeo's split by longitude,
# where but along the limits no tile has a neighbour in another split (torchgeo, pull 2074).
PUBLISHED = {
    "eurosat-train.txt": "1c1d2e855f95deee605a3d992f914d113fddbecf422ec61648057d029a37d695",
    "eurosat-val.txt": "b385741f31daa9f1250cf1e1fe03adfab394e1172e0693df40141af004f60330",
    "eurosat-test.txt": "cf37948894c12bd953930ff54ee9b7abf0b31478abb8d25fd2c6c721db74c592",
    "eurosat-spatial-train.txt": "2db7d455afb8dcbca898ea19a00f1f90c091734efdbba89e22aaf24056da243f",  # noqa: E501
    "eurosat-spatial-val.txt": "6c758477604b7057a0fd990d7f6327b63b99a6725aac11a6a9d0174a7fdd8f0b",
    "eurosat-spatial-test.txt": "de22dec83d350cac3b3e4ca8e285cb6733c81ab94bf5bcf9213a567993402452",
}
STANDARD, SPATIAL = tuple(PUBLISHED)[:3], tuple(PUBLISHED)[3:]  # in the order of SPLITS
LISTS = "one list each *train.txt, *val.txt, *test.txt"
FOLDERS = {
    "train": {"train"},
    "validation": {"val", "valid", "validation"},
    "test": {"test"},
}
SHORT = ("train", "val", "test")  # how the files of the splits begin, and their lists end
TIMEOUT = 5.0  # seconds for each address of the Hub, which has a few

Row = tuple[str, str, "bytes | str | np.ndarray"]  # file name, class; content, path or pixels


@dataclass(frozen=True)
class Source:
    """Where the images come from, fit to be shown to a reader."""

    kind: Literal["hub", "folder", "synthetic"]
    location: str  # timm/eurosat-rgb@b4e2855, the folder's own name, or synthetic
    revision: str | None = None  # full commit hash on the Hub
    split: str = "standard"  # the source's own; spatial; or the name of a folder of lists

    @property
    def synthetic(self) -> bool:
        """Whether the images are drawn, not seen by a satellite."""
        return self.kind == "synthetic"


@dataclass(frozen=True)
class Origin:
    """A source and its cut, before anything is read."""

    source: Source
    place: str  # the same when the images change: the newest entry of the cache replaces others
    state: str  # changes when the images do
    rows: Callable[[], dict[str, list[Row]]]  # by the source's own splits, if it has any
    lists: tuple[str, ...] = ()  # that cut the images: three paths, or names of published lists

    @property
    def signature(self) -> str:
        """Return a text that changes when the images or their cut do."""
        return digest(self.state, *(PUBLISHED.get(name) or Path(name) for name in self.lists))

    def cut(self, place: str, lists: tuple[str, ...]) -> Origin:
        """Return the same images cut by other lists, those of a place."""
        if not lists:
            raise UserError(f"{place}: {LISTS} is wanted")
        source = replace(self.source, split=Path(place).name)
        return replace(self, source=source, place=f"{self.place} by {place}", lists=lists)


class HubUnavailable(UserError):
    """The Hugging Face Hub cannot be reached."""


def hub_origin() -> Origin:
    """Return the pinned revision of the Hub data set, from its local cache if it is there."""
    source = Source("hub", f"{HUB}@{REVISION[:7]}", REVISION)
    folder = partial(_hub_folder, HUB, REVISION, "*.parquet")
    return Origin(source, HUB, REVISION, lambda: _parquet_rows(folder()))


def drawn_origin(counts: tuple[int, int, int]) -> Origin:
    """Return the built-in images, so many for train, validation and test."""
    place, code = f"synthetic {counts}", digest(Path(synthetic.__file__))
    return Origin(Source("synthetic", "synthetic"), place, code, partial(_drawn_rows, counts))


def folder_origin(folder: Path) -> Origin:
    """Recognise the layout of a folder: parquet shards, or class folders with or without lists."""
    found = files_below(folder)
    files = [path for path in found if path.endswith(".parquet")]
    rows, lists = partial(_parquet_rows, folder), ()
    if not files:
        files = [path for path in found if path.endswith(".arrow")]  # of save_to_disk
    if not files:
        images = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
        files = [path for path in found if path.lower().endswith(images)]
        lists, cut = find_lists(folder, found), _image_rows(files)
        rows, lists = (lambda: cut), lists or (STANDARD if "all" in cut else ())
    if not files:
        raise UserError(
            f"{folder}: no EuroSAT images here; expected train-*.parquet, validation-*.parquet, "
            "test-*.parquet, or a folder per class (AnnualCrop ... SeaLake), all 27,000 images or "
            f"with {LISTS}"
        )
    states = [os.stat(path) for path in files]
    state = digest(*files, *(f"{one.st_size} {one.st_mtime_ns}" for one in states))
    return Origin(Source("folder", folder.name), str(folder), state, rows, lists)


def find_lists(folder: Path, files: list[str]) -> tuple[str, ...]:
    """Find the lists of the splits among a folder's files, but spatial ones; none: empty."""
    texts = [path for path in files if path.endswith(".txt")]
    own = [path for path in texts if os.path.basename(path) not in SPATIAL]
    lists = [[path for path in own if path.endswith(f"{end}.txt")] for end in SHORT]
    if [len(paths) for paths in lists] not in ([0] * 3, [1] * 3):
        raise UserError(f"{folder}: {LISTS} is wanted")
    return tuple(itertools.chain(*lists))


def files_below(folder: Path, pattern: str = "*.*") -> list[str]:
    """Return the paths of the files below a folder, hidden ones left out, in order."""
    return sorted(glob(f"{escape(str(folder))}/**/{pattern}", recursive=True))


def _image_rows(paths: list[str]) -> dict[str, list[Row]]:
    """Give the images of ``Class/x.jpg``, or of ``train/Class/x.jpg`` by split."""
    cut: dict[str, list[Row]] = {}
    for path in paths:
        folder, label, name = path.rsplit("/", 3)[-3:]
        split = next((s for s, own in FOLDERS.items() if folder.lower() in own), "all")
        cut.setdefault(split, []).append((name, label, path))
    if set(cut) == set(SPLITS):
        return {split: cut[split] for split in SPLITS}
    return {"all": list(itertools.chain(*cut.values()))}


def _drawn_rows(counts: tuple[int, int, int]) -> dict[str, list[Row]]:
    rows = {}
    for split, count in zip(SPLITS, counts, strict=True):
        images, labels = synthetic.generate(split, count)
        names = [f"synthetic_{split}_{i:05d}" for i in range(1, count + 1)]
        rows[split] = list(zip(names, (CLASSES[i] for i in labels), images, strict=True))
    return rows


def _parquet_rows(folder: Path) -> dict[str, list[Row]]:
    """Read the parquet shards of the three splits; labels are mapped by the names of classes."""
    from datasets import Features
    from pyarrow import ArrowException

    rows: dict[str, list[Row]] = {}
    for split, short in zip(SPLITS, SHORT, strict=True):
        files = files_below(folder, f"{short}*.parquet")
        saved = [str(path) for path in sorted(folder.glob(f"**/{short}*/*.arrow"))]
        counts = {int(n) for path in files + saved for n in re.findall(r"-of-(\d+)[^/]*$", path)}
        if not counts or not counts <= {len(files or saved)}:
            raise UserError(f"{folder}: {split}: one whole set of shards is wanted, not {files}")
        try:
            table = _table(files, saved)
            known = getattr(Features.from_arrow_schema(table.schema)["label"], "names", CLASSES)
            columns = table.flatten().to_pydict()
            paths, contents = columns["image.path"], columns["image.bytes"]
        except (ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(f"{(files or saved)[0]}: {split}: {one_line(error)}") from error
        paths = columns.get("filename", paths)
        ids = columns.get("image_id", range(len(paths)))
        names = [os.path.basename(path or f"{i}.jpg") for path, i in zip(paths, ids, strict=True)]
        classes = [known[i] if i in range(len(known)) else str(i) for i in columns["label"]]
        rows[split] = list(zip(names, classes, contents, strict=True))
    return rows


def _table(files: list[str], saved: list[str]) -> Any:
    """Read one split: parquet shards, or a folder that ``save_to_disk`` has left."""
    from datasets import load_from_disk
    from pyarrow.parquet import read_table

    if files:
        return read_table(files, partitioning=None)
    return load_from_disk(os.path.dirname(saved[0])).flatten_indices().data.table


def _spelled(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Take the spelling of mirrors ("Annual Crop", "Industrial Buildings") where all is so."""
    labels = {label for _, label, _ in itertools.chain(*rows.values())}
    plain = {label: re.sub(r"[ _]|Buildings$", "", label) for label in labels}
    if labels <= set(CLASSES) or labels & {"AnnualCrop", "PermanentCrop"}:
        return rows  # ours, or a wrong name among ours
    return {split: [(n, plain[c], x) for n, c, x in own] for split, own in rows.items()}


def _names(path: Path) -> Iterator[PurePosixPath]:
    """Read a list of images, as Windows may have written it too."""
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    lines = map(str.strip, text.replace("\\", "/").splitlines())
    return map(PurePosixPath, filter(None, lines))


def rows_by_split(origin: Origin) -> dict[str, list[Row]]:
    """Read the rows of each split; a list names an image by file, or by class and file."""
    rows = _spelled(origin.rows())
    if not origin.lists:
        return rows
    images: dict[str, list[Row]] = {}  # by both ways of naming them, whatever the suffix
    for row in itertools.chain(*rows.values()):
        stem = PurePosixPath(row[0]).stem
        for key in (stem, f"{row[1]}/{stem}"):
            images.setdefault(key, []).append(row)
    paths = _published(origin.lists) if origin.lists[0] in PUBLISHED else origin.lists
    cut: dict[str, list[Row]] = {split: [] for split in SPLITS}
    taken: set[int] = set()
    for split, path in zip(SPLITS, map(Path, paths), strict=True):
        for name in _names(path):
            inside = f"{name.parent.name}/" if name.parent.name in CLASSES else ""
            found = images.get(inside + name.stem, [])
            if len(found) != 1:
                wrong = f"names {len(found)} of the images of {origin.place}, one is wanted"
                raise UserError(f"{path}: {name} {wrong}")
            if id(found[0]) in taken:
                raise UserError(f"{path}: {name} is in a split already")
            taken.add(id(found[0]))
            cut[split] += found
    return cut


def _published(names: tuple[str, ...]) -> list[Path]:
    """Find the published lists in ``$EUROSAT_SPLITS`` or on the Hub, and check their SHA-256."""
    named = os.environ.get("EUROSAT_SPLITS")
    folder = named or _hub_folder(LISTS_HUB, LISTS_REVISION, "eurosat-*.txt")
    paths = [Path(folder, name).expanduser() for name in names]
    for path in paths:
        if not path.is_file() or digest(path) != PUBLISHED[path.name]:
            wrong = f"not there, or not the published list (SHA-256) of the data set {LISTS_HUB}"
            raise UserError(f"{path}: {wrong}")
    return paths


def _hub_folder(repository: str, revision: str, files: str) -> Path:
    """Return the folder of a data set: from the Hub's local cache, else downloaded."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalEntryNotFoundError

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    which = {"repo_type": "dataset", "revision": revision, "allow_patterns": files}
    with suppress(LocalEntryNotFoundError):
        folder = Path(api.snapshot_download(repository, local_files_only=True, **which))
        if files_below(folder, files):  # other files of it may be there
            return folder
    what, kind = f"{repository}@{revision[:7]}", HubUnavailable
    try:  # to ask first: without an answer the download would go on trying
        api.dataset_info(repository, revision=revision, timeout=TIMEOUT)
        kind = UserError
        announce(f"Téléchargement depuis le Hub de Hugging Face : {what}")
        return Path(api.snapshot_download(repository, **which))
    except Exception as error:  # no answer; refused; network lost on the way, disk full
        answer = getattr(error, "response", None)
        if answer is not None and answer.status_code < 500 and answer.status_code != 429:
            kind = UserError
        raise kind(
            f"{what} cannot be had from the Hub ({api.endpoint}: {one_line(error)}); set "
            "EUROSAT_DATA and EUROSAT_SPLITS to folders that have it, or take DATA=synthetic"
        ) from error


def access() -> tuple:
    """Return what decides whether the Hub answers: addresses, proxies, the token in use."""
    from huggingface_hub import get_token

    ways = [(n, v) for n, v in os.environ.items() if re.match("HF_|.*_proxy$", n, re.IGNORECASE)]
    return (*sorted(ways), get_token())


def digest(*parts: str | Path) -> str:
    """Return the SHA-256 of texts and of the content of files."""
    contents = (part.encode() if isinstance(part, str) else part.read_bytes() for part in parts)
    return hashlib.sha256(b"\0".join(contents)).hexdigest()
