"""Which source a configuration means: named, or what ``auto`` finds; and how it is cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from eurosat_lib.data import recut
from eurosat_lib.data.cache import Origin, fetch
from eurosat_lib.data.drawn import Synthetic
from eurosat_lib.data.entry import is_decoded
from eurosat_lib.data.folder import find_folder
from eurosat_lib.data.hub import Hub, HubUnavailable
from eurosat_lib.data.hubcache import REPOSITORY, is_cached
from eurosat_lib.data.probe import probe, recent_failure, remember_failure
from eurosat_lib.data.types import EuroSAT, Source
from eurosat_lib.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from eurosat_lib.config import Config

NAMES = ("auto", "synthetic", REPOSITORY)
CUTS = ("standard", "spatial")
_warned: set[str] = set()  # say it once per process


def load_dataset(config: Config) -> EuroSAT:
    """Load the images of the configured source, decoded once and mapped from disk since.

    Args:
        config: ``data.source`` names the source; ``auto`` takes ``$EUROSAT_DATA``, else the Hub
            or its local cache, else, with a warning, the built-in synthetic images.
            ``data.split`` names the cut: the source's own, the spatial lists, or a folder's.

    Returns:
        The three splits, whole: uint8 (N, 3, 64, 64) in 0-255, labels int64 (N,) in 0-9.

    Raises:
        UserError: the named source or cut cannot be had, or is not sound.
    """
    origin = choose(config)
    try:
        return fetch(_cut(config, _announced(origin)))
    except HubUnavailable as error:
        if config.data.source != "auto":
            raise
        remember_failure(error.reason)
        drawn = Synthetic(config.data.synthetic_images, error.reason)
        return fetch(_cut(config, _announced(drawn)))


def describe_source(config: Config) -> Source:
    """Tell which source ``load_dataset`` would take, without loading it.

    Raises:
        UserError: the named source or cut is not there.
    """
    return _cut(config, choose(config)).source


def signature(config: Config) -> str:
    """Return a text that changes when the source does: kind, place, files, drawing code, cut.

    Raises:
        UserError: the named source or cut is not there.
    """
    return _cut(config, choose(config)).signature


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
    others = f"the images{hint}; or {', '.join(NAMES)}"
    return find_folder(_folder("data.source", name, config, others))


def _automatic(config: Config) -> Origin:
    named = os.environ.get("EUROSAT_DATA")
    if named:
        return find_folder(_folder("EUROSAT_DATA", named, config, "the images"))
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


def _cut(config: Config, origin: Origin) -> Origin:
    """Lay the configured cut over a source.

    Raises:
        UserError: the images are drawn, or the lists cannot be had.
    """
    name = config.data.split
    if name == "standard":
        return origin
    if origin.source.synthetic:
        because = isinstance(origin, Synthetic) and origin.because
        raise UserError(
            f"data.split = {name}: the built-in synthetic images are drawn and have no geography; "
            "take data.split=standard, or real images (EUROSAT_DATA)"
            + (f"; the Hub cannot be used: {because}" if because else "")
        )
    if name == "spatial":
        return recut.spatial(origin)
    hint = did_you_mean(name, CUTS)
    others = f"the lists train.txt, val.txt, test.txt{hint}; or {', '.join(CUTS)}"
    return recut.by_folder(origin, _folder("data.split", name, config, others))


def _folder(variable: str, name: str, config: Config, others: str) -> Path:
    """Find a named folder: relative to the project, so that notebooks find it too, or to here."""
    path = Path(name).expanduser()
    for candidate in (Path(config.paths.root) / path, Path.cwd() / path):
        if candidate.is_dir():
            return candidate
    raise UserError(f"{variable} = {name}: no such folder; give a folder with {others}")


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
