"""Bring notebooks and report up to date."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eurosat_lib.report.runner.binding import bind
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.execution import execute, publish
from eurosat_lib.report.runner.plan import Plan, Request, prepare, store_parameters
from eurosat_lib.report.runs.index import refresh_index

CONFIG = "configs/config.yaml"


def build(request: Request, console: Console) -> list[Path]:
    """Bring the executed notebooks and the report up to date; return the files asked for.

    Raises:
        UserError: the request is wrong (before any kernel starts), or a cell raised one.
        NotebookFailed: a cell failed; the last good results are kept.
    """
    config, plans = prepare(request)
    store_parameters(plans, config)
    _run_all(plans, console, force=request.only is not None)
    files = [plan.target for plan in plans]
    if not request.only:
        refresh_index(config, request.config_path or CONFIG)  # the report links to it
        files = bind(files, config, request.pdf, console)
    refresh_index(config, request.config_path or CONFIG)
    return files


def _run_all(plans: Sequence[Plan], console: Console, force: bool) -> None:
    for number, plan in enumerate(plans, 1):
        title = f"[{number}/{len(plans)}] {plan.notebook.name}"
        if not force and plan.current():
            console.line(f"{title} · up to date")
            continue
        _run(plan, title, console)


def _run(plan: Plan, title: str, console: Console) -> None:
    folder, name = plan.target.parent, plan.notebook.name
    folder.mkdir(parents=True, exist_ok=True)
    output, failed = folder / f".{name}.{os.getpid()}.ipynb", folder / f"{name}.failed.ipynb"
    try:
        seconds = _execute(plan, output, title, console)
        publish(output, plan.target, Path(plan.config.paths.root), _record(plan, seconds))
        failed.unlink(missing_ok=True)
    except Exception as error:
        if output.is_file():
            os.replace(output, failed)
            error.add_note(f"kept for inspection: {os.path.relpath(failed)}")
        raise
    finally:
        output.unlink(missing_ok=True)


def _execute(plan: Plan, output: Path, title: str, console: Console) -> float:
    """Run the notebook, show its progress; return the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="eurosat-") as temporary:
        events = Path(temporary, "progress.jsonl")
        console.begin(title, events)
        root = Path(plan.config.paths.root)
        try:
            execute(plan.notebook, plan.values, output, root, events, console.tick)
        except BaseException:
            console.abandon()
            raise
        return console.finish()


def _record(plan: Plan, seconds: float) -> dict[str, Any]:
    """Say what an executed notebook was made from, for `Plan.current` and the title page."""
    from eurosat_lib.data import describe_source

    now = datetime.datetime.now().astimezone()
    return {
        "key": plan.key,
        "facts": plan.facts(),
        "seconds": round(seconds, 1),
        "finished": now.isoformat(timespec="seconds"),
        "profile": plan.config.profile,
        "synthetic": describe_source(plan.config).synthetic,
    }
