"""Where images come from: the pinned Hub data set, a folder, or drawn; and lists to cut them by.

A source gives rows (file name, class, compressed image) of its splits, or of all its images; lists
of file names then say which split has which. Nothing is decoded here.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar

import numpy as np

from eurosat_lib import synthetic
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.progress import announce, progress
from eurosat_lib.synthetic import CLASSES, SPLITS

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is imported

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
LISTS = "*train.txt, *val.txt, *test.txt"  # a list of one's own may have any name like that
SUFFIXES = (".jpg", ".jpeg", ".png")
TIMEOUT = 5.0  # seconds for each address of the Hub, which has a few
MIRROR = "HF_ENDPOINT"  # address of the Hub, if not its own
RECHECK = 60  # seconds after which an unreachable Hub is asked again

T = TypeVar("T")
Row = tuple[str, str, "bytes | str | np.ndarray"]  # file name, class; content, path or pixels


@dataclass(frozen=True)
class Source:
    """Where the images come from, fit to be shown to a reader.

    Attributes:
        kind: the sort of source.
        location: ``timm/eurosat-rgb@b4e2855``, the folder's own name, or ``synthetic``.
        revision: full commit hash on the Hub, else ``None``.
        split: ``standard``, the source's own; ``spatial``; or the name of a folder of lists.
    """

    kind: Literal["hub", "folder", "synthetic"]
    location: str
    revision: str | None = None
    split: str = "standard"

    @property
    def synthetic(self) -> bool:
        """Whether the images are drawn, not seen by a satellite."""
        return self.kind == "synthetic"


@dataclass(frozen=True)
class Origin:
    """A source and its cut, before anything is read."""

    source: Source
    place: str  # the same when the images change: the newest entry of the cache replaces others
    signature: str  # changes when the images do
    rows: Callable[[], dict[str, list[Row]]]  # in the source's own splits, if it has any
    lists: Callable[[], list[Path]] | None = None  # that cut the images into splits


class HubUnavailable(UserError):
    """The Hugging Face Hub cannot be reached."""


class Incomplete(UserError):
    """Files of a source or split are missing."""


def hub_origin() -> Origin:
    """Return the pinned revision of the Hub data set, from its local cache if it is there."""
    advice = "set EUROSAT_DATA to a folder with the images, or take DATA=synthetic"
    rows = partial(_from_hub, HUB, REVISION, "*.parquet", _parquet_rows, advice)
    source = Source("hub", f"{HUB}@{REVISION[:7]}", REVISION)
    return Origin(source, HUB, f"hub {HUB}@{REVISION}", rows)


def drawn_origin(counts: tuple[int, int, int]) -> Origin:
    """Return the built-in images, so many for train, validation and test."""
    place = f"synthetic {counts}"
    signed = f"{place} {digest(Path(synthetic.__file__))}"
    return Origin(Source("synthetic", "synthetic"), place, signed, partial(_drawn_rows, counts))


def folder_origin(folder: Path) -> Origin:
    """Recognise the layout of a folder: parquet shards, or class folders with or without lists."""
    source, place = Source("folder", folder.name), str(folder)
    shards = sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")])
    if shards:
        signed = f"folder {digest(*map(_state, shards))}"
        return Origin(source, place, signed, partial(_parquet_rows, folder))
    files: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        images = [os.path.join(parent, n) for n in sorted(names) if n.lower().endswith(SUFFIXES)]
        if images and Path(parent) != folder and os.path.basename(parent) not in CLASSES:
            hint = did_you_mean(os.path.basename(parent), CLASSES)
            raise UserError(f"{parent}: unknown class{hint}; EuroSAT has {', '.join(CLASSES)}")
        files += images if Path(parent) != folder else []
    if not files:
        raise UserError(
            f"{folder}: no EuroSAT images here; expected parquet files (train-*.parquet, "
            "validation-*.parquet, test-*.parquet) or one folder of images per class "
            f"(AnnualCrop ... SeaLake), all 27,000 or with the lists {LISTS}"
        )
    lists = next(filter(None, map(split_lists, (folder, Path(files[0]).parents[1]))), [])
    signed = f"folder {digest(*lists, *map(_state, files))}"

    def rows() -> dict[str, list[Row]]:
        return {"": [(os.path.basename(f), Path(f).parent.name, f) for f in files]}

    find = partial(list, lists) if lists else partial(published_lists, STANDARD)
    return Origin(source, place, signed, rows, find)


def _parquet_rows(folder: Path) -> dict[str, list[Row]]:
    """Read the parquet shards of the three splits; labels are mapped by the names of classes."""
    from datasets import Dataset, Image, disable_progress_bars

    disable_progress_bars()
    rows: dict[str, list[Row]] = {}
    for split, short in zip(SPLITS, ("train", "val", "test"), strict=True):
        files = sorted(map(str, folder.rglob(f"{short}*.parquet")))
        counts = [int(count) for file in files for count in re.findall(r"-of-(\d+)\D", file)]
        if not files or any(count != len(files) for count in counts or [1]):
            there = ", ".join(os.path.basename(file) for file in files) or "none"
            raise Incomplete(
                f"{folder}: the {split} split wants one whole set of files "
                f"{split}-*-of-*.parquet; there: {there}"
            )
        try:
            with TemporaryDirectory() as scratch:  # load_dataset keeps a copy and counts its use
                table = Dataset.from_parquet(files, split, cache_dir=scratch, keep_in_memory=True)
            columns = set(table.column_names)
            if not {"image", "label"} <= columns:
                raise KeyError("it wants the columns image and label")
            known = getattr(table.features["label"], "names", CLASSES)
            images = table.cast_column("image", Image(decode=False))["image"][:]
            numbers = table["image_id"][:] if "image_id" in columns else range(len(images))
            found = zip(images, table["label"][:], numbers, strict=True)
            rows[split] = [_parquet_row(known, *columns) for columns in found]
        except Exception as error:  # datasets wraps whatever its readers raise
            reason = one_line(error.__cause__ or error)
            raise UserError(f"{files[0]}: {split} split not readable ({reason})") from error
    return rows


def _parquet_row(
    known: Sequence[str], image: dict | None, label: int | str, number: int | str
) -> Row:
    image = image or {"path": None, "bytes": None}
    if isinstance(label, int) and 0 <= label < len(known):
        label = known[label]
    return Path(image["path"] or f"{number}.jpg").name, str(label), image["bytes"] or b""


def _drawn_rows(counts: tuple[int, int, int]) -> dict[str, list[Row]]:
    rows = {}
    with progress("Drawing the synthetic images", sum(counts), "images") as bar:
        for split, count in zip(SPLITS, counts, strict=True):
            drawn = enumerate(zip(*synthetic.generate(split, count), strict=True), 1)
            rows[split] = [
                (f"synthetic_{split}_{i:05d}", CLASSES[label], image)
                for i, (image, label) in drawn
            ]
            bar.advance(count)
    return rows


def rows_by_split(origin: Origin) -> dict[str, list[Row]]:
    """Read the rows of each split; a list names an image by file, or by class and file."""
    try:
        rows, lists = origin.rows(), origin.lists and origin.lists()
    except OSError as error:
        raise UserError(f"{origin.place}: not readable ({one_line(error)})") from error
    if lists is None:
        return rows
    images: dict[str, list[Row]] = {}  # by both ways of naming them, whatever the suffix
    for row in (row for part in rows.values() for row in part):
        stem = PurePosixPath(row[0]).stem
        images.setdefault(stem, []).append(row)
        images.setdefault(f"{row[1]}/{stem}", []).append(row)
    cut: dict[str, list[Row]] = {}
    taken: dict[int, str] = {}
    for split, path in zip(SPLITS, lists, strict=True):
        try:
            lines = path.read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not readable ({one_line(error)})") from None
        cut[split] = []
        for line in (PurePosixPath(line.strip()) for line in lines if line.strip()):
            inside = f"{line.parent.name}/" if line.parent.name in CLASSES else ""
            found = images.get(inside + line.stem, [])
            if len(found) != 1 or id(found[0]) in taken:
                wrong = f"names {len(found)} of the images of {origin.place}, one is wanted"
                if len(found) == 1:
                    wrong = f"is in the {taken[id(found[0])]} split already"
                raise UserError(f"{path}: {line} {wrong}")
            taken[id(found[0])] = split
            cut[split].append(found[0])
    return cut


def split_lists(folder: str | Path) -> list[Path]:
    """Find the three lists of a folder, other than the published spatial ones; none: empty."""
    found = {}
    for pattern in LISTS.split(", "):
        found[pattern] = sorted(
            set(Path(folder).glob(pattern)) - {Path(folder, f) for f in SPATIAL}
        )
    if any(found.values()) and any(len(paths) != 1 for paths in found.values()):
        there = ", ".join(path.name for paths in found.values() for path in paths)
        raise UserError(f"{folder}: one list each of {LISTS} is wanted; there: {there}")
    return [path for paths in found.values() for path in paths]


def published_lists(names: tuple[str, ...]) -> list[Path]:
    """Find the published lists in ``$EUROSAT_SPLITS`` or on the Hub, and check their SHA-256."""

    def find(folder: Path) -> list[Path]:
        paths = [folder / name for name in names]
        for path in paths:
            if not path.is_file():
                raise Incomplete(f"{path}: no such list; the Hub data set {LISTS_HUB} has it")
            if digest(path) != PUBLISHED[path.name]:
                raise UserError(f"{path}: not the published list (other SHA-256); get it again")
        return paths

    named = os.environ.get("EUROSAT_SPLITS")
    if named:
        return find(Path(named).expanduser())
    advice = f"set EUROSAT_SPLITS to a folder with {', '.join(names)}"
    return _from_hub(LISTS_HUB, LISTS_REVISION, "eurosat-*.txt", find, advice)


def _from_hub(
    repository: str, revision: str, files: str, read: Callable[[Path], T], advice: str
) -> T:
    """Read files of a data set: from the local cache of the Hub if they are there, complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    options = {"repo_type": "dataset", "revision": revision, "allow_patterns": files}
    fetch = partial(snapshot_download, repository, endpoint=os.environ.get(MIRROR), **options)
    with suppress(LocalEntryNotFoundError, Incomplete):
        return read(Path(fetch(local_files_only=True)))
    what = f"{repository}@{revision[:7]}"
    reason = _silence(repository, revision, int(time.monotonic() / RECHECK))
    if reason:
        reason = f"{what} cannot be had from the Hugging Face Hub ({reason})"
        raise HubUnavailable(f"{reason}; check the network, or {advice}")
    announce(f"Downloading {what} from the Hugging Face Hub")
    try:
        folder = Path(fetch())
    except Exception as error:  # refused, network lost on the way, disk full
        raise UserError(f"{what}: the download failed ({one_line(error)}); {advice}") from error
    return read(folder)


@cache
def _silence(repository: str, revision: str, moment: int) -> str:
    """Say why the Hub does not answer, or nothing: a download would be tried for minutes."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get(MIRROR))
    try:
        api.dataset_info(repository, revision=revision, timeout=TIMEOUT)
    except Exception as error:  # the libraries below it differ between versions
        answer = getattr(error, "response", None)
        if answer is None or answer.status_code >= 500 or answer.status_code == 429:
            return f"{api.endpoint}: {one_line(error)}"
    return ""


def _state(path: str | Path) -> str:
    found = os.stat(path)
    return f"{path} {found.st_size} {found.st_mtime_ns}"


def digest(*parts: str | Path) -> str:
    """Return the SHA-256 of texts and of the content of files."""
    contents = (part.encode() if isinstance(part, str) else part.read_bytes() for part in parts)
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def one_line(error: BaseException) -> str:
    """Return the kind of an error and its first line, at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
