"""The log of when the test split was opened, and what for."""

from __future__ import annotations

import csv

from eurosat_lib.config import Config
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.stages import files

# What a tested checkpoint is: the run's own, one that the configuration names, a finalist, the
# final training from another seed, the one on the spatial split, or that of a recipe.
FINAL, GIVEN, FINALIST, SEED, SPATIAL = "final", "given", "finalist", "seed", "spatial"
RECIPE = "recipe"


def log_opening(
    config: Config, result: Evaluation, opened: str, role: str, label: str = ""
) -> None:
    """Note when the test split was opened for a checkpoint: one row each, in order.

    Args:
        config: for the folder of the run.
        result: scores of the checkpoint.
        opened: date and time, ISO 8601, UTC.
        role: one of the names above.
        label: of the configuration; its hyperparameters if not given.
    """
    path, rows = config.paths.artifacts / "test_openings.csv", []
    if path.is_file():
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    row = {
        "opened": opened,
        "role": role,
        "checkpoint": result.checkpoint,
        "configuration": label or result.hyperparameters.name,
        "seed": str(result.seed),
        "epoch": str(result.epoch),
        "sha256": result.checkpoint_sha256,
        "images": str(result.n),
    }
    rows = [{key: old.get(key) or "" for key in row} for old in rows]  # of an older form too
    nameless = row | {"role": ""}
    if row not in rows:
        rows = [row if old == nameless else old for old in rows]
        files.write_csv(path, rows if row in rows else [*rows, row])
