"""Command line of the benchmark: console table and ``artifacts/bench.json``."""

from __future__ import annotations

import argparse
import sys

from eurosat_lib.bench.measure import measure
from eurosat_lib.config import load_config
from eurosat_lib.errors import UserError
from eurosat_lib.stages.files import write_json


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark, write ``artifacts/bench.json``; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.bench", description=__doc__)
    parser.add_argument("--config", default="configs/config.yaml", help="YAML file")
    parser.add_argument("--profile", default="full", help="quick or full")
    parser.add_argument("--data", default="synthetic", help="source of the images")
    parser.add_argument("--steps", type=int, default=6, help="timed batches of each run")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions")
    options = parser.parse_args(arguments)
    try:
        if min(options.steps, options.rounds) < 1:
            raise UserError("--steps and --rounds must be at least 1")
        config = load_config(options.config, options.profile, {"data.source": options.data})
        result = measure(config, options.steps, options.rounds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    path = config.paths.artifacts / "bench.json"
    write_json(path, result)
    print(f"{result['device']}, {result['precision']}, medians of {options.rounds}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
