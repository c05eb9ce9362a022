"""The head of a page made of one notebook: what the notebook itself says of its run."""

from __future__ import annotations

import datetime
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from eurosat_lib.captures import find_captures
from eurosat_lib.config import Config, configure
from eurosat_lib.errors import UserError
from eurosat_lib.french import duree
from eurosat_lib.report.meta import ReportMeta

TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def describe(notebook: NotebookNode, path: Path) -> ReportMeta:
    """Return title, author and run card of one notebook.

    The title is its first heading; author and course are those of the project it lies in, if
    any; profile, parameters and times are what papermill and our runner left in its metadata.

    Args:
        notebook: with or without outputs.
        path: where it lies.
    """
    run = notebook.metadata.get("papermill", {})
    given = {k: v for k, v in (run.get("parameters") or {}).items() if v not in (None, "")}
    kept = notebook.metadata.get("eurosat", {})
    profile = kept.get("profile") or given.get("profile", "full")
    config = _config(path.parent, profile, given.get("name", ""))
    identity = config.identity.model_dump() if config else {}
    return ReportMeta.of(
        {
            "title": _title(notebook) or path.stem,
            "author": identity.get("author", ""),
            "course": identity.get("course", ""),
            "repository": identity.get("repository") or "",
            "date": _day(run.get("start_time") or kept.get("finished")),
            "profile": profile,
            "synthetic": bool(kept.get("synthetic")) or given.get("data") == "synthetic",
            "card": _card(path, run, given),
            "captures": find_captures(config) if config else {},
        }
    )


def _card(path: Path, run: dict[str, Any], given: dict[str, Any]) -> dict[str, str]:
    card = {"Carnet": path.name}
    if given:
        card["Paramètres"] = ", ".join(f"{name} = {value}" for name, value in given.items())
    if run.get("duration"):
        card["Durée d’exécution"] = duree(run["duration"])
    return card


def _title(notebook: NotebookNode) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := TITLE.search(cell.source)):
            return found[1].replace("*", "").replace("`", "").strip()
    return ""


def _day(moment: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(moment[:10]) if moment else None


def _config(folder: Path, profile: str, name: str) -> Config | None:
    """Return the configuration of the project that a notebook lies in; ``None`` outside of one."""
    for root in (folder.resolve(), *folder.resolve().parents):
        path = root / "configs" / "config.yaml"
        if path.is_file():
            with suppress(UserError):
                return configure(str(path), profile, name=name)
    return None
