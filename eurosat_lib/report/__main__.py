"""Command line of the report: ``python -m eurosat_lib.report build`` and what is beside it.

What takes a while is imported when it is needed, so that Ctrl-C is heard from the start.
"""

from __future__ import annotations

try:
    import os
    import signal
    import sys

    from eurosat_lib.errors import hear_signals, stop_code
except KeyboardInterrupt:  # within the first 0.1 s
    raise SystemExit(130) from None

STOPPED = (
    "interrupted: finished notebooks and stages are kept; the same command goes on from there"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done, 1 failed (a notebook, a run of a sweep, numbers not reproduced), 2 wrong input,
        128 + its number if a signal stopped it (130: Ctrl-C).
    """
    hear_signals()
    try:
        return _guarded(**vars(_parser().parse_args(arguments)))
    except KeyboardInterrupt as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(STOPPED, file=sys.stderr)
        return stop_code(stop)


def _guarded(command: str, **given: str) -> int:
    """Run a command; say in a line what went wrong."""
    import shutil
    from tempfile import gettempdir

    from eurosat_lib.errors import UserError, of_system
    from eurosat_lib.report.run import NotebookFailed

    try:
        return int(_run(command, **given) is False)
    except NotebookFailed as error:
        notes = [f"  {note}" for note in getattr(error, "__notes__", ())]
        print("\n".join([f"error: {error}", *notes]), file=sys.stderr)
        return 1
    except (UserError, OSError) as error:  # a full disk, missing rights
        if getattr(error, "filename", error) is None:  # also the console: nothing more goes there
            places = filter(os.path.exists, ("reports", "artifacts", "runs", gettempdir()))
            error.filename = min(places, key=lambda place: shutil.disk_usage(place).free)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        own = error if isinstance(error, UserError) else of_system(error)
        print(f"error: {own}", file=sys.stderr)
        return 2


def _parser():
    import argparse

    name = {"default": "", "help": "of the run: reports/NAME, artifacts/NAME, runs/NAME"}
    data = {"help": "auto, synthetic, timm/eurosat-rgb or a folder"}
    request = {
        "--profile": {"help": "auto, quick, standard or full"},
        "--data": data | {"default": os.environ.get("DATA")},
        "--name": name,
        "--params": {"default": "", "help": "papermill's options: '-p max_epochs 15'"},
    }
    only = {"--only": {"help": "run this notebook alone: 06_train"}}
    pair = {"first": {"help": "a run, '' for the unnamed one"}, "second": {}}
    stages = {"--stages": {"default": "", "help": "these alone: 'lr_finder evaluate'"}}
    commands = {
        "build": ("run the notebooks that are out of date, then bind the report", request | only),
        "sweep": ("make one report per parameter set of a file", request | {"sweep": {}}),
        "compare": ("make one page with two runs beside each other", pair),
        "reproduce": ("compute a run again, compare the numbers", {"--name": name, **stages}),
        "results": ("write the model card of a run, the README's headline", {"--name": name}),
        "captures": ("photograph TensorBoard for the report", {"--name": name}),
        "index": ("list all runs in reports/index.html", {}),
    }
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.report", description=__doc__)
    added = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, (text, arguments) in commands.items():
        own = added.add_parser(command, help=text)
        for argument, options in arguments.items():
            own.add_argument(argument, **options)
    return parser


def _run(command: str, **given: str) -> bool | None:
    """Run a command; ``False`` if something failed without an error."""
    from pathlib import Path

    from eurosat_lib.config import configure
    from eurosat_lib.report.request import Request
    from eurosat_lib.report.run import build

    if command == "build":
        print("made:", ", ".join(os.path.relpath(path) for path in build(Request(**given))))
        return True
    from eurosat_lib import captures
    from eurosat_lib.report import publish, reruns, runs

    config = configure({"name": given.get("name")})
    root = Path(config.paths.root)
    match command:
        case "sweep":
            return reruns.sweep(reruns.read_sweep(given.pop("sweep"), Request(**given)))
        case "results":
            return publish.make_results(root, **given)
        case "captures":
            for path in captures.take_captures(config):
                print(os.path.relpath(path), flush=True)
            return True
        case "compare":
            print("comparison:", os.path.relpath(runs.compare(root, **given)))
    same = reruns.reproduce(root, **given) if command == "reproduce" else True
    print("all runs:", os.path.relpath(runs.write_index(root)))
    return same


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
