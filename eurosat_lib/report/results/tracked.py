"""What git takes of a run, and how much it weighs."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterable
from pathlib import Path

from eurosat_lib.config.paths import CARD
from eurosat_lib.report.results.reading import Results

# Below the run's artifacts and reports; .gitignore lets these pass and nothing else.
ARTIFACTS = ("*.csv", "*.json", "*.yaml", "NOTES.md", CARD, "best.ckpt", "results/*.json")
REPORTS = ("rapport.html", "rapport.pdf", "params.yaml")
PAGES = ("docs/RESULTS.md", "README.md")


def files(r: Results) -> list[Path]:
    """List the files of a run that belong into git, and the pages that quote it."""
    root = Path(r.run.paths.root)
    folders = ((r.folder, ARTIFACTS), (r.run.paths.reports, REPORTS), (root, PAGES))
    return [
        path
        for folder, patterns in folders
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
        if path.is_file() and not path.name.startswith(".")
    ]


def packed(paths: Iterable[Path]) -> int:
    """Return what files weigh in git's database, in bytes: each compressed by itself."""
    return sum(len(zlib.compress(path.read_bytes())) for path in paths)


def ignored(root: Path, paths: Iterable[Path]) -> list[str]:
    """Name those that ``.gitignore`` keeps out; none without git."""
    names = [path.relative_to(root).as_posix() for path in paths]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "check-ignore", "--stdin"],
            input="\n".join(names),
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()


def listing(r: Results) -> list[str]:
    """Return lines for the console: the files, their weight, the command."""
    root, paths = Path(r.run.paths.root), files(r)
    plain = sum(path.stat().st_size for path in paths)
    lines = [f"{path.stat().st_size:>10,}  {path.relative_to(root).as_posix()}" for path in paths]
    lines.append(f"{plain:>10,}  bytes in all, {packed(paths):,} once compressed by git")
    kept_out = ignored(root, paths)
    if kept_out:
        return [*lines, f".gitignore keeps out {len(kept_out)} of them: let {r.place}/ pass there"]
    places = " ".join((r.place, r.run.paths.reports.relative_to(root).as_posix(), *PAGES))
    return [*lines, f"git add {places}"]
