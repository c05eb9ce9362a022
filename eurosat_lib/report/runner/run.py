"""Bring notebooks and report up to date."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.progress import duration
from eurosat_lib.report.runner.binding import bind
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.execution import execute, publish
from eurosat_lib.report.runner.plan import Plan, Request, prepare, store_parameters
from eurosat_lib.report.runs.index import refresh_index

CONFIG = "configs/config.yaml"
OVERHEAD = 10.0  # seconds per notebook beside its stages: kernel, imports, figures


def build(request: Request, console: Console) -> list[Path]:
    """Bring the executed notebooks and the report up to date; return the files asked for.

    Raises:
        UserError: the request is wrong (before any kernel starts), or a cell raised one.
        NotebookFailed: a cell failed; the last good results are kept.
    """
    config, plans = prepare(request)
    _protect(plans, config, console)
    store_parameters(plans, config)
    _run_all(plans, config, console, force=request.only is not None)
    files = [plan.target for plan in plans]
    if not request.only:
        refresh_index(config, request.config_path or CONFIG)  # the report links to it
        files = bind(files, config, request.pdf, console)
    refresh_index(config, request.config_path or CONFIG)
    return files


def _protect(plans: Sequence[Plan], config: Config, console: Console) -> None:
    """Refuse to replace what git holds of a run; nothing to ask if all is up to date."""
    if config.paths.sealed and not all(plan.current() for plan in plans):
        from eurosat_lib.stages import ON_DEMAND, STAGES
        from eurosat_lib.stages.guard import protect

        older = protect(config, STAGES, [s for s in STAGES if s not in ON_DEMAND])
        console.line(f"{config.paths.name}: its results are in git and are taken as they are")
        if older:
            console.line(f"computed by older code (make reproduce compares): {', '.join(older)}")


def _run_all(plans: Sequence[Plan], config: Config, console: Console, force: bool) -> None:
    pending = [plan for plan in plans if force or not plan.current()]
    seconds = _estimates(config, pending) if pending else {}
    if len(seconds) > 1:
        console.line(f"{len(pending)} notebooks to run, about {duration(sum(seconds.values()))}")
    for number, plan in enumerate(plans, 1):
        title = f"[{number}/{len(plans)}] {plan.notebook.name}"
        if not force and plan.current():
            console.line(f"{title} · up to date")
            continue
        _run(plan, title, seconds.get(plan.notebook.name), console)


def _estimates(config: Config, pending: Sequence[Plan]) -> dict[str, float]:
    """Seconds per notebook, for those that can be estimated."""
    from eurosat_lib.estimate import notebook_seconds

    computing, names = notebook_seconds(config), [plan.notebook.name for plan in pending]
    return {name: computing[name] + OVERHEAD for name in names if name in computing}


def _run(plan: Plan, title: str, about: float | None, console: Console) -> None:
    folder, name = plan.target.parent, plan.notebook.name
    folder.mkdir(parents=True, exist_ok=True)
    output, failed = folder / f".{name}.{os.getpid()}.ipynb", folder / f"{name}.failed.ipynb"
    try:
        seconds = _execute(plan, output, title, about, console)
        publish(output, plan.target, Path(plan.config.paths.root), _record(plan, seconds))
        failed.unlink(missing_ok=True)
    except Exception as error:
        if output.is_file():
            os.replace(output, failed)
            error.add_note(f"kept for inspection: {os.path.relpath(failed)}")
        raise
    finally:
        output.unlink(missing_ok=True)


def _execute(plan: Plan, output: Path, title: str, about: float | None, console: Console) -> float:
    """Run the notebook, show its progress; return the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="eurosat-") as temporary:
        events = Path(temporary, "progress.jsonl")
        console.begin(title, about, events)
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
