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
from eurosat_lib.files import is_frozen, locked, read_json, revision, write_json, write_text
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
# Modules that act when the report is bound, and not when a notebook runs.
BINDING = {"__main__", "check", "commands", "export", "page", "pdf", "publish", "request"}
BINDING |= {"reruns", "run", "runs", "verdicts", "words", "words_data", "words_results"}
BINDING |= {"words_training"}
# ipykernel warns about its local connection; what a kernel writes past its cells is the bars'.
KERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
KERNEL += ["--IPKernelApp.capture_fd_output=False"]
HABITS = ("MPLBACKEND", "PYTHONSTARTUP", "PYTHONWARNINGS", "TQDM_DISABLE")
FRAME = re.compile(r"^(?:File )?(\S+\.py):(\d+),? in (\w+)", re.MULTILINE)


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
        tree = read_json(self.target) or {}
        record = (tree.get("metadata") or {}).get("eurosat") or {}
        return (
            record.get("key") == self.key
            and record.get("cells") == _cells_digest(tree)
            and record["results"] == results_state(self.config, record["results"])
        )


@dataclass(frozen=True)
class Plan:
    """A whole request, checked."""

    config: Config
    given: Mapping[str, Any]  # parameters of the run, for params.yaml
    steps: Sequence[Step]

    @property
    def targets(self) -> list[Path]:
        """The executed copies, in order."""
        return [step.target for step in self.steps]


class NotebookFailed(Exception):
    """A cell failed by a bug, or its kernel died; one line, and notes for whoever mends it."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def build(request: Request) -> list[Path]:
    """Bring the executed notebooks and the report up to date; return the files asked for.

    Raises:
        UserError: the request is wrong (before any kernel starts), or a cell raised one.
        NotebookFailed: a cell failed; the last good results are kept.
    """
    from eurosat_lib.report.runs import refresh_index

    plan = prepare(request)
    config = plan.config
    with locked(config.paths.reports / ".build.lock"):
        plan = prepare(request)  # once more: another build may have been waited for
        steps = plan.steps
        _guard(plan)
        _sweep_up(config.paths.reports)
        text = yaml.safe_dump(dict(plan.given), sort_keys=True, allow_unicode=True)
        write_text(config.paths.artifacts / "params.yaml", text)
        for number, step in enumerate(steps, 1):
            title = f"[{number}/{len(steps)}] {step.source.stem}"
            if not request.only and step.current():
                say(f"{title} · up to date")
            else:
                _run(step, title)
        if not request.only:
            _check_plan(plan, prepare(request))
        files = plan.targets if request.only else bind(config, plan.targets)
    refresh_index(Path(config.paths.root))
    return files


def _guard(plan: Plan) -> None:
    """Refuse to compute a finished run again: git holds its results.

    Raises:
        UserError: something of it is out of date.
    """
    card = plan.config.paths.artifacts / "MODEL_CARD.md"
    if card.is_file() and not is_frozen() and not all(step.current() for step in plan.steps):
        raise UserError(
            f"{plan.config.paths.name}: a finished run; FROZEN=1 binds it as it is, another NAME "
            f"computes beside it (without {os.path.relpath(card)} it would be computed anew)"
        )


def _sweep_up(reports: Path) -> None:
    """Remove the partial files of builds that were killed; the lock is held."""
    for partial in reports.glob("notebooks/.[0-9][0-9]_*.ipynb"):
        partial.unlink()
    for folder in reports.glob(".report-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _check_plan(plan: Plan, now: Plan) -> None:
    """Refuse to bind what is no longer one experiment: something was changed meanwhile.

    Raises:
        UserError: names the first notebook that is not the one that was planned.
    """
    for step, again in zip(plan.steps, now.steps, strict=False):
        if step.key != again.key or not again.current():
            raise UserError(
                f"{step.source.stem}: this notebook, its parameters or its results were changed "
                "while the report was made; the same command makes it of one piece"
            )


def is_current(request: Request) -> bool:
    """Tell whether a build would have nothing to do."""
    plan = prepare(request)
    done = all(step.current() for step in plan.steps)
    return done and _is_bound(plan.config, _report_key(plan.config, plan.targets))


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
    return _digest(
        {
            "cells": notebook.cells,
            "config": _settings(config),
            "data": _data_signature(config),
            "library": _library_digest(),
            "given": stored if shown else {},
            "frozen": is_frozen(),
        }
    )


def results_state(config: Config, stages: Iterable[str]) -> dict[str, str]:
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


def read_record(executed: Path) -> dict[str, Any]:
    """Return what an executed notebook was made from; empty if there is none."""
    return ((read_json(executed) or {}).get("metadata") or {}).get("eurosat") or {}


def _report_key(config: Config, executed: Sequence[Path]) -> str:
    """Hash what the report depends on: notebooks, answers, template, results, code, commit."""
    root, artifacts = Path(config.paths.root), config.paths.artifacts
    places = [(root / "reports", p) for p in ("answers/*", "template/**/*", "journal.md")]
    places += [(config.paths.reports, "journal.md")]
    places += [(artifacts, p) for p in ("results/*.json", "params.yaml", "captures/**/*")]
    places += [(LIBRARY, "**/*.py")]
    files = [path for folder, pattern in places for path in sorted(folder.glob(pattern))]
    parts = [_files_digest([*executed, *files]), _settings(config), revision(root), is_frozen()]
    return _digest(parts)


def _is_bound(config: Config, key: str) -> bool:
    reports = config.paths.reports
    there = all((reports / name).is_file() for name in ("rapport.html", "rapport.pdf"))
    return there and read_json(reports / ".build.json") == {"key": key}


def _data_signature(config: Config) -> list[str]:
    """Say which images there are, and which of the spatial split beside them."""
    from eurosat_lib.data import on_spatial, signature

    try:
        return [signature(config), signature(on_spatial(config))]
    except UserError as error:  # of the spatial split; the first one's is raised again below
        return [signature(config), str(error)]


@cache
def _settings(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude={"paths": {"root"}, "compute": ENGINE})


def _library_digest() -> str:
    sources = sorted(LIBRARY.rglob("*.py"))
    report = LIBRARY / "report"
    return _files_digest(p for p in sources if p.parent != report or p.stem not in BINDING)


def _files_digest(paths: Iterable[Path]) -> str:
    files = [path for path in paths if path.is_file()]
    return _digest([(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files])


def _cells_digest(notebook: Mapping[str, Any]) -> str:
    """Hash an executed notebook's cells, to notice an edit."""
    return _digest(notebook.get("cells"))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


