"""Where images come from: the pinned Hub data set, a folder, or drawn; and lists to cut them by.

A source gives rows, with their split or without; three lists of file names then say which split
has which. Nothing is decoded here.
"""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

import numpy as np

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError, did_you_mean, one_line
from eurosat_lib.progress import announce

SIDE = 64  # pixels
SPLITS = ("train", "validation", "test")
# The classes, alphabetical, as their labels are, and the drawn images of each in a block of 108.
SHARES = {"AnnualCrop": 12, "Forest": 12, "HerbaceousVegetation": 12, "Highway": 10}
SHARES |= {"Industrial": 10, "Pasture": 8, "PermanentCrop": 10, "Residential": 12}
SHARES |= {"River": 10, "SeaLake": 12}
CLASSES: tuple[str, ...] = tuple(SHARES)

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
SHORT = ("train", "val", "test")  # how the files of the splits begin, and their lists end
FORMAT = 7  # of decoded or drawn images: another number leaves older ones aside
LISTS = "one list each *train.txt, *val.txt, *test.txt"
IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
KNOWN = ("auto", "synthetic", HUB, "standard", "spatial")  # beside folders
WIDTHS = (4, 7, 11, 17, 26)  # pixels from stripe to stripe, about; crossed in half of the classes
TINTS = np.array((3, 7, 9))[:, None, None]  # how the colour of the drawn ground depends on it
TIMEOUT = 5.0  # seconds for each address of the Hub, which has a few


class Row(NamedTuple):
    """One image, not decoded."""

    split: str  # empty where lists are to say it
    name: str  # of its file, without folder
    label: str
    content: bytes | str | np.ndarray  # of the file, its path, or pixels


@dataclass(frozen=True)
class Source:
    """Where the images come from and what cuts them, before anything is read."""

    location: str  # timm/eurosat-rgb@b4e2855, the folder's own name, or synthetic
    place: str  # the Hub's repository, the folder's path, or synthetic
    revision: str | None = None  # full commit hash on the Hub
    split: str = "standard"  # the source's own; spatial; or the name of a folder of lists
    counts: tuple[int, ...] = ()  # drawn images for train, validation and test
    lists: tuple[str, ...] = ()  # that cut the images: three paths, or names of published ones
    files: tuple[str, ...] = field(default=(), repr=False, compare=False)  # of a folder's images

    @property
    def synthetic(self) -> bool:
        """Whether the images are drawn, not seen by a satellite."""
        return bool(self.counts)

    @cached_property
    def signature(self) -> str:
        """Return a text that changes when the images or their cut do."""
        states = [f"{one.st_size} {one.st_mtime_ns}" for one in map(os.stat, self.files)]
        lists = [PUBLISHED.get(name) or Path(name) for name in self.lists]
        about = (self.place, str(self.revision), str(self.counts))
        return digest(*about, *self.files, *states, *lists)

    @property
    def decoded(self) -> Path:
        """Where the decoded images are kept, below ``$EUROSAT_CACHE``."""
        chosen = Path(os.environ.get("EUROSAT_CACHE") or "~/.cache/eurosat_lib").expanduser()
        name = digest(f"{FORMAT} {self.counts}", self.place, *self.lists)[:16]
        return chosen.absolute() / "decoded" / f"{name}.npy"


class HubUnavailable(UserError):
    """The Hugging Face Hub cannot be reached."""


def describe_source(config: Config) -> Source:
    """Find the configured source, cut as configured; only an ``auto`` may ask the Hub for it."""
    name, source = config.data.split, _uncut(config)
    if name == "standard":
        return source
    if source.synthetic:
        raise UserError(f"data.split = {name}: drawn images have no geography; take standard")
    if name == "spatial":
        return replace(source, split=name, lists=SPATIAL)
    folder = _folder(config, "data.split", name)
    return replace(source, split=folder.name, lists=_find_lists(folder))


def _uncut(config: Config) -> Source:
    """Find the configured source, in its own splits."""
    name, named = config.data.source, os.environ.get("EUROSAT_DATA")
    hub = Source(f"{HUB}@{REVISION[:7]}", HUB, REVISION)
    if name == "auto" and named:
        return folder_source(_folder(config, "EUROSAT_DATA", named))
    if name == HUB or (name == "auto" and (hub.decoded.is_file() or _hub_is_there())):
        return hub
    if name in ("auto", "synthetic"):
        return Source("synthetic", "synthetic", counts=config.data.synthetic_images)
    return folder_source(_folder(config, "data.source", name))


