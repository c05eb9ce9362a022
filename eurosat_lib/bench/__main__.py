"""Command line of the benchmark: console table; ``bench.json``, ``.md``, ``.svg`` in artifacts."""

from __future__ import annotations

import argparse
import sys

from eurosat_lib.bench.figure import bench_figure
from eurosat_lib.bench.measure import measure
from eurosat_lib.bench.table import bench_table
from eurosat_lib.config import load_config
from eurosat_lib.errors import UserError
from eurosat_lib.runtime import get_device
from eurosat_lib.stages.files import write_json


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark, write its files; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.bench", description=__doc__)
    parser.add_argument("--config", default="configs/config.yaml", help="YAML file")
    profiles = "profile of the loops: quick, standard or full"
    parser.add_argument("--profile", default="full", help=profiles)
    parser.add_argument("--data", default="auto", help="source of the images")
    parser.add_argument("--steps", type=int, default=6, help="timed batches of each run")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions")
    options = parser.parse_args(arguments)
    try:
        if min(options.steps, options.rounds) < 1:
            raise UserError("--steps and --rounds must be at least 1")
        source = {"data.source": options.data}
        full = load_config(options.config, options.profile, source)
        cpu = get_device(full.compute.device).type == "cpu"
        small = load_config(options.config, "quick" if cpu else options.profile, source)
        result = measure(full, small, options.steps, options.rounds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    folder = full.paths.artifacts
    write_json(folder / "bench.json", result)
    (folder / "bench.md").write_text(bench_table(result), encoding="utf-8")
    bench_figure(result).savefig(folder / "bench.svg")
    print(f"{result['device']}, {result['precision']}: {folder / 'bench.json'}, .md, .svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
