"""Command line of the report: ``python -m eurosat_lib.report build`` and what is beside it.

What takes a while is imported when it is needed, so that Ctrl-C is heard from the start. The
arguments are those of make, which ``make help`` explains.
"""

from __future__ import annotations

try:
    import os
    import signal
    import sys

    from eurosat_lib.errors import hear_signals, stop_code

    if __name__ == "__main__":
        sys.stdout.reconfigure(line_buffering=True)
except KeyboardInterrupt:  # within the first 0.1 s
    raise SystemExit(130) from None

STOPPED = "interrupted: what is finished is kept; the same command goes on from there"
REQUEST = ("--profile", "--data", "--name", "--params")
COMMANDS = {  # what it does, what it takes
    "build": ("run the notebooks that are out of date, then bind the report", *REQUEST, "--only"),
    "sweep": ("make one report per parameter set of a file", *REQUEST, "file"),
    "compare": ("make one page with two runs beside each other", "first", "second"),
    "reproduce": ("compute a run again, compare the numbers", "--name", "--stages"),
    "results": ("write the model card of a run, the README's headline", "--name"),
    "captures": ("photograph TensorBoard for the report", "--name"),
    "index": ("list all runs in reports/index.html",),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code, see docs/RERUNS.md."""
    try:
        hear_signals()
        return _guarded(**_parsed(arguments))
    except KeyboardInterrupt as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(STOPPED, file=sys.stderr)
        return stop_code(stop)


def _parsed(arguments: list[str] | None) -> dict[str, str]:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.report")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, (text, *names) in COMMANDS.items():
        own = commands.add_parser(command, help=text)
        for name in names:
            own.add_argument(name, default="")
    return vars(parser.parse_args(arguments))


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
    except (UserError, OSError, MemoryError) as error:  # a full disk, missing rights
        if getattr(error, "filename", error) is None:  # also the console: nothing more goes there
            places = filter(os.path.exists, ("reports", "artifacts", "runs", gettempdir()))
            error.filename = min(places, key=lambda place: shutil.disk_usage(place).free)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        own = error if isinstance(error, UserError) else of_system(error)
        print(f"error: {own}", file=sys.stderr)
        return 2


def _run(command: str, **given: str) -> bool | None:
    """Run a command; ``False`` if something failed without an error."""
    from pathlib import Path

    from eurosat_lib.config import configure
    from eurosat_lib.report.run import Request, build

    if command == "build":
        print("made:", ", ".join(os.path.relpath(path) for path in build(Request(**given))))
        return True
    from eurosat_lib import captures
    from eurosat_lib.report import publish, runs

    config = configure({"name": given.get("name")})
    root, same = Path(config.paths.root), True
    match command:
        case "sweep":
            return runs.sweep(given.pop("file"), Request(**given))
        case "results":
            return publish.make_results(root, **given)
        case "captures":
            for path in captures.take_captures(config):
                print(os.path.relpath(path), flush=True)
            return True
        case "compare":
            print("comparison:", os.path.relpath(runs.compare(root, **given)))
        case "reproduce":
            same = runs.reproduce(root, **given)
    print("all runs:", os.path.relpath(runs.write_index(root)))
    return same


if __name__ == "__main__":
    sys.exit(main())