# --- execution ----------------------------------------------------------------------------------


def _run(step: Step, title: str) -> None:
    """Execute one notebook; its copy takes the place of the last one only when all went well."""
    say(title)
    folder, started = step.target.parent, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{step.source.stem}.{os.getpid()}.ipynb"
    failed = folder / f"{step.source.stem}.failed.ipynb"
    try:
        asked = execute(step.source, partial, step.values, Path(step.config.paths.root))
        for earlier in folder.glob("[0-9][0-9]_*.ipynb"):
            if earlier.name < step.target.name:
                asked |= set(read_record(earlier).get("results", ()))
        _stamp(partial, step, asked, time.monotonic() - started)
        _keep_edited(step.target)
        os.replace(partial, step.target)
        failed.unlink(missing_ok=True)
    except (UserError, NotebookFailed) as error:
        if partial.is_file():
            os.replace(partial, failed)
            error.add_note(f"kept for inspection: {os.path.relpath(failed)}")
        raise
    finally:
        partial.unlink(missing_ok=True)
    say(f"      done in {duration(time.monotonic() - started)}")


def _keep_edited(target: Path) -> None:
    """Set an executed notebook aside that somebody has edited since: its words may be dear."""
    known = read_record(target).get("cells")
    if known and known != _cells_digest(read_json(target)):
        kept = target.with_name(f"edited-{target.name}")
        os.replace(target, kept)
        say(f"      it had been edited: kept as {os.path.relpath(kept)}")


