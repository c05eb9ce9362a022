"""Command line of the report: ``python -m eurosat_lib.report build`` and what is beside it.

What takes a while is imported when it is needed, so that Ctrl-C is heard from the start. The
arguments are those of make, which ``make help`` explains.
"""

try:
    import sys

    from eurosat_lib.errors import exit_code, stop_at_once

    if __name__ == "__main__":
        stop_at_once()
except KeyboardInterrupt:  # within the first 0.1 s
    raise SystemExit(130) from None

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
    return exit_code(lambda: _run(**_parsed(arguments)))


def _parsed(arguments: list[str] | None) -> dict[str, str]:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.report")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, (text, *names) in COMMANDS.items():
        own = commands.add_parser(command, help=text)
        for name in names:
            own.add_argument(name, default="")
    return vars(parser.parse_args(arguments))


def _run(command: str, **given: str) -> bool | None:
    """Run a command, name the files it made; ``False`` if something failed without an error."""
    import os
    from pathlib import Path

    from eurosat_lib.config import configure
    from eurosat_lib.errors import hear_signals
    from eurosat_lib.report.plan import parameters
    from eurosat_lib.report.run import build

    if command == "build":
        hear_signals()
        only = given.pop("only")
        made = build(parameters(**given), only)
    else:
        from eurosat_lib.captures import take_captures
        from eurosat_lib.report import publish, runs

        config = configure({"name": given.get("name")})
        root = Path(config.paths.root)
        hear_signals()
    match command:
        case "sweep":
            return runs.sweep(given.pop("file"), parameters(**given))
        case "reproduce":
            return runs.reproduce(root, **given)
        case "results":
            return publish.make_results(root, **given)
        case "captures":
            made = take_captures(config)
        case "compare":
            made = [runs.compare(root, **given), runs.write_index(root)]
        case "index":
            made = [runs.write_index(root)]
    for path in made:
        print("made:", os.path.relpath(path), flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
