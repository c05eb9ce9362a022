"""Keep stage results under ``artifacts/``, keyed by what they depend on.

A result lives in ``artifacts/.stages/<stage>-<key>/``, shared by all named runs, and is published
to the run's own ``artifacts/`` folder each time it is used. The key hashes the part of the
configuration that the stage reads, the data fingerprint, further inputs, and the source of every
module that computes (without comments and docstrings).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from eurosat_lib.config import Config
from eurosat_lib.record import Record
from eurosat_lib.revision import read_revision
from eurosat_lib.runtime import Runtime, describe_device, describe_environment
from eurosat_lib.stages.files import locked, read_json, write_json
from eurosat_lib.stages.machine import processor
from eurosat_lib.stages.sources import source_digest

R = TypeVar("R", bound=Record)
# Results met in a dry run, by stage; None outside of one.
_met: ContextVar[dict[str, Record] | None] = ContextVar("met", default=None)


class NotKept(Exception):
    """A stage would have to be computed, inside :func:`only_kept`."""


def may_compute() -> bool:
    """Tell whether stages may compute and publish, that is, outside :func:`only_kept`."""
    return _met.get() is None


@contextmanager
def only_kept() -> Iterator[None]:
    """Load stages without publishing them; raise :class:`NotKept` instead of computing one.

    A stage within finds those before it as if published. One configuration at a time.
    """
    token = _met.set({})
    try:
        yield
    finally:
        _met.reset(token)


def remember(result: Record) -> None:
    """Keep a result for the stages after it, inside :func:`only_kept`."""
    met = _met.get()
    if met is not None:
        met[result.stage] = result


def remembered(kind: type[R]) -> R | None:
    """Return the result of a stage that this dry run has met."""
    found = (_met.get() or {}).get(kind.stage)
    return found if isinstance(found, kind) else None


def stage_key(
    config: Config,
    stage: str,
    module: str,
    reads: Iterable[str],
    fingerprint: str,
    inputs: Mapping[str, Any],
) -> str:
    """Hash what a stage depends on.

    Args:
        config: the whole configuration.
        stage: name of the stage.
        module: dotted name of the module that computes; its imports within the package count.
        reads: dotted keys of the configuration that the stage reads.
        fingerprint: of the data.
        inputs: other values, for instance hyperparameters chosen by an earlier stage.

    Returns:
        64 hexadecimal digits.
    """
    tree = config.model_dump(mode="json")
    content = {
        "stage": stage,
        "config": {key: _at(tree, key) for key in sorted(reads)},
        "data": fingerprint,
        "inputs": dict(inputs),
        "sources": source_digest(module),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def stage_folder(config: Config, stage: str, key: str) -> Path:
    """Return the folder of one result; it holds partial work while the stage runs."""
    return config.paths.stages / f"{stage}-{key[:16]}"


def cached(
    config: Config, kind: type[R], stage: str, key: str, compute: Callable[[Path], R]
) -> tuple[R, dict[str, Any]]:
    """Load a result, or compute and keep it.

    Args:
        config: for the folders and the device.
        kind: type of the result.
        stage: name of the stage.
        key: from :func:`stage_key`.
        compute: gets the stage's folder, where it may leave partial work and files.

    Returns:
        The result and its provenance: device, processor, versions, start (UTC), seconds …
    """
    folder = stage_folder(config, stage, key)
    kept = _load(folder / "result.json", kind)
    if kept:
        return kept
    if not may_compute():
        raise NotKept(stage)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        kept = _load(folder / "result.json", kind)  # another process may have been at it
        return kept or _compute(config, kind, folder, compute)


def kept_part(path: Path, kind: type[R], make: Callable[[], R]) -> R:
    """Load a part of a long stage from its folder, or make and keep it: a killed stage goes on."""
    tree = read_json(path)
    try:
        if tree:
            return kind.model_validate(tree)
    except ValidationError:
        pass  # damaged: made again
    part = make()
    write_json(path, part.model_dump(mode="json"))
    return part


def _compute(
    config: Config, kind: type[R], folder: Path, compute: Callable[[Path], R]
) -> tuple[R, dict[str, Any]]:
    before = _begin(folder)
    started, clock = datetime.now(UTC), time.perf_counter()
    result = compute(folder)
    runtime = Runtime.of(config)
    provenance = {
        "folder": folder.name,
        "device": describe_device(runtime),
        "precision": runtime.precision,
        "processor": processor(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(before + time.perf_counter() - clock, 2),
        "commit": read_revision(Path(config.paths.root)),
        **describe_environment(),
    }
    tree = {"provenance": provenance, "result": result.model_dump(mode="json")}
    write_json(folder / "result.json", tree)
    return _load(folder / "result.json", kind) or (result, provenance)


def _begin(folder: Path) -> float:
    """Note that work begins; return the seconds of processes that were killed at the same work.

    A killed process worked from its beginning to the last file it left in the folder.
    """
    note = folder / ".begun.json"
    known = read_json(note) or {"seconds": 0.0, "at": time.time()}
    left = [path.stat().st_mtime for path in folder.iterdir() if not path.name.startswith(".")]
    seconds = known["seconds"] + max(0.0, max(left, default=0.0) - known["at"])
    write_json(note, {"seconds": seconds, "at": time.time()})
    return seconds


def _at(tree: Mapping[str, Any], dotted: str) -> Any:
    node: Any = tree
    for part in dotted.split("."):
        node = node[part]
    return node


def _load(path: Path, kind: type[R]) -> tuple[R, dict[str, Any]] | None:
    return parse(read_json(path), kind)


def parse(tree: Any, kind: type[R]) -> tuple[R, dict[str, Any]] | None:
    """Read result and provenance; ``None`` if there are none, or of another version."""
    try:
        return (kind.model_validate(tree["result"]), tree["provenance"]) if tree else None
    except (ValidationError, KeyError):
        return None
