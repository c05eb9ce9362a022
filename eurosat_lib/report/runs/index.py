"""``reports/index.html``: all runs, what differs in their parameters, their numbers and files."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.report.meta import french_date
from eurosat_lib.report.runs.page import link, write_page
from eurosat_lib.report.runs.reading import UNNAMED, Run, find_runs
from eurosat_lib.report.runs.settings import chosen, label, settings

FILES = {  # label on the page -> place, below the run's folder of this kind
    "rapport": ("reports", "rapport.html"),
    "PDF": ("reports", "rapport.pdf"),
    "carnets": ("reports", "notebooks"),
    "métriques": ("artifacts", "metrics.json"),
    "paramètres": ("artifacts", "params.yaml"),
    "configuration": ("artifacts", "config.yaml"),
    "résultats": ("artifacts", "results"),
}


def index_path(root: Path) -> Path:
    """Return the place of the page."""
    return root / "reports" / "index.html"


def refresh_index(config: Config, config_path: str) -> Path:
    """Write the page anew if a run has changed since; return its path."""
    root = Path(config.paths.root)
    path = index_path(root)
    if not path.is_file() or any(_date(file) > _date(path) for file in _sources(root)):
        write_index(config, config_path)
    return path


def write_index(config: Config, config_path: str) -> Path:
    """Write the page; return its path.

    Args:
        config: any configuration of the project: title and course.
        config_path: file whose profiles tell what a profile alone explains.
    """
    root = Path(config.paths.root)
    path, runs = index_path(root), find_runs(root)
    values = [settings(run) for run in runs]
    keys = chosen([value for value in values if value], config_path)
    rows = [_row(run, path, value, keys) for run, value in zip(runs, values, strict=True)]
    shared = _shared([value for value in values if value], keys)
    return write_page(
        path,
        "index.html.j2",
        root,
        title=config.identity.title,
        course=config.identity.course,
        rows=rows,
        shared=shared,
        comparisons=_comparisons(path),
    )


def _row(run: Run, page: Path, values: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {
        "name": run.label,
        "named": bool(run.name),
        "stored": bool(values),
        "values": [(label(key), values[key]) for key in keys if key in values],
        "train": run.train,
        "test": run.test,
        "spatial": run.spatial,
        "tested_other": run.tested_other,
        "seconds": run.seconds,
        "date": _french(run.started),
        "commit": _commit(run),
        "links": _links(run, page),
    }


def _shared(values: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[tuple[str, Any]]:
    """Return what all runs have in common, of what a reader asks first."""
    asked = ("profile", "data.source", "seed")
    return [(label(key), values[0][key]) for key in asked if values and key not in keys]


def _links(run: Run, page: Path) -> list[tuple[str, str]]:
    folders = {"reports": run.paths.reports, "artifacts": run.paths.artifacts}
    places = [(text, folders[kind] / name) for text, (kind, name) in FILES.items()]
    return [(text, link(place, page)) for text, place in places if place.exists()]


def _comparisons(page: Path) -> list[tuple[str, str]]:
    """Return both names and the address of each page that compares two runs."""
    files = sorted((page.parent / "comparaisons").glob("*+*.html"))
    names = [[UNNAMED if n == "_" else n for n in file.stem.split("+")] for file in files]
    return [(" et ".join(pair), link(file, page)) for pair, file in zip(names, files, strict=True)]


def _commit(run: Run) -> str:
    """Return the commit that trained the network, else the last one that computed anything."""
    known = [tree["provenance"] for tree in run.results.values()]
    trained = run.results.get("train", {}).get("provenance")
    last = trained or max(known, key=lambda origin: origin["started"], default={})
    return last.get("commit", "")


def _french(moment: str) -> str:
    return french_date(datetime.date.fromisoformat(moment[:10])) if moment else ""


def _sources(root: Path) -> list[Path]:
    patterns = ("artifacts/facts.json", "artifacts/*/facts.json")
    patterns += ("reports/rapport.html", "reports/*/rapport.html", "reports/comparaisons/*.html")
    return [path for pattern in patterns for path in root.glob(pattern)]


def _date(path: Path) -> int:
    return path.stat().st_mtime_ns
