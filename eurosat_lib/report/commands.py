"""The commands of the report: ``build`` and the reruns."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir

from eurosat_lib.config import Config, configure
from eurosat_lib.errors import UserError
from eurosat_lib.report.request import Request
from eurosat_lib.report.run import NotebookFailed, build, duration, say


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done, 1 failed (a notebook, a run of a sweep, numbers not reproduced), 2 wrong input.
    """
    options = vars(_parser().parse_args(arguments))
    command = options.pop("run")
    try:
        return command(**options)
    except (UserError, NotebookFailed) as error:
        bug = isinstance(error, NotebookFailed)
        notes = getattr(error, "__notes__", ()) if bug else ()
        print("\n".join([f"error: {error}", *(f"  {note}" for note in notes)]), file=sys.stderr)
        return 1 if bug else 2
    except OSError as error:  # a full disk, missing rights
        places = [p for p in ("reports", "artifacts", "runs", gettempdir()) if os.path.exists(p)]
        place = error.filename or min(places, key=lambda place: shutil.disk_usage(place).free)
        more = "; free some space, the same command goes on" if error.errno == errno.ENOSPC else ""
        print(f"error: {os.path.relpath(place)}: {error.strerror or error}{more}", file=sys.stderr)
        if error.filename is None:  # the console itself: nothing more goes there
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 2


def _build(**fields: str) -> int:
    started = time.monotonic()
    files = build(Request(**fields))
    names = ", ".join(os.path.relpath(path) for path in files)
    what = "executed notebook" if fields["only"] else "report"
    say(f"{what}: {names} · {duration(time.monotonic() - started)} in total")
    return 0


def _sweep(sweep: str, **fields: str) -> int:
    from eurosat_lib.report import reruns

    if not sweep:
        raise UserError("make sweep SWEEP=…: which file? configs/sweeps/lr.yaml is an example")
    if fields.pop("name"):
        raise UserError("make sweep: NAME is given to each run by the sweep's own file")
    verdicts = reruns.sweep(reruns.read_sweep(Path(sweep), Request(**fields)))
    return int(any(verdict.startswith(reruns.FAILED) for verdict in verdicts.values()))


def _compare(first: str, second: str, config_path: str | None) -> int:
    from eurosat_lib.report.runs import compare

    root = Path(_config(config_path).paths.root)
    say(f"comparison: {os.path.relpath(compare(root, first, second))}")
    return _index(config_path)


def _reproduce(name: str, stages: str, config_path: str | None) -> int:
    from eurosat_lib.report.reruns import reproduce

    same = reproduce(Path(_config(config_path).paths.root), name, stages.split())
    _index(config_path)
    return 0 if same else 1


def _results(name: str, config_path: str | None) -> int:
    from eurosat_lib.report.publish import make_results

    make_results(_config(config_path), name, say)
    return 0


def _index(config_path: str | None) -> int:
    from eurosat_lib.report.runs import write_index

    say(f"all runs: {os.path.relpath(write_index(Path(_config(config_path).paths.root)))}")
    return 0


def _config(path: str | None) -> Config:
    return configure({"config_path": path})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.report", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("build", help="run the notebooks, then bind the report")
    _add_request(command)
    command.add_argument("--only", metavar="NOTEBOOK", help="run this notebook alone: 06_train")
    command.set_defaults(run=_build)
    command = commands.add_parser("sweep", help="one named report per parameter set of a file")
    _add_request(command)
    command.add_argument("sweep", metavar="FILE", help="YAML, a list of parameter sets")
    command.set_defaults(run=_sweep)
    command = commands.add_parser("compare", help="one page with two runs beside each other")
    command.add_argument("first", metavar="A", help="name of a run, '' for the unnamed one")
    command.add_argument("second", metavar="B", help="name of the other")
    command.set_defaults(run=_compare)
    command = commands.add_parser("reproduce", help="compute a run again, compare the numbers")
    command.add_argument("--name", default="", help="of the run; the unnamed one without it")
    command.add_argument("--stages", default="", help="these alone: 'check_initial_loss evaluate'")
    command.set_defaults(run=_reproduce)
    command = commands.add_parser("results", help="write model card and headline of a run")
    command.add_argument("--name", default="", help="of the run")
    command.set_defaults(run=_results)
    command = commands.add_parser("index", help="list all runs in reports/index.html")
    command.set_defaults(run=_index)
    for command in commands.choices.values():
        command.add_argument("--config", dest="config_path", help="configuration file")
    return parser


def _add_request(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--profile", help="auto, quick, standard or full")
    add("--data", help="auto, synthetic, timm/eurosat-rgb or a folder", default=_data())
    add("--name", help="results go below reports/NAME, artifacts/NAME and runs/NAME")
    add("--params", default="", help="papermill's options: \"-p max_epochs 15 -y 'lr: 1.0e-3'\"")


def _data() -> str | None:
    return os.environ.get("DATA")
