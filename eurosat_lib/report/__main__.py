"""Command line of the report: ``python -m eurosat_lib.report build``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence

from eurosat_lib.errors import UserError
from eurosat_lib.progress import duration
from eurosat_lib.report.runner import Request, build
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.failures import NotebookFailed

INTERRUPTED = (
    "interrupted: finished notebooks and stages are kept; the same command goes on from there"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 2 wrong input, 1 failed, 130 stopped."""
    request = _request(arguments)
    console = Console()
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        files = build(request, console)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130
    except UserError as error:
        return _complain(error, 2)
    except NotebookFailed as error:
        return _complain(error, 1)
    what = "executed notebook" if request.only else "report"
    names = ", ".join(os.path.relpath(path) for path in files)
    console.line(f"{what}: {names} · {duration(time.monotonic() - started)} in total")
    return 0


def _complain(error: Exception, code: int) -> int:
    notes = getattr(error, "__notes__", ()) if code == 1 else ()
    print("\n".join([f"error: {error}", *(f"  {note}" for note in notes)]), file=sys.stderr)
    return code


def _request(arguments: Sequence[str] | None) -> Request:
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.report", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="build")
    command = commands.add_parser("build", help="run the notebooks, then bind the report")
    add = command.add_argument
    add("--profile", help="auto, quick or full")
    add("--data", help="auto, synthetic, timm/eurosat-rgb or a folder", default=_data())
    add("--name", help="results go below reports/NAME, artifacts/NAME and runs/NAME")
    add("--params", default="", help="papermill's options: \"-p max_epochs 15 -y 'lr: 1.0e-3'\"")
    add("--config", dest="config_path", help="configuration file")
    add("--only", metavar="NOTEBOOK", help="run this notebook alone, for instance 06_train")
    add("--no-pdf", dest="pdf", action="store_false", help="bind the HTML file alone")
    return Request(**vars(parser.parse_args(arguments)))


def _data() -> str | None:
    return os.environ.get("DATA")


if __name__ == "__main__":
    sys.exit(main())
