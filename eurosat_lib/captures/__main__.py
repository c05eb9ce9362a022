"""Command line: ``python -m eurosat_lib.captures`` photographs the run's TensorBoard."""

from __future__ import annotations

import argparse
import os
import sys

from eurosat_lib.captures.album import take_captures
from eurosat_lib.config import configure
from eurosat_lib.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.captures", description=__doc__)
    parser.add_argument("--config", default="configs/config.yaml", help="YAML file")
    parser.add_argument("--name", default="", help="of the run: runs/NAME, artifacts/NAME")
    options = parser.parse_args(arguments)
    try:
        config = configure(options.config, "quick", name=options.name)  # only its folders
        for capture in take_captures(config):
            size = capture.path.stat().st_size / 1000
            print(f"{os.path.relpath(capture.path)} · {size:.0f} kB", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("make report puts them into the report")
    return 0


if __name__ == "__main__":
    sys.exit(main())
