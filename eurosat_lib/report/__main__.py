"""Command line of the report: ``python -m eurosat_lib.report build`` and the reruns."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from eurosat_lib.config import configure
from eurosat_lib.errors import UserError
from eurosat_lib.progress import duration
from eurosat_lib.report.runner import Request, build
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.failures import NotebookFailed

INTERRUPTED = (
    "interrupted: finished notebooks and stages are kept; the same command goes on from there"
)
CONFIG = "configs/config.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done, 1 failed (a notebook, a run of a sweep, numbers not reproduced), 2 wrong input,
        130 stopped.
    """
    options = vars(_parser().parse_args(arguments))
    run = options.pop("run")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(**options)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130
    except UserError as error:
        return _complain(error, 2)
    except NotebookFailed as error:
        return _complain(error, 1)


def _complain(error: Exception, code: int) -> int:
    notes = getattr(error, "__notes__", ()) if code == 1 else ()
    print("\n".join([f"error: {error}", *(f"  {note}" for note in notes)]), file=sys.stderr)
    return code


def _build(**fields: str) -> int:
    started, request = time.monotonic(), Request(**fields)
    console = Console()
    files = build(request, console)
    what = "executed notebook" if request.only else "report"
    names = ", ".join(os.path.relpath(path) for path in files)
    console.line(f"{what}: {names} · {duration(time.monotonic() - started)} in total")
    return 0


def _sweep(sweep: str, **fields: str) -> int:
    from eurosat_lib.report.runs.sweep import FAILED, read_sweep
    from eurosat_lib.report.runs.sweep import sweep as run_sweep

    if not sweep:
        raise UserError("make sweep SWEEP=…: which file? configs/sweeps/lr.yaml is an example")
    if fields.pop("name"):
        raise UserError("make sweep: NAME is given to each run by the sweep's own file")
    requests = read_sweep(Path(sweep), Request(**fields))
    verdicts = run_sweep(requests, Console())
    print(f"all runs: {os.path.relpath(_index(fields['config_path']))}")
    return int(any(verdict.startswith(FAILED) for verdict in verdicts.values()))


def _compare(first: str, second: str, config_path: str | None) -> int:
    from eurosat_lib.report.runs.comparison import compare

    path = compare(configure(config_path or CONFIG), first, second)
    print(f"comparison: {os.path.relpath(path)}")
    _index(config_path)
    return 0


def _reproduce(name: str, stages: str, config_path: str | None) -> int:
    from eurosat_lib.report.runs.reproduce import reproduce

    root = Path(configure(config_path or CONFIG).paths.root)
    same = reproduce(root, name, print, stages.split())
    _index(config_path)
    return 0 if same else 1


def _results(name: str, config_path: str | None) -> int:
    from eurosat_lib.report.publish import make_results

    make_results(configure(config_path or CONFIG), name, print)
    return 0


def _home(**fields: str) -> int:
    from eurosat_lib.report.home import prepare

    page = prepare(Request(**fields), Console())
    print(f"landing page: {os.path.relpath(page)}")
    return 0


def _show_index(config_path: str | None) -> int:
    print(f"all runs: {os.path.relpath(_index(config_path))}")
    return 0


def _index(config_path: str | None) -> Path:
    from eurosat_lib.report.runs.index import write_index

    return write_index(configure(config_path or CONFIG), config_path or CONFIG)


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
    command = commands.add_parser("home", help="fill in the landing page that make lab opens")
    _add_common(command)
    command.set_defaults(run=_home)
    command = commands.add_parser("index", help="list all runs in reports/index.html")
    command.set_defaults(run=_show_index)
    for command in commands.choices.values():
        command.add_argument("--config", dest="config_path", help="configuration file")
    return parser


def _add_common(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--profile", help="auto, quick, standard or full")
    add("--data", help="auto, synthetic, timm/eurosat-rgb or a folder", default=_data())
    add("--name", help="results go below reports/NAME, artifacts/NAME and runs/NAME")


def _add_request(command: argparse.ArgumentParser) -> None:
    _add_common(command)
    add = command.add_argument
    add("--params", default="", help="papermill's options: \"-p max_epochs 15 -y 'lr: 1.0e-3'\"")
    add("--no-pdf", dest="pdf", action="store_false", help="bind the HTML file alone")


def _data() -> str | None:
    return os.environ.get("DATA")


if __name__ == "__main__":
    sys.exit(main())
