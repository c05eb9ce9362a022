"""Files that are whole or absent, and locks between processes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from eurosat_lib.progress import announce


def write_json(path: Path, tree: Any) -> None:
    """Write JSON; the file is whole or absent, never half-written."""
    text = json.dumps(tree, ensure_ascii=False, indent=1)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text atomically; a file that already says so is left alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal keys, atomically."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def copy_file(source: Path, target: Path) -> None:
    """Copy a file atomically, unless the target is the same in size and date."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        old, new = target.stat(), source.stat()
        if (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
            return
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy2(source, partial)
    os.replace(partial, target)


def read_json(path: Path) -> Any:
    """Read JSON; ``None`` if the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; another process waits, and says so. A killed process lets go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        announce(f"another process is at work on {path.parent.name}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