def _folder(config: Config, variable: str, name: str) -> Path:
    """Find a named folder: relative to the project, so that notebooks find it too, or to here."""
    for parent in (config.paths.root, Path.cwd()):
        folder = Path(os.path.abspath(parent / Path(name).expanduser()))
        if folder.is_dir():
            return folder
    raise UserError(f"{variable} = {name}: no such folder{did_you_mean(name, KNOWN)}")


@cache  # looked at once per process: 27,000 files take most of a second
def folder_source(folder: Path) -> Source:
    """Recognise the layout of a folder: shards, or class folders with or without lists."""
    found = _files_below(folder)
    for ends in (".parquet", ".arrow", IMAGES):
        if files := tuple(path for path in found if path.lower().endswith(ends)):
            lists = _find_lists(folder, needed=False) if ends is IMAGES else ()
            return Source(folder.name, str(folder), lists=lists, files=files)
    raise UserError(
        f"{folder}: no EuroSAT images here; expected {{train,validation,test}}-*.parquet, or "
        f"a folder per class (AnnualCrop ... SeaLake), all 27,000 images or with {LISTS}"
    )


def _find_lists(folder: Path, needed: bool = True) -> tuple[str, ...]:
    """Find the lists of the splits in a folder, but spatial ones; none, if not needed: empty."""
    own = [path for path in _files_below(folder, "*.txt") if Path(path).name not in SPATIAL]
    lists = [[path for path in own if path.lower().endswith(f"{end}.txt")] for end in SHORT]
    if {len(paths) for paths in lists} != {1} and (needed or any(lists)):
        raise UserError(f"{folder}: {LISTS} is wanted")
    return tuple(path for paths in lists for path in paths)


def _files_below(folder: str | Path, pattern: str = "*.*") -> list[str]:
    """Return the paths of the files below a folder, each folder once, no hidden ones, in order."""
    found, walked = [], set()

    def fail(error: OSError) -> NoReturn:
        """Refuse a folder that cannot be read: its images would be missing without a word."""
        raise error

    for top, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        if (real := os.path.realpath(top)) in walked:  # by a link
            folders.clear()
            continue
        walked.add(real)
        folders[:] = sorted(n for n in folders if n[0] != "." and n != "lost+found")
        found += (f"{top}/{n}" for n in names if n[0] != "." and fnmatch(n.lower(), pattern))
    # No pipes; a broken link is a fault, which opening it says.
    return sorted(path for path in found if os.path.isfile(path) or not os.path.exists(path))


def read_rows(source: Source) -> list[Row]:
    """Read the rows of the three splits, in order; nothing is decoded."""
    if source.synthetic:
        counts = zip(SPLITS, source.counts, strict=True)
        return [row for split, count in counts for row in draw_rows(split, count)]
    files = source.files or _files_below(
        _hub_folder(HUB, REVISION, "*.parquet", _are_whole), "*.parquet"
    )
    images = [file for file in files if file.lower().endswith(IMAGES)]
    rows = _image_rows(images, source.place) if images else _table_rows(files, source.place)
    aside = [row for row in rows if not row.split]
    if 0 < len(aside) < len(rows) and not source.lists:
        folders = "lies in none of the folders train, val (or validation) and test, others do"
        raise UserError(f"{source.place}: {aside[0].label}/{aside[0].name} {folders}")
    # Mirrors have "Annual Crop", "Industrial Buildings".
    rows = [row._replace(label=re.sub("[ _]|Buildings$", "", row.label)) for row in rows]
    lists = source.lists or (STANDARD if aside else ())
    rows = _cut(rows, list_paths(lists), source.place) if lists else rows
    return sorted(rows, key=lambda row: SPLITS.index(row.split))


def _image_rows(paths: list[str], folder: str) -> list[Row]:
    """Give the images of ``Class/x.jpg``, or of ``train/Class/x.jpg``, below a folder."""
    splits = {"val": "validation", "valid": "validation"} | {split: split for split in SPLITS}
    rows = []
    for path in paths:
        inside = path.removeprefix(folder).split("/")
        top, label, name = ["", "", *inside][-3:]  # a folder that is not there is empty
        rows.append(Row(splits.get(top.lower(), ""), name, label, path))
    return rows


