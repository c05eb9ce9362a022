"""One build: the request checked, notebooks that are out of date executed, the report bound.

Nothing heavy is imported before it is needed, so that a build with nothing to do ends at once.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from eurosat_lib.config import Config, load_config, stored_parameters
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import (
    check_open,
    is_frozen,
    locked,
    read_json,
    revision,
    write_json,
    write_text,
)
from eurosat_lib.progress import BUILT
from eurosat_lib.report.request import (
    COMMON,
    CONFIG,
    FIXED,
    Notebook,
    Request,
    check_saved,
    configured,
    given_values,
    read_notebooks,
    value_of,
)
from eurosat_lib.schema import Compute

ENGINE = {*Compute.model_fields} - {"device", "precision", "threads"}  # no result depends on it
LIBRARY = Path(__file__).resolve().parents[1]
SHOWN = {"__init__", "cells"}  # modules of the report that notebooks run; others bind
# ipykernel warns about its local connection; what a kernel writes past its cells is the bars'.
KERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
KERNEL += ["--IPKernelApp.capture_fd_output=False"]
HABITS = ("PYTHONSTARTUP", "PYTHONWARNINGS", "TQDM_DISABLE")


@dataclass(frozen=True)
class Step:
    """One notebook to bring up to date."""

    source: Path
    target: Path  # the executed copy
    values: Mapping[str, Any]  # to inject
    config: Config  # that the notebook will build from them
    key: str

    def current(self) -> bool:
        """Tell whether the executed copy is up to date, and with it the results it showed."""
        record = _read_record(self.target)
        return (
            record.get("key") == self.key
            and record.get("cells") == _cells_digest(self.target)
            and record["results"] == _results_state(self.config, record["results"])
        )


@dataclass(frozen=True)
class Plan:
    """A whole request, checked."""

    config: Config
    given: Mapping[str, Any]  # parameters of the run, for params.yaml
    steps: Sequence[Step]


class NotebookFailed(Exception):
    """A cell failed by a bug, or its kernel died; one line, and a note where to look."""


def since(started: float) -> str:
    """Write the time since a value of ``time.monotonic``: ``0:01:10``."""
    return str(datetime.timedelta(seconds=round(time.monotonic() - started)))


def build(request: Request) -> list[Path]:
    """Bring the executed notebooks and the report up to date; return the files asked for.

    Raises:
        UserError: the request is wrong (before any kernel starts), or a cell raised one.
        NotebookFailed: a cell failed; the last good results are kept.
    """
    reports = prepare(request).config.paths.reports
    with locked(reports / ".build.lock"):
        plan = prepare(request)  # once more: another build may have been waited for
        changed = not request.only and _changed_by_hand(plan.config)
        if changed or not all(step.current() for step in plan.steps):
            from eurosat_lib.data import load_dataset

            check_open(plan.config.paths.artifacts)
            load_dataset(plan.config)  # what is wrong with the images is said before any kernel
        _remove_partial(reports)
        text = yaml.safe_dump(dict(plan.given), sort_keys=True, allow_unicode=True)
        write_text(plan.config.paths.artifacts / "params.yaml", text)
        for number, step in enumerate(plan.steps, 1):
            title = f"[{number}/{len(plan.steps)}] {step.source.stem}"
            if not request.only and not changed and step.current():
                print(f"{title} · up to date")
            else:
                print(title)
                _run(step)
        targets = [step.target for step in plan.steps]
        if request.only:
            built = reports / ".build.json"
            if state := read_json(built):  # what the last report left is not what there is now
                write_json(built, state | {"published": _published_files(plan.config)})
            return targets
        _check_plan(plan, prepare(request))
        return bind(plan.config, targets)


def _remove_partial(reports: Path) -> None:
    """Remove what builds that were killed have left."""
    for partial in reports.glob("notebooks/.[0-9][0-9]_*.ipynb"):
        partial.unlink()
    for folder in reports.glob(".report-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _check_plan(plan: Plan, now: Plan) -> None:
    """Refuse to bind what is no longer one experiment: something was changed meanwhile."""
    for step, again in zip(plan.steps, now.steps, strict=False):
        if step.key != again.key or not again.current():
            raise UserError(
                f"{step.source.stem}: this notebook, its parameters or its results were changed "
                "while the report was made; the same command makes it of one piece"
            )


def prepare(request: Request) -> Plan:
    """Check a whole request, before any kernel starts.

    Raises:
        UserError: the request is wrong.
    """
    path, profile = request.config_path or CONFIG, request.profile or "auto"
    notebooks = read_notebooks(Path(load_config(path).paths.root))
    selected = [n for n in notebooks if request.only in (None, n.path.stem)]
    if not selected:
        names = [n.path.stem for n in notebooks]
        hint = did_you_mean(request.only or "", names)
        raise UserError(f"{request.only}: no such notebook{hint}; there are {', '.join(names)}")
    given = given_values(request, selected)
    base = load_config(given.get("config_path", path), given.get("profile", profile))
    config = configured(base, given)
    if not re.fullmatch(r"(https?://[^\s\"'<>]+)?", address := config.identity.repository):
        raise UserError(f"identity.repository: expected an address http(s)://…, got {address!r}")
    # A notebook run alone speaks for the parameters that it takes; the others stay as they were.
    taken = {name for notebook in selected for name in notebook.parameters}
    stored = {k: v for k, v in stored_parameters(config).items() if k not in taken}
    stored |= {k: v for k, v in given.items() if k not in COMMON}
    steps = []
    for notebook in selected:
        own = {name: value for name, value in given.items() if name in notebook.parameters}
        check_saved(notebook, config, own)
        values = own | {name: value_of(config, name) for name in FIXED}
        own_config = configured(base, values)
        target = config.paths.reports / "notebooks" / notebook.path.name
        key = _key(notebook, own_config, stored)
        steps.append(Step(notebook.path, target, values, own_config, key))
    return Plan(config, stored, steps)


# --- what is out of date ------------------------------------------------------------------------


def _key(notebook: Notebook, config: Config, stored: Mapping[str, Any]) -> str:
    """Hash what a notebook depends on, the results of stages aside."""
    shown = any("stored_parameters" in source for _, source in notebook.cells)
    data, library = _data_signature(config), _library_digest()
    parts = [notebook.cells, _settings(config), data, library, is_frozen()]
    return _digest([*parts, stored if shown else {}])


def _results_state(config: Config, stages: Iterable[str]) -> dict[str, str]:
    """Return the digest of each stage's published result; empty where there is none.

    The configuration that a result was asked for with is left out: a notebook later in the
    report may ask for the same result with other parameters of its own.
    """
    folder, state = config.paths.artifacts / "results", {}
    for stage in sorted(stages):
        tree = read_json(folder / f"{stage}.json")
        own = {k: v for k, v in tree.items() if k != "config"} if tree else None
        state[stage] = _digest(own) if own else ""
    return state


def _changed_by_hand(config: Config) -> bool:
    """Tell, and say, whether a published file is not as the last report left it."""
    known = (read_json(config.paths.reports / ".build.json") or {}).get("published") or {}
    now = known if is_frozen() else _published_files(config)
    names = [name for name, digest in known.items() if now.get(name) != digest]
    if names:
        print(f"not as the last report left them, written anew: {', '.join(names)}")
    return bool(names)


def _published_files(config: Config) -> dict[str, str]:
    """Return the digest of each file that the course asks for."""
    patterns = ("*.csv", "metrics*.json", "best*.ckpt")
    found = [path for pattern in patterns for path in config.paths.artifacts.glob(pattern)]
    return {p.name: _files_digest([p]) for p in found if p.name != "test_openings.csv"}


def _read_record(executed: Path) -> dict[str, Any]:
    """Return what an executed notebook was made from; empty if there is none."""
    return ((read_json(executed) or {}).get("metadata") or {}).get("eurosat") or {}


def _report_key(config: Config, executed: Sequence[Path]) -> str:
    """Hash what the report depends on: notebooks, answers, template, results, code, commit."""
    root, artifacts = Path(config.paths.root), config.paths.artifacts
    places = [(root / "reports", p) for p in ("answers/*", "template/**/*", "journal.md")]
    places += [(config.paths.reports, "journal.md")]
    places += [(artifacts, p) for p in ("results/*.json", "params.yaml", "captures/**/*")]
    places += [(root / "notebooks", p) for p in ("**/*.png", "**/*.jp*g", "**/*.gif", "**/*.svg")]
    places += [(LIBRARY, "**/*.py")]
    files = [path for folder, pattern in places for path in sorted(folder.glob(pattern))]
    parts = [_files_digest([*executed, *files]), _settings(config), revision(root), is_frozen()]
    return _digest(parts)


def _data_signature(config: Config) -> list[str]:
    """Say which images there are, and which of the spatial split beside them."""
    from eurosat_lib.data import describe_source, on_spatial

    try:
        return [describe_source(one).signature for one in (config, on_spatial(config))]
    except UserError as error:  # of the spatial split; the first one's is raised again below
        return [describe_source(config).signature, str(error)]


@cache
def _settings(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude={"paths": {"root"}, "compute": ENGINE})


def _library_digest() -> str:
    sources = sorted(LIBRARY.rglob("*.py"))
    return _files_digest(p for p in sources if p.parent.name != "report" or p.stem in SHOWN)


def _files_digest(paths: Iterable[Path]) -> str:
    files = [path for path in paths if path.is_file()]
    return _digest([(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files])


def _cells_digest(executed: Path) -> str:
    """Hash an executed notebook's cells, to notice an edit."""
    return _digest((read_json(executed) or {}).get("cells"))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


