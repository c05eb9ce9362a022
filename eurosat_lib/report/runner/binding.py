"""Bind the executed notebooks into the report, unless the one that is there is up to date."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.incremental import read_record, report_key
from eurosat_lib.report.runner.runcard import report_meta

STATE = ".build.json"  # beside the report: what its files were made from


def bind(executed: Sequence[Path], config: Config, pdf: bool, console: Console) -> list[Path]:
    """Write ``rapport.html`` and ``rapport.pdf`` if they are missing or out of date.

    Args:
        executed: the executed notebooks, in order.
        config: the run's configuration.
        pdf: whether the PDF is wanted as well.
        console: says that it is done, and how long it took.

    Returns:
        The report's files.
    """
    html, paper = config.paths.reports / "rapport.html", config.paths.reports / "rapport.pdf"
    files = [html, paper] if pdf else [html]
    meta, key, state = _made_from(executed, config)
    if _current(files, key, state):
        console.line("report · up to date")
        return files
    console.begin("report: HTML and PDF" if pdf else "report: HTML")
    try:
        _assemble(executed, meta, html, paper if pdf else None)
    except BaseException:
        console.abandon()
        raise
    console.finish()
    state |= {path.name: key for path in files}
    _write(config.paths.reports / STATE, state)
    return files


def up_to_date(executed: Sequence[Path], config: Config, pdf: bool) -> bool:
    """Tell whether ``bind`` would have nothing to do."""
    names = ("rapport.html", "rapport.pdf") if pdf else ("rapport.html",)
    _, key, state = _made_from(executed, config)
    return _current([config.paths.reports / name for name in names], key, state)


def _made_from(
    executed: Sequence[Path], config: Config
) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Return the title page, the key of the report, and what the last one was made from."""
    meta = report_meta(config, [read_record(path) for path in executed])
    key = report_key(executed, meta, Path(config.paths.root))
    return meta, key, _read(config.paths.reports / STATE)


def _current(files: Sequence[Path], key: str, state: dict[str, Any]) -> bool:
    return all(path.is_file() and state.get(path.name) == key for path in files)


def _assemble(
    executed: Sequence[Path], meta: dict[str, Any], html: Path, pdf: Path | None
) -> None:
    from eurosat_lib.report.assemble import assemble

    assemble(list(executed), meta, html, pdf)


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write(path: Path, state: dict[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(state), encoding="utf-8")
    os.replace(temporary, path)
