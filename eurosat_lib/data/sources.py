"""Which source a configuration means: the one it names, or what ``auto`` finds."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from eurosat_lib.data.cache import Origin, fetch
from eurosat_lib.data.decode import RawSplit, array_split
from eurosat_lib.data.entry import is_decoded
from eurosat_lib.data.folder import find_folder
from eurosat_lib.data.hub import Hub, HubUnavailable
from eurosat_lib.data.hubcache import REPOSITORY, is_cached
from eurosat_lib.data.probe import probe, recent_failure, remember_failure
from eurosat_lib.data.types import SPLITS, EuroSAT, Source
from eurosat_lib.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from eurosat_lib.config import Config

NAMES = ("auto", "synthetic", REPOSITORY)
_warned: set[str] = set()  # say it once per process


@dataclass(frozen=True)
class Synthetic:
    """The built-in set.

    Attributes:
        counts: images of train, validation and test.
        because: why it stands in for the real images; empty when it was asked for.
    """

    counts: tuple[int, int, int]
    because: str = ""
    source: ClassVar[Source] = Source("synthetic", "synthetic")

    @property
    def origin(self) -> str:
        """What stays the same when the drawing changes."""
        return f"synthetic:{','.join(map(str, self.counts))}"

    @property
    def signature(self) -> str:
        """A text that changes with the counts and with the code that draws."""
        spec = find_spec("eurosat_lib.synthetic")
        folders = spec.submodule_search_locations
        files = sorted(Path(folders[0]).glob("*.py")) if folders else [Path(spec.origin)]
        digest = hashlib.sha256(b"\n".join(path.read_bytes() for path in files))
        return f"{self.origin}:{digest.hexdigest()}"

    def read(self, scratch: Path) -> dict[str, RawSplit]:
        """Draw the images; ``scratch`` is not needed."""
        from eurosat_lib.progress import progress
        from eurosat_lib.synthetic import generate

        splits = {}
        with progress("Drawing the synthetic images", sum(self.counts), "images") as bar:
            for split, count in zip(SPLITS, self.counts, strict=True):
                images, labels = generate(split, count)
                names = [f"synthetic_{split}_{i:05d}" for i in range(1, count + 1)]
                splits[split] = array_split(names, labels.astype(np.int64), images)
                bar.advance(count)
        return splits


def load_dataset(config: Config) -> EuroSAT:
    """Load the images of the configured source, decoded once and mapped from disk since.

    Args:
        config: ``data.source`` names the source; ``auto`` takes ``$EUROSAT_DATA``, else the Hub
            or its local cache, else, with a warning, the built-in synthetic images.

    Returns:
        The three splits, whole: uint8 (N, 3, 64, 64) in 0-255, labels int64 (N,) in 0-9.

    Raises:
        UserError: the named source cannot be had, or is not sound.
    """
    origin = choose(config)
    try:
        return fetch(_announced(origin))
    except HubUnavailable as error:
        if config.data.source != "auto":
            raise
        remember_failure(error.reason)
        return fetch(_announced(Synthetic(config.data.synthetic_images, error.reason)))


def describe_source(config: Config) -> Source:
    """Tell which source ``load_dataset`` would take, without loading it.

    Raises:
        UserError: the named source is not there.
    """
    return choose(config).source


def signature(config: Config) -> str:
    """Return a text that changes when the source does: its kind, place, files or drawing code.

    Raises:
        UserError: the named source is not there.
    """
    return choose(config).signature


def pinned_source(config: Config) -> str:
    """Return the value of ``data.source`` that names what ``auto`` takes now.

    A run that configures its notebooks with it cannot change its source half way.
    """
    origin = choose(config)
    return {"hub": REPOSITORY, "synthetic": "synthetic"}.get(
        origin.source.kind, origin.origin.partition(":")[2]
    )


def choose(config: Config) -> Origin:
    """Find the source that a configuration means.

    Raises:
        UserError: it names a folder that is missing, empty or incomplete.
    """
    name = config.data.source
    if name == "auto":
        return _automatic(config)
    if name == "synthetic":
        return Synthetic(config.data.synthetic_images)
    if name == REPOSITORY:
        return Hub()
    hint = did_you_mean(name, NAMES)
    return find_folder(_folder("data.source", name, config, f"{hint}; or {', '.join(NAMES)}"))


def _automatic(config: Config) -> Origin:
    named = os.environ.get("EUROSAT_DATA")
    if named:
        return find_folder(_folder("EUROSAT_DATA", named, config, ""))
    hub = Hub()
    if is_decoded(hub.signature) or is_cached():
        return hub
    reason = recent_failure()
    if reason is None:
        reason = probe()
        if reason is None:
            return hub
        remember_failure(reason)
    return Synthetic(config.data.synthetic_images, reason)


def _folder(variable: str, name: str, config: Config, others: str) -> Path:
    """Find a named folder: relative to the project, so that notebooks find it too, or to here."""
    path = Path(name).expanduser()
    for candidate in (Path(config.paths.root) / path, Path.cwd() / path):
        if candidate.is_dir():
            return candidate
    raise UserError(f"{variable} = {name}: no such folder; give a folder with the images{others}")


def _announced(origin: Origin) -> Origin:
    """Warn, once, when the synthetic images stand in for the real ones."""
    because = origin.because if isinstance(origin, Synthetic) else ""
    if because and because not in _warned:
        from eurosat_lib.progress import announce

        _warned.add(because)
        announce(
            "WARNING: using the built-in SYNTHETIC images, not EuroSAT: EUROSAT_DATA is not set, "
            f"and the Hugging Face Hub cannot be used ({because}). What they yield says nothing "
            "about satellite images. Set EUROSAT_DATA to a folder with EuroSAT for the real ones."
        )
    return origin
