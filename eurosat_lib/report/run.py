"""One build: notebooks that are out of date executed, the report bound."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty
from typing import Any

import yaml

from eurosat_lib.config import Config, stored_parameters
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import NotebookFailed, UserError
from eurosat_lib.files import check_open, git, is_frozen, locked, read_json, write_json, write_text
from eurosat_lib.progress import BUILT
from eurosat_lib.report import plan
from eurosat_lib.report.plan import LIBRARY, Step, prepare

# ipykernel warns about its local connection; what a kernel writes past its cells is the bars'.
KERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
KERNEL += ["--IPKernelApp.capture_fd_output=False"]
LOOK = 0.5  # seconds between two looks for a reply
HABITS = ("PYTHONSTARTUP", "TQDM_DISABLE")


def build(asked: Mapping[str, Any], only: str = "") -> list[Path]:
    """Bring the executed notebooks and the report up to date; return the files asked for.

    Args:
        asked: parameters of the run by name; see ``plan.parameters``.
        only: this notebook alone, up to date or not, and no report.

    A cell that fails is a ``UserError`` or ``NotebookFailed``; the last good files are kept.
    """
    with workplace(prepare(asked, only)[0].paths.reports) as folder:
        config, given, steps = prepare(asked, only)  # another build may have been waited for
        if not all(step.current() for step in steps):
            check_open(config.paths.artifacts)
            load_dataset(config)  # what is wrong with the images is said before any kernel
            _check_published(config)
        text = yaml.safe_dump(given, sort_keys=True, allow_unicode=True)
        if left := stored_parameters(config).keys() - given.keys():
            print(f"not given this time, so as configured again: {', '.join(sorted(left))}")
        if not is_frozen():
            write_text(config.paths.artifacts / "params.yaml", text)
        for number, step in enumerate(steps, 1):
            done = not only and step.current()
            title = f"[{number}/{len(steps)}] {step.source.stem}"
            print(f"{title} · up to date" if done else title)
            if not done:
                _run(step, folder)
        executed = [step.target for step in steps]
        if only:
            return executed
        for step, again in zip(steps, prepare(asked)[2], strict=False):
            if step.key != again.key or not again.current():
                raise UserError(
                    f"{step.source.stem}: this notebook, its parameters or its results were "
                    "changed while the report was made; the same command makes it of one piece"
                )
        return bind(config, executed, folder)


def _check_published(config: Config) -> None:
    """Refuse to take results as they are that are of other images, or of two trainings."""
    from eurosat_lib.report.runs import Run

    if not is_frozen():
        return
    run, images = Run(config.paths), load_dataset(config)
    scopes = [tree.get("scope") or {} for tree in run.results.values()]
    if any(scope.get("data", images.fingerprint) != images.fingerprint for scope in scopes):
        place = f"{images.source.place} are not those of the run: DATA or EUROSAT_DATA names them"
        raise UserError(f"FROZEN=1: the images of {place}")
    if run.tested_other:
        again = "evaluate it without FROZEN"
        raise UserError(f"FROZEN=1: best.ckpt is not the checkpoint that was tested: {again}")


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Give an empty folder within another, to one process at a time; it goes in the end."""
    own = folder / ".new"
    with locked(folder / ".build.lock"):
        shutil.rmtree(own, ignore_errors=True)  # of one that was killed
        own.mkdir()
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)


# --- execution ----------------------------------------------------------------------------------


def _since(started: float) -> str:
    return f"      done in {timedelta(seconds=round(time.monotonic() - started))}"