def _shards(files: Sequence[str], split: str) -> tuple[list[str], bool]:
    """Return the shards of a split, and whether they are all of them, each once."""
    own = [f for f in files if re.search(f"/{split}[^/]*([.]parquet|/[^/]*[.]arrow)$", f)]
    said = [re.search(r"(\d+)-of-(\d+)[^/]*$", file) for file in own]
    parts = sorted((int(one[1]), int(one[2])) for one in said if one)
    return own, bool(own) and parts == [(i, len(own)) for i in range(len(own))]


def _are_whole(files: Sequence[str]) -> bool:
    return all(_shards(files, split)[1] for split in SHORT)


def _table_rows(files: Sequence[str], place: str) -> list[Row]:
    """Read the shards of the three splits, parquet or of ``save_to_disk``; labels by name."""
    import pyarrow as pa
    from datasets import Dataset, Features
    from pyarrow.parquet import read_table

    rows = []
    for split, short in zip(SPLITS, SHORT, strict=True):
        own, whole = _shards(files, short)
        if not whole:
            raise UserError(f"{place}: {split}: one whole set of shards is wanted, not {own}")
        try:
            parquet = (read_table(file, partitioning=None) for file in own)
            arrow = (Dataset.from_file(file).data.table for file in own)
            table = pa.concat_tables(parquet if own[0].endswith(".parquet") else arrow)
            known = getattr(Features.from_arrow_schema(table.schema)["label"], "names", CLASSES)
            columns = table.flatten().to_pydict()
            paths, contents = columns["image.path"], columns["image.bytes"]
            ids = columns.get("image_id", range(len(paths)))
            for i, path in enumerate(columns.get("filename", paths)):
                name = os.path.basename(path or f"{ids[i]}.jpg")
                label = columns["label"][i]
                label = known[label] if label in range(len(known)) else str(label)
                rows.append(Row(split, name, label, contents[i]))
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(f"{own[0]}: {split}: {one_line(error)}") from error
    return rows


def _cut(rows: list[Row], lists: list[Path], place: str) -> list[Row]:
    """Give each row the split of its list; a list names an image by file, or by class and file."""
    images = defaultdict(list)  # by both ways of naming them, whatever the suffix
    for row in rows:
        stem = PurePosixPath(row.name).stem
        images[stem].append(row)
        images[f"{row.label}/{stem}"].append(row)
    taken: dict[int, Row] = {}
    for split, path in zip(SPLITS, lists, strict=True):
        for name in _names(path):
            inside = name.parent.name in CLASSES
            found = images[f"{name.parent.name}/{name.stem}" if inside else name.stem]
            if len(found) != 1:
                of = f"{len(found)} of the images of {place}, one is wanted"
                raise UserError(f"{path}: {name} names {of}")
            if had := taken.get(id(found[0])):
                raise UserError(f"{path}: {name} is in the list of {had.split} already")
            taken[id(found[0])] = found[0]._replace(split=split)
    return list(taken.values())


def _names(path: Path) -> list[PurePosixPath]:
    """Read a list of images, as Windows may have written it too."""
    content = path.read_bytes()
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # the mark of UTF-16
    text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    lines = map(str.strip, text.replace("\\", "/").splitlines())
    return [PurePosixPath(line) for line in lines if line]


def list_paths(names: tuple[str, ...]) -> list[Path]:
    """Find published lists in ``$EUROSAT_SPLITS`` or on the Hub, and check their SHA-256."""
    if names[0] not in PUBLISHED:
        return [Path(name) for name in names]
    named = os.environ.get("EUROSAT_SPLITS")
    hub = (
        LISTS_HUB,
        LISTS_REVISION,
        "eurosat-*.txt",
        lambda files: {*names} <= {*map(os.path.basename, files)},
    )
    folder = named or _hub_folder(*hub)
    paths = [Path(folder, name).expanduser() for name in names]
    for path in paths:
        if not path.is_file() or digest(path) != PUBLISHED[path.name]:
            raise UserError(f"{path}: not the published list (SHA-256) of {LISTS_HUB}")
    return paths