def execute(source: Path, output: Path, values: Mapping[str, Any], root: Path) -> set[str]:
    """Execute a notebook by papermill, in a kernel that is this very interpreter.

    Args:
        source: the notebook.
        output: written as cells are done, also when one fails.
        values: parameters to inject.
        root: working directory of the kernel.

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
                shutdown_kernel="immediate",  # what it computed is kept already
                kernel_manager_class=_kernel_manager(asked, root),
            )
        except PapermillExecutionError as error:
            raise _explain(error, source.stem) from None
        except DeadKernelError:
            why = "the kernel died; most often, memory ran out"
            raise NotebookFailed(f"{source.stem}: {why}") from None
        return set(asked.read_text(encoding="utf-8").split())


def _kernel_manager(asked: Path, root: Path) -> type:
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisInterpreter(AsyncKernelManager):
        """Starts ``sys.executable``, whatever the kernels named python3 on this machine are."""

        @property
        def kernel_spec(self) -> KernelSpec:
            """Say how the kernel is started."""
            argv = [sys.executable, *KERNEL]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

        async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
            inherited = options.get("env") or os.environ
            kept = {name: value for name, value in inherited.items() if name not in HABITS}
            paths = filter(None, [str(LIBRARY.parent), inherited.get("PYTHONPATH")])
            own = {BUILT: str(asked), "PYTHONPATH": os.pathsep.join(paths)}
            # No profile, and Matplotlib as it comes: the user's own settings stay outside.
            own |= {"IPYTHONDIR": str(asked.parent), "MATPLOTLIBRC": _matplotlibrc()}
            options |= {"cwd": str(root), "env": kept | own}
            await super()._async_launch_kernel(kernel_cmd, **options)

    return ThisInterpreter


def _matplotlibrc() -> str:
    """Return Matplotlib's own settings, without importing it."""
    return str(Path(find_spec("matplotlib").origin).with_name("mpl-data") / "matplotlibrc")


def _explain(error: Any, name: str) -> Exception:
    """Turn a failed cell into one line; papermill's own cell stands before it, and counts."""
    text = " ".join(error.evalue.split())
    if error.ename == "UserError":
        return UserError(f"{name}, cell {error.cell_index}: {text}")
    failure = NotebookFailed(f"{name}, cell {error.cell_index}: {error.ename}: {text}")
    frames = FRAME.findall(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)))
    if frames:
        failure.add_note("raised in {}:{}, {}".format(*frames[-1]))
    return failure


def _stamp(executed: Path, step: Step, asked: Iterable[str], seconds: float) -> None:
    """Write into an executed notebook what it was made from, and no place of this machine."""
    from eurosat_lib.data import describe_source

    tree, root = read_json(executed), step.config.paths.root
    now = datetime.datetime.now().astimezone()
    tree["metadata"]["eurosat"] = {
        "key": step.key,
        "results": results_state(step.config, asked),
        "cells": _cells_digest(tree),
        "seconds": round(seconds, 1),
        "finished": now.isoformat(timespec="seconds"),
        "profile": step.config.profile,
        "synthetic": describe_source(step.config).synthetic,
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
    files = [reports / "rapport.html", reports / "rapport.pdf"]
    if _is_bound(config, key):
        say("report · up to date")
        return files
    say("report: HTML and PDF")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".report-", dir=reports) as folder:
        fresh = [Path(folder, path.name) for path in files]
        pages = _write_report(config, executed, *fresh)
        (reports / ".build.json").unlink(missing_ok=True)
        for new, target in zip(fresh, files, strict=True):
            os.replace(new, target)
    write_json(reports / ".build.json", {"key": key})
    say(f"      done in {duration(time.monotonic() - started)}, {pages} pages")
    return files


def _write_report(config: Config, executed: Sequence[Path], html: Path, paper: Path) -> int:
    """Write both files; return the pages of the PDF."""
    from eurosat_lib.report.check import refuse
    from eurosat_lib.report.export import bind_page
    from eurosat_lib.report.pdf import write_pdf
    from eurosat_lib.report.title import title_of, to_complete

    if empty := to_complete(config):
        say(f"      to fill in: {', '.join(empty)} (configs/config.yaml)")
    root, title = Path(config.paths.root), title_of(config, executed)
    page, problems = bind_page(executed, title, root, config.paths.reports)
    refuse(problems)
    html.write_text(page, encoding="utf-8", newline="\n")
    return write_pdf(page, paper)


def duration(seconds: float) -> str:
    """Write a duration: ``45 s``, ``1 min 10 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
