"""Lists of file names that cut the images into splits: the published spatial ones, or a folder's.

The spatial lists cut the 27,000 tiles by longitude, so that but along the limits no tile of one
split has a neighbour in another (torchgeo, ``EuroSATSpatial``, pull request 2074).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from eurosat_lib.data.folder import LISTS
from eurosat_lib.data.hubcache import hub_folder
from eurosat_lib.data.probe import PROBE_SECONDS, endpoint, is_offline, within
from eurosat_lib.data.tables import one_line
from eurosat_lib.data.types import SPLITS
from eurosat_lib.errors import UserError

VARIABLE = "EUROSAT_SPLITS"  # a folder with the spatial lists
REPOSITORY = "torchgeo/eurosat"
REVISION = "1ce6f1bfb56db63fd91b6ecc466ea67f2509774c"
SPATIAL = {
    "train": "eurosat-spatial-train.txt",
    "validation": "eurosat-spatial-val.txt",
    "test": "eurosat-spatial-test.txt",
}
# SHA-256 of the three files, as torchgeo publishes them.
PUBLISHED = {
    "train": "2db7d455afb8dcbca898ea19a00f1f90c091734efdbba89e22aaf24056da243f",
    "validation": "6c758477604b7057a0fd990d7f6327b63b99a6725aac11a6a9d0174a7fdd8f0b",
    "test": "de22dec83d350cac3b3e4ca8e285cb6733c81ab94bf5bcf9213a567993402452",
}
DOWNLOAD_SECONDS = 30.0  # for 0.5 MB in all

Lists = dict[str, tuple[str, ...]]  # split -> file names


class ListsUnavailable(UserError):
    """The spatial lists cannot be had from the Hub; ``reason`` says why, in one line."""

    def __init__(self, reason: str) -> None:
        """Make the message: what, why, what to do."""
        super().__init__(
            f"the spatial split's lists ({REPOSITORY}@{REVISION[:7]}) cannot be had from the "
            f"Hugging Face Hub ({reason}); check the network, or set {VARIABLE} to a folder with "
            f"{', '.join(SPATIAL.values())}"
        )
        self.reason = reason


def spatial_lists() -> Lists:
    """Return the published spatial lists, each checked by its SHA-256.

    They come from ``$EUROSAT_SPLITS``, else from the cache of Hugging Face, else from the Hub.

    Raises:
        ListsUnavailable: not in the cache, and the Hub does not answer or refuses.
        UserError: ``$EUROSAT_SPLITS`` is no folder, lacks a list, or has another one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _checked(_named_folder(named))
    snapshot = hub_folder() / f"datasets--{REPOSITORY.replace('/', '--')}/snapshots/{REVISION}"
    if not all((snapshot / name).is_file() for name in SPATIAL.values()):
        reason = _download()
        if reason:
            raise ListsUnavailable(reason)
    return _checked(snapshot)


def spatial_digest() -> str:
    """Return what stands for the spatial lists in a signature; needs none of the files."""
    return hashlib.sha256("\n".join(PUBLISHED[split] for split in SPLITS).encode()).hexdigest()


def folder_lists(folder: Path) -> dict[str, Path]:
    """Find the three lists of a folder.

    Returns:
        split -> path: ``train.txt`` … or ``eurosat-train.txt`` …, or the published spatial names.

    Raises:
        UserError: a list is missing, or there is more than one set.
    """
    known = {split: (*LISTS[split], SPATIAL[split]) for split in SPLITS}
    found = {
        split: [folder / name for name in known[split] if (folder / name).is_file()]
        for split in SPLITS
    }
    for split, paths in found.items():
        if not paths:
            looked = ", ".join(known[split])
            raise UserError(f"{folder}: no list of the {split} split (looked for {looked})")
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise UserError(f"{folder}: {names}: two lists of the {split} split; keep one set")
    return {split: paths[0] for split, paths in found.items()}


def read_lists(paths: Mapping[str, Path]) -> Lists:
    """Read the file names of each list, one a line, without folder.

    Raises:
        UserError: a list is not readable, empty, or names an image twice or one of another list.
    """
    lists: Lists = {}
    seen: dict[str, str] = {}
    for split, path in paths.items():
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not readable ({one_line(error)})") from None
        names = [PurePosixPath(line.strip()).name for line in lines if line.strip()]
        if not names:
            raise UserError(f"{path}: the list is empty")
        for name in names:
            if name in seen:
                raise UserError(f"{path}: {name} is in the {seen[name]} split already")
            seen[name] = split
        lists[split] = tuple(names)
    return lists


def _named_folder(name: str) -> Path:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise UserError(f"{VARIABLE} = {name}: no such folder; give one with the spatial lists")
    return folder


def _checked(folder: Path) -> Lists:
    paths = {split: folder / name for split, name in SPATIAL.items()}
    for split, path in paths.items():
        if not path.is_file():
            raise UserError(f"{path}: no such list; the Hub data set {REPOSITORY} has it")
        if hashlib.sha256(path.read_bytes()).hexdigest() != PUBLISHED[split]:
            raise UserError(
                f"{path}: not the published list (its SHA-256 is not {PUBLISHED[split][:12]}…); "
                "get it again, or give your own lists as data.split=FOLDER"
            )
    return read_lists(paths)


def _download() -> str | None:
    if is_offline():
        return "HF_HUB_OFFLINE is set, and the lists are in no local cache"
    return within(PROBE_SECONDS, _ask) or within(DOWNLOAD_SECONDS, _fetch)


def _ask() -> str | None:
    """Ask for the revision first: a download is tried five times, for half a minute."""
    try:
        from huggingface_hub import HfApi

        HfApi(endpoint=endpoint()).dataset_info(
            REPOSITORY, revision=REVISION, timeout=PROBE_SECONDS
        )
    except Exception as error:  # whatever it is, the user is shown the reason
        return f"{endpoint()}: {one_line(error)}"
    return None


def _fetch() -> str | None:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import disable_progress_bars, logging

        disable_progress_bars()
        logging.set_verbosity(logging.CRITICAL)  # it tells of each retry
        for name in SPATIAL.values():
            hf_hub_download(
                REPOSITORY,
                name,
                repo_type="dataset",
                revision=REVISION,
                endpoint=endpoint(),
                cache_dir=hub_folder(),
                etag_timeout=PROBE_SECONDS,
            )
    except Exception as error:  # whatever it is, the user is shown the reason
        return f"{endpoint()}: {one_line(error)}"
    return None