def _hub_folder(
    repository: str, revision: str, files: str, whole: Callable[[list[str]], bool]
) -> Path:
    """Return the folder of a data set, from the Hub's cache if all is there, else downloaded."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalEntryNotFoundError

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co")
    which = {"repo_type": "dataset", "revision": revision, "allow_patterns": files}
    with suppress(LocalEntryNotFoundError):
        folder = Path(api.snapshot_download(repository, local_files_only=True, **which))
        if whole(_files_below(folder, files)):  # some, or others of it may be there
            return folder
    what, answered = f"{repository}@{revision[:7]}", False
    try:  # asked first: without an answer the download would go on trying
        api.dataset_info(repository, revision=revision, timeout=TIMEOUT)
        answered = True
        announce(f"Téléchargement depuis le Hub de Hugging Face : {what}")
        return Path(api.snapshot_download(repository, **which))
    except Exception as error:  # no answer; refused; network lost on the way, disk full
        status = getattr(getattr(error, "response", None), "status_code", 500)
        refused = status < 500 and status != 429  # 429: too many requests
        kind = UserError if answered or refused else HubUnavailable
        raise kind(
            f"{what} cannot be had from the Hub ({api.endpoint}: {one_line(error)}); set "
            "EUROSAT_DATA and EUROSAT_SPLITS to folders that have it, or take DATA=synthetic"
        ) from error


@cache  # asked once per process, so that ``auto`` never changes the images half way
def _hub_is_there() -> bool:
    try:
        _hub_folder(HUB, REVISION, "*.parquet", _are_whole)
    except HubUnavailable as error:
        announce(
            "ATTENTION : images SYNTHÉTIQUES de démonstration, et non EuroSAT ; elles ne disent "
            f"rien des images satellites. EUROSAT_DATA n’est pas donné ; {error}"
        )
        return False
    return True


def digest(*parts: str | Path) -> str:
    """Return the SHA-256 of texts and of the content of files."""
    contents = (part.encode() if isinstance(part, str) else part.read_bytes() for part in parts)
    try:
        return hashlib.sha256(b"\0".join(contents)).hexdigest()
    except UnicodeEncodeError as error:
        raise UserError(f"{error.object!r}: a name that is not UTF-8; rename it") from None


def draw_rows(split: str, count: int) -> list[Row]:
    """Draw the first ``count`` images of a split: textures under the names of the classes.

    They stand in where EuroSAT cannot be had, so that everything can be tried, and measure nothing
    on Earth. Stripes, single or crossed, of five widths tell the classes apart, mean colours only
    in part. More images start with the same ones. Only NumPy's generators and operations that
    IEEE 754 rounds exactly are used: the bits are the same on every machine.
    """
    rows, key, block = [], SPLITS.index(split), np.repeat(np.arange(10), list(SHARES.values()))
    starts = range(0, count + 1, len(block))
    dealt = [np.random.default_rng([key, start]).permutation(block) for start in starts]
    for i, label in enumerate(np.concatenate(dealt)[:count].tolist()):
        image = _draw(np.random.default_rng([key, i, label]), label)
        rows.append(Row(split, f"synthetic_{split}_{i + 1:05d}", CLASSES[label], image))
    return rows


def _draw(rng: np.random.Generator, label: int) -> np.ndarray:
    """Draw stripes of the class's width in any direction, on a ground of about its colour."""
    x, y = rng.uniform(-1, 1), rng.uniform(0.01, 1)
    x, y = x / np.sqrt(x * x + y * y), y / np.sqrt(x * x + y * y)
    crossed, rank = divmod(label, len(WIDTHS))
    grid, width = np.arange(SIDE), WIDTHS[rank] * rng.uniform(0.85, 1.15)
    image = rng.uniform(40, 110, (3, 1, 1)) + 8 * (label * TINTS % 10)
    for along in (x * grid + y * grid[:, None], y * grid - x * grid[:, None])[: 1 + crossed]:
        turns = along / width + rng.uniform()
        image = image + rng.uniform(15, 60) * np.abs(turns - np.rint(turns))
    image = image + rng.uniform(5, 25) * rng.uniform(-1, 1, (3, SIDE, SIDE))
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)
