"""Files that are whole or absent, locks between processes, the commit of the code."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from eurosat_lib.progress import announce


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path to write to; the file then takes its place at once, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text; a file that already says so is left alone."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, tree: Any) -> None:
    """Write JSON, readable and in the given order."""
    write_text(path, json.dumps(tree, ensure_ascii=False, indent=1) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal keys; without rows the file goes."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read rows of text; none if there is no file."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_json(path: Path) -> Any:
    """Read JSON; ``None`` if the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, unless the target is the same in size and date."""
    if target.is_file():
        old, new = target.stat(), source.stat()
        if (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
            return
    with replacing(target) as partial:
        shutil.copy2(source, partial)


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


def is_frozen() -> bool:
    """Tell whether published results are taken as they are (``FROZEN=1`` in the environment)."""
    return os.environ.get("FROZEN", "") not in ("", "0")


@cache
def revision(root: Path) -> str:
    """Return the short commit of a project, ``1c135ce0ab`` or ``1c135ce0ab-dirty``.

    An empty string where ``root`` is not the top of a git repository with a commit.
    """
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        done = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
