"""The log of when the test split was opened."""

from __future__ import annotations

import csv

from eurosat_lib.config import Config
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.stages import files


def log_opening(config: Config, result: Evaluation, opened: str) -> None:
    """Note when the test split was opened for a checkpoint: one row each, in order.

    Args:
        config: for the folder of the run.
        result: scores of the checkpoint.
        opened: date and time, ISO 8601, UTC.
    """
    path, rows = config.paths.artifacts / "test_openings.csv", []
    if path.is_file():
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    row = {
        "opened": opened,
        "checkpoint": result.checkpoint,
        "configuration": result.hyperparameters.name,
        "seed": str(result.seed),
        "epoch": str(result.epoch),
        "sha256": result.checkpoint_sha256,
        "images": str(result.n),
    }
    rows = [{key: old.get(key) or "" for key in row} for old in rows]  # of an older form too
    if row not in rows:
        files.write_csv(path, [*rows, row])