def _run(step: Step, folder: Path) -> None:
    """Execute one notebook; its copy takes the place of the last one only when all went well."""
    target, root, started = step.target, Path(step.config.paths.root), time.monotonic()
    fresh, failed = folder / target.name, target.with_name(f"{target.stem}.failed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        asked = execute(step.source, fresh, step.values, root)
    except (UserError, NotebookFailed) as error:
        if fresh.is_file():
            os.replace(fresh, failed)
            error.add_note(f"kept for inspection: {os.path.relpath(failed)}")
        raise
    tree = read_json(fresh)
    made = {"key": step.key, "results": plan.results_state(step.config, asked)}
    tree["metadata"]["eurosat"] = made | {"cells": plan.digest(tree["cells"])}
    for name, path in (("input_path", step.source), ("output_path", target)):
        tree["metadata"]["papermill"][name] = os.path.relpath(path, root)
    write_json(fresh, tree)
    if not plan.made_from(target):
        _set_aside(target)
    os.replace(fresh, target)
    failed.unlink(missing_ok=True)
    print(_since(started))


def _set_aside(path: Path) -> None:
    """Keep a file with somebody's own words, if it is there, under another name, and say so."""
    if not path.is_file():
        return
    changed = datetime.fromtimestamp(path.stat().st_mtime)
    kept = path.with_name(f"edited-{changed:%Y%m%d-%H%M%S}-{path.name}")
    os.replace(path, kept)
    print(f"      {path.name} is not as it was built: kept as {os.path.relpath(kept)}")


def execute(source: Path, output: Path, values: Mapping[str, Any], root: Path) -> set[str]:
    """Execute a notebook by papermill, in a kernel that is this very interpreter, at ``root``.

    Other files are left beside ``output``. Returns the stages whose results it asked for; a cell
    that fails is a ``UserError`` or ``NotebookFailed``.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    asked = output.with_name("asked")
    asked.write_text("")
    options = {"kernel_name": "python3", "kernel_manager_class": _kernel_manager(asked)}
    # What a kernel computed is kept already, so that it may be stopped at once.
    options |= {"cwd": str(root), "progress_bar": False, "shutdown_kernel": "immediate"}
    try:
        places = [str(path).replace("{", "{{").replace("}", "}}") for path in (source, output)]
        papermill.execute_notebook(*places, dict(values), **options)  # places are templates
    except PapermillExecutionError as error:
        place = f"{source.stem}, cell {error.cell_index}"  # papermill's own stands before it
        text = " ".join(error.evalue.split())
        if error.ename == "UserError":
            raise UserError(f"{place}: {text}") from None
        raise NotebookFailed(f"{place}: {error.ename}: {text}") from None
    except DeadKernelError:
        said = f"{source.stem}: the kernel died; most often, memory ran out"
        raise NotebookFailed(said) from None
    return set(asked.read_text(encoding="utf-8").split())


def _kernel_manager(asked: Path) -> type:
    """Start this interpreter, whatever the kernels named python3 on this machine are."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    paths = filter(None, [str(LIBRARY.parent), os.environ.get("PYTHONPATH")])
    # No profile, and Matplotlib as it comes: the user's own settings stay outside.
    environment = dict.fromkeys(HABITS, "") | {
        BUILT: str(asked),
        "IPYTHONDIR": str(asked.parent),
        "MATPLOTLIBRC": os.devnull,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONWARNINGS": "ignore:CUDA initialization:UserWarning",  # a driver too old: the CPU
    }
    command = [sys.executable, *KERNEL]
    spec = KernelSpec(argv=command, env=environment, display_name="Python 3", language="python")

    class ThisInterpreter(AsyncKernelManager):
        kernel_spec, client_factory = spec, _patient_client()

    return ThisInterpreter


def _patient_client() -> type:
    """Look for a reply again and again: a cell with widgets makes nbclient miss that it is there.

    It sends on the socket on which it waits, and may wait for ever (jupyter/nbclient, issue 312).
    """
    from jupyter_client.asynchronous import AsyncKernelClient
    from jupyter_client.channels import AsyncZMQSocketChannel

    class Channel(AsyncZMQSocketChannel):
        async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
            """Wait for a message, without end if no time is given."""
            while timeout is None:
                with suppress(Empty):
                    return await super().get_msg(LOOK)
            return await super().get_msg(timeout)

    class Client(AsyncKernelClient):
        shell_channel_class = Channel

    return Client


# --- the report ---------------------------------------------------------------------------------


def bind(config: Config, executed: Sequence[Path], folder: Path) -> list[Path]:
    """Write ``rapport.html`` and ``rapport.pdf`` if they are out of date: both, or none.

    They are made in ``folder``, and take their places when they are whole. What stands there and
    neither was made by us nor is held by git is kept aside.
    """
    reports, key = config.paths.reports, plan.report_key(config, executed)
    files, built = [reports / "rapport.html", reports / "rapport.pdf"], reports / ".build.json"
    made, found = read_json(built) or {}, _digests(files)
    pictures = plan.pictures_state(config, executed, made.get("pictures", ()))
    if made == {"key": key, "pictures": pictures} | found:
        print("report · up to date")
        return files
    from eurosat_lib.report.runs import write_index

    print("report: HTML and PDF")
    started, fresh = time.monotonic(), [folder / path.name for path in files]
    pages, pictures = _write_report(config, executed, *fresh)
    built.unlink(missing_ok=True)
    for new, target in zip(fresh, files, strict=True):
        listed = git(config.paths.root, "ls-files", "-cm", "--", str(target))  # twice if changed
        if made.get(target.name) != found[target.name] and listed.count("\n") != 1:
            _set_aside(target)
        os.replace(new, target)
    write_json(built, {"key": key, "pictures": pictures} | _digests(files))
    print(f"{_since(started)}, {pages} pages")
    write_index(Path(config.paths.root))
    return files


def _digests(files: Sequence[Path]) -> dict[str, str]:
    return {path.name: plan.files_digest([path]) for path in files}


def _write_report(config: Config, executed: Sequence[Path], html: Path, paper: Path) -> tuple:
    """Write both files; return the pages of the PDF, and the state of the embedded pictures."""
    from eurosat_lib.report.export import bind_page
    from eurosat_lib.report.pdf import make_pdf
    from eurosat_lib.report.title import title_of, to_complete

    if empty := to_complete(config):
        print(f"      to fill in: {', '.join(empty)} (configs/config.yaml)")
    root, title = Path(config.paths.root), title_of(config, executed)
    page, problems, pictures = bind_page(executed, title, root, config.paths.reports)
    if problems:
        raise UserError("\n  - ".join(["the report was not built:", *problems]))
    pictures = plan.pictures_state(config, executed, pictures)
    html.write_text(page, encoding="utf-8", newline="\n")
    document, pages = make_pdf(page)
    paper.write_bytes(document)
    return pages, pictures
