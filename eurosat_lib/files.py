"""Files that are whole or absent, locks between processes, the commit of the code."""

import csv
import errno
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from eurosat_lib.errors import UserError
from eurosat_lib.progress import announce

HOST = platform.node()  # in the names of partial files, beside the process
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # of the repository of a hook, say
PICTURES = ("JPEG", "PNG", "TIFF", "WEBP")  # all that Pillow may open: others run programs


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path to write to; the file then takes its place at once, or not at all.

    What a killed process of this machine has left of the same file goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{path.name}.{HOST}."
    for old in path.parent.glob(f"{escape(stem)}*") if Path("/proc/self").exists() else ():
        process = old.name.removeprefix(stem)  # no number: of a host whose name is longer
        if process.isdigit() and not Path("/proc", process).exists():
            old.unlink(missing_ok=True)
    partial = path.with_name(f"{stem}{os.getpid()}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:  # a full disk does not say where
        said = error.strerror or str(error)
        raise OSError(error.errno or errno.EIO, said, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes; a file that already holds them is left alone."""
    if not (path.is_file() and path.read_bytes() == content):
        with replacing(path) as partial:
            partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write text; a file that already says so is left alone."""
    write_bytes(path, text.encode())


def write_json(path: Path, tree: Any) -> None:
    """Write JSON, readable and in the given order."""
    write_text(path, json.dumps(tree, ensure_ascii=False, indent=1) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal keys; without rows the file goes."""
    if not rows:
        return path.unlink(missing_ok=True)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read rows of text; none if there is no file."""
    text = path.read_text("utf-8-sig", "replace") if path.is_file() else ""
    return list(csv.DictReader(io.StringIO(text)))


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; ``None`` if the file is missing, damaged, or says something else."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a lock file; a killed process lets go of it.

    While another process holds it, wait and say so; without ``wait`` yield ``False`` at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if wait:
            announce(f"un autre calcul s’occupe de {path.parent.name} : attente de son résultat")
            lock.acquire()
    except (NotImplementedError, OSError) as error:
        said = getattr(error, "strerror", None) or "this file system has no locks; use another"
        number = getattr(error, "errno", None) or errno.ENOLCK
        raise OSError(number, said, str(path.parent)) from error
    try:
        yield lock.is_locked
    finally:
        lock.release()


def is_frozen() -> bool:
    """Tell whether published results are taken as they are (``FROZEN=1`` in the environment)."""
    return os.environ.get("FROZEN", "").lower() not in ("", "0", "no", "non", "false", "off")


def check_open(artifacts: Path) -> None:
    """Refuse to compute a run with a model card again: git holds what it published."""
    card = artifacts / "MODEL_CARD.md"
    if card.is_file() and not is_frozen():
        raise UserError(
            f"{artifacts.name}: a finished run; FROZEN=1 takes it as it is, another NAME computes "
            f"beside it (without {os.path.relpath(card)} it would be computed anew)"
        )


@cache
def revision(root: Path) -> str:
    """Return the short commit of a project, ``1c135ce0ab-dirty``; empty where it has none."""
    if not (root / ".git").exists():
        return ""
    return git(root, "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*").strip()


def git(root: str | Path, *arguments: str) -> str:
    """Return what git answers in a project; nothing where there is none."""
    command = ["git", "-C", str(root), *arguments]
    own = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        return subprocess.run(command, env=own, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
