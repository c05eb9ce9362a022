"""Run a list of parameter sets: one named report each; one that fails does not stop the rest."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from eurosat_lib.errors import UserError
from eurosat_lib.report.runner.binding import up_to_date
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.failures import NotebookFailed
from eurosat_lib.report.runner.plan import Request, prepare
from eurosat_lib.report.runner.run import build

DONE, SKIPPED, FAILED = "done", "done before, skipped", "failed"


def read_sweep(path: Path, common: Request) -> dict[str, Request]:
    """Read a sweep and check all of it; nothing is run.

    Args:
        path: YAML file, a list of parameter sets; ``name`` in a set names its run, otherwise
            the parameters do (``lr0.0003_max_epochs5``).
        common: profile, data and parameters of all runs; those of a set win.

    Returns:
        Name of a run -> what is to be built, in the order of the file.

    Raises:
        UserError: unreadable, two sets of one name, or a set that no report can be made from.
    """
    requests: dict[str, Request] = {}
    for number, values in enumerate(_sets(path), 1):
        where = f"{path}: set {number}"
        name = str(values.pop("name", "")) or _name(values)
        if not name:
            raise UserError(f"{where} is empty: give it a name to run the protocol as it is")
        if name in requests:
            raise UserError(f"{where}: the name {name} is taken by an earlier set")
        requests[name] = replace(common, name=name, values=values)
        try:
            prepare(requests[name])
        except UserError as error:
            raise UserError(f"{where} ({name}): {error}") from None
    return requests


def sweep(
    requests: Mapping[str, Request],
    console: Console,
    build: Callable[[Request, Console], Sequence[Path]] = build,
) -> dict[str, str]:
    """Build each report that is not up to date.

    Args:
        requests: from :func:`read_sweep`.
        console: hears of each run, and of all of them at the end.
        build: makes one report.

    Returns:
        Name of a run -> ``done``, ``done before, skipped`` or ``failed: reason``.
    """
    verdicts: dict[str, str] = {}
    for number, (name, request) in enumerate(requests.items(), 1):
        console.line(f"run {number}/{len(requests)}: {name}")
        verdicts[name] = _one(request, console, build)
        console.line(f"run {number}/{len(requests)}: {name} · {verdicts[name]}")
    width = max(map(len, verdicts))
    console.line("\n".join(f"{name:<{width}}  {verdict}" for name, verdict in verdicts.items()))
    return verdicts


def _one(
    request: Request, console: Console, build: Callable[[Request, Console], Sequence[Path]]
) -> str:
    try:
        if _is_done(request):
            return SKIPPED
        build(request, console)
    except (UserError, NotebookFailed) as error:
        return f"{FAILED}: {error}"
    except Exception as error:  # a bug in one run; the others are worth having
        traceback.print_exc()
        return f"{FAILED}: {type(error).__name__}: {error}"
    return DONE


def _is_done(request: Request) -> bool:
    """Tell whether all notebooks and the report of a run are up to date."""
    config, plans = prepare(request)
    targets = [plan.target for plan in plans]
    return all(plan.current() for plan in plans) and up_to_date(targets, config, request.pdf)


def _sets(path: Path) -> list[dict[str, Any]]:
    try:
        tree = yaml.safe_load(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"SWEEP: {path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, list) or not tree:
        raise UserError(f"{path}: expected a list of parameter sets, - lr: 3.0e-4")
    for number, item in enumerate(tree, 1):
        if not isinstance(item, dict) or not all(isinstance(key, str) for key in item):
            raise UserError(f"{path}: set {number}: expected name: value, got {item!r}")
    return tree


def _name(values: Mapping[str, Any]) -> str:
    """Make a run's name of its parameters."""
    words = [f"{key}{_short(value)}" for key, value in values.items()]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(words)).strip("-")


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_short, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