# --- execution ----------------------------------------------------------------------------------


def _run(step: Step) -> None:
    """Execute one notebook; its copy takes the place of the last one only when all went well."""
    folder, started = step.target.parent, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{step.source.stem}.{os.getpid()}.ipynb"
    failed = folder / f"{step.source.stem}.failed.ipynb"
    try:
        asked = execute(step.source, partial, step.values, Path(step.config.paths.root))
        for earlier in folder.glob("[0-9][0-9]_*.ipynb"):
            if earlier.name < step.target.name:
                asked |= set(_read_record(earlier).get("results", ()))
        _stamp(partial, step, asked)
        known = _read_record(step.target).get("cells")
        if step.target.is_file() and known != _cells_digest(step.target):  # somebody's words
            changed = datetime.datetime.fromtimestamp(step.target.stat().st_mtime)
            kept = step.target.with_name(f"edited-{changed:%Y%m%d-%H%M%S}-{step.target.name}")
            os.replace(step.target, kept)
            print(f"      it had been edited: kept as {os.path.relpath(kept)}")
        os.replace(partial, step.target)
        failed.unlink(missing_ok=True)
    except (UserError, NotebookFailed) as error:
        if partial.is_file():
            os.replace(partial, failed)
            error.add_note(f"kept for inspection: {os.path.relpath(failed)}")
        raise
    finally:
        partial.unlink(missing_ok=True)
    print(f"      done in {since(started)}")


