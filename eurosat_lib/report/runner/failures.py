"""Say in a few lines why a notebook failed: which one, which cell, what happened, where."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from eurosat_lib.errors import UserError
from eurosat_lib.report.runner.parameters import Notebook

HEAD = 6  # lines of the failed cell that are shown
ANSI = re.compile(r"\x1b\[[0-9;]*m")
FRAME = re.compile(r"^(?:File )?(\S+\.py):(\d+),? in (\w+)", re.MULTILINE)


class NotebookFailed(Exception):
    """A notebook could not be executed; the text is ready for the console."""


def explain(error: BaseException, notebook: Notebook, output: Path) -> Exception:
    """Turn what papermill raised into a ``UserError`` or ``NotebookFailed``.

    Args:
        error: raised by ``papermill.execute_notebook``.
        notebook: the source.
        output: what papermill has written so far; may be absent.
    """
    if not hasattr(error, "ename"):
        if type(error).__name__ == "DeadKernelError":
            return NotebookFailed(
                f"{notebook.name}: the kernel died{_last_cell(notebook, output)}"
                "; most often, memory ran out"
            )
        return NotebookFailed(f"{notebook.name}: {type(error).__name__}: {error}")
    if error.ename == "UserError":
        return UserError(f"{notebook.name}: {error.evalue}")
    lines = [f"{notebook.name} failed in {_where(notebook, _failed_id(output))}"]
    source = error.source.strip().splitlines()
    lines += [f"    {line}" for line in source[:HEAD]] + ["    …"] * (len(source) > HEAD)
    lines += [f"  {error.ename}: {error.evalue}"]
    frames = FRAME.findall(ANSI.sub("", "\n".join(error.traceback)))
    if frames:
        path, line, function = frames[-1]
        lines += [f"  raised in {path}:{line}, {function}"]
    return NotebookFailed("\n".join(lines))


def _where(notebook: Notebook, cell_id: str | None) -> str:
    ids = [cell.id for cell in notebook.cells]
    if cell_id in ids:
        return f"cell {ids.index(cell_id) + 1} of {len(ids)}"
    return "a cell"


def _failed_id(output: Path) -> str | None:
    """Id of the first cell that ended in an error."""
    for cell in _cells(output):
        if any(o.get("output_type") == "error" for o in cell.get("outputs", ())):
            return cell.get("id")
    return None


def _last_cell(notebook: Notebook, output: Path) -> str:
    """Name the last cell that was started, if that is known."""
    started = [cell for cell in _cells(output) if _start_time(cell)]
    return f" in {_where(notebook, started[-1].get('id'))}" if started else ""


def _start_time(cell: dict[str, Any]) -> str | None:
    return cell.get("metadata", {}).get("papermill", {}).get("start_time")


def _cells(output: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(output.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []
