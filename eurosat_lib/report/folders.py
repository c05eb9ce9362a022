"""Where the report's own sources are: answers and template, in the project or the working copy."""

from __future__ import annotations

from pathlib import Path

from eurosat_lib.errors import UserError

PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def find_folder(relative: str, start: Path | None = None) -> Path:
    """Find a folder of the project by its relative path (``reports/answers``).

    Looks in ``start`` (the current folder if not given), in its parents, and last beside the
    package, so that a notebook finds it from wherever it is executed.

    Raises:
        UserError: there is none.
    """
    start = (start or Path.cwd()).resolve()
    for root in (start, *start.parents, PACKAGE_ROOT):
        if (root / relative).is_dir():
            return root / relative
    raise UserError(f"{relative}: no such folder, from {start} upwards")
