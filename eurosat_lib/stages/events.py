"""TensorBoard runs of what is no training of the network: sweeps, images learnt by heart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from eurosat_lib.checks import Overfit, ShuffledLabels
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.record import Record
from eurosat_lib.tracking import keep_only, write_run


def content_key(record: Record) -> str:
    """Hash what a record says."""
    return hashlib.sha256(record.model_dump_json().encode()).hexdigest()


def sweeps(folder: Path, result: LRFinder) -> None:
    """Write a run per sweep of the learning rate; the rest of the folder goes."""
    keep_only(folder, [f"seed{sweep.seed}" for sweep in result.sweeps])
    for sweep in result.sweeps:
        series = {
            "lr_finder/lr": list(enumerate(sweep.lr, start=1)),
            "lr_finder/loss": list(enumerate(sweep.loss, start=1)),
            "lr_finder/smoothed": list(enumerate(sweep.smoothed, start=1)),
        }
        write_run(folder / f"seed{sweep.seed}", content_key(sweep), series)


def overfit(folder: Path, result: Overfit) -> None:
    """Write the run of the images learnt by heart; the rest of the folder goes."""
    name = f"{result.size}_images"
    keep_only(folder, [name])
    series = _learning(result.losses, result.accuracies)
    write_run(folder / name, content_key(result), series)


def shuffled(folder: Path, result: ShuffledLabels) -> None:
    """Write a run per draw, with true and with shuffled labels; the rest of the folder goes."""
    learnt = {
        f"draw{number}_{kind}": getattr(pair, kind)
        for number, pair in enumerate(result.pairs)
        for kind in ("true", "shuffled")
    }
    keep_only(folder, learnt)
    for name, memory in learnt.items():
        series = _learning(memory.losses, memory.accuracies)
        write_run(folder / name, content_key(memory), series)


def _learning(
    losses: Sequence[float], accuracies: Sequence[float]
) -> dict[str, list[tuple[int, float]]]:
    columns = {"train/loss": losses, "train/accuracy": accuracies}
    return {tag: list(enumerate(values, start=1)) for tag, values in columns.items()}