def execute(source: Path, output: Path, values: Mapping[str, Any], root: Path) -> set[str]:
    """Execute a notebook by papermill, in a kernel that is this very interpreter, at ``root``.

    Returns:
        The stages whose results it asked for.

    Raises:
        UserError: a cell raised one.
        NotebookFailed: a cell failed, or the kernel died.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    with tempfile.TemporaryDirectory(prefix="eurosat-") as own:
        asked = Path(own, "asked")
        asked.touch()
        try:
            papermill.execute_notebook(
                str(source),
                str(output),
                dict(values),
                kernel_name="python3",
                progress_bar=False,
                cwd=str(root),
                shutdown_kernel="immediate",  # what it computed is kept already
                kernel_manager_class=_kernel_manager(asked),
            )
        except PapermillExecutionError as error:
            place = f"{source.stem}, cell {error.cell_index}"  # papermill's own stands before it
            text = " ".join(error.evalue.split())
            if error.ename == "UserError":
                raise UserError(f"{place}: {text}") from None
            raise NotebookFailed(f"{place}: {error.ename}: {text}") from None
        except DeadKernelError:
            why = "the kernel died; most often, memory ran out"
            raise NotebookFailed(f"{source.stem}: {why}") from None
        return set(asked.read_text(encoding="utf-8").split())


def _kernel_manager(asked: Path) -> type:
    """Start this interpreter, whatever the kernels named python3 on this machine are."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    # No profile, and Matplotlib as it comes: the user's own settings stay outside.
    matplotlib = Path(find_spec("matplotlib").origin).parent  # not imported
    paths = filter(None, [LIBRARY.parent, os.environ.get("PYTHONPATH")])
    environment = dict.fromkeys(HABITS, "") | {
        BUILT: str(asked),
        "IPYTHONDIR": str(asked.parent),
        "MATPLOTLIBRC": str(matplotlib / "mpl-data" / "matplotlibrc"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    command = [sys.executable, *KERNEL]
    spec = KernelSpec(argv=command, env=environment, display_name="Python 3", language="python")

    class ThisInterpreter(AsyncKernelManager):
        kernel_spec = spec

    return ThisInterpreter


def _stamp(executed: Path, step: Step, asked: Iterable[str]) -> None:
    """Write into an executed notebook what it was made from, and no place of this machine."""
    tree, root = read_json(executed), step.config.paths.root
    tree["metadata"]["eurosat"] = {
        "key": step.key,
        "results": _results_state(step.config, asked),
        "cells": _cells_digest(executed),
    }
    for name, path in (("input_path", step.source), ("output_path", step.target)):
        tree["metadata"]["papermill"][name] = os.path.relpath(path, root)
    write_json(executed, tree)


# --- the report ---------------------------------------------------------------------------------


def bind(config: Config, executed: Sequence[Path]) -> list[Path]:
    """Write ``rapport.html`` and ``rapport.pdf`` if they are out of date: both, or none.

    Raises:
        UserError: the report would have holes; names each with its notebook and cell.
    """
    reports, key = config.paths.reports, _report_key(config, executed)
    files, built = [reports / "rapport.html", reports / "rapport.pdf"], reports / ".build.json"
    state = read_json(built) or {}
    if state.get("key") == key and state.get("files") == _files_digest(files):
        print("report · up to date")
        return files
    from eurosat_lib.report.runs import write_index

    print("report: HTML and PDF")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".report-", dir=reports) as folder:
        fresh = [Path(folder, path.name) for path in files]
        pages = _write_report(config, executed, *fresh)
        built.unlink(missing_ok=True)
        for new, target in zip(fresh, files, strict=True):
            os.replace(new, target)
    state = {"key": key, "files": _files_digest(files), "published": _published_files(config)}
    write_json(built, state)
    print(f"      done in {since(started)}, {pages} pages")
    write_index(Path(config.paths.root))
    return files


def _write_report(config: Config, executed: Sequence[Path], html: Path, paper: Path) -> int:
    """Write both files; return the pages of the PDF."""
    from eurosat_lib.report.check import refuse
    from eurosat_lib.report.export import bind_page
    from eurosat_lib.report.pdf import write_pdf
    from eurosat_lib.report.title import title_of, to_complete

    if empty := to_complete(config):
        print(f"      to fill in: {', '.join(empty)} (configs/config.yaml)")
    root, title = Path(config.paths.root), title_of(config, executed)
    page, problems = bind_page(executed, title, root, config.paths.reports)
    refuse(problems)
    html.write_text(page, encoding="utf-8", newline="\n")
    return write_pdf(page, paper)
