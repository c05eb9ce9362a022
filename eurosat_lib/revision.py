"""Which version of the code is here: its commit, and whether files differ from it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

CHANGED = "-dirty"  # after the commit when files differ from it, as `git describe --dirty` says it


def read_revision(root: Path, sources: Iterable[str] = ("eurosat_lib",)) -> str:
    """Return the short commit of a project, ``1c135ce0ab`` or ``1c135ce0ab-dirty``.

    Args:
        root: the project's folder.
        sources: paths below it whose local changes count.

    Returns:
        An empty string where ``root`` is not the top of a git repository with a commit.
    """
    top = git(root, "rev-parse", "--show-toplevel")
    commit = git(root, "rev-parse", "--short=10", "HEAD")
    if not top or not commit or Path(top).resolve() != root.resolve():
        return ""
    changed = git(root, "status", "--porcelain", "--untracked-files=no", "--", *sources)
    return commit + (CHANGED if changed else "")


def git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, ``None`` if there is no git or it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
