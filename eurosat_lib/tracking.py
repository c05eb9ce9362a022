"""TensorBoard: write the runs, read them back for the figures."""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd

from eurosat_lib.files import write_text

TRAINING_TAGS = {
    "train/loss": "train_loss",
    "train/accuracy": "train_accuracy",
    "val/loss": "val_loss",
    "val/accuracy": "val_accuracy",
    "train/lr": "lr",
    "train/grad_norm": "grad_norm",
}
MARKER = "stage.txt"  # beside the events: key of the result they show


@dataclass(frozen=True)
class Run:
    """What one finished run shows."""

    series: Mapping[str, Sequence[float]]  # by tag: the values of steps 1, 2 …
    hparams: Mapping[str, float | int | str] = field(default_factory=dict)  # for the HParams tab
    metrics: Mapping[str, float] = field(default_factory=dict)  # shown beside them, by tag
    seconds: Mapping[int, float] = field(default_factory=dict)  # step -> since the start


class LiveRun(AbstractContextManager):
    """Writer of one run, for a training in progress; begins with an empty folder."""

    def __init__(self, folder: Path) -> None:
        """Start over."""
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder), flush_secs=5)

    def __exit__(self, *_: object) -> None:
        """Flush and close."""
        self.writer.close()

    def epoch(self, record: Mapping[str, float]) -> None:
        """Log what was measured of one epoch under ``TRAINING_TAGS``; the step is the epoch."""
        for tag, name in TRAINING_TAGS.items():
            self.writer.add_scalar(tag, record[name], record["epoch"])
        self.writer.flush()  # whoever watches the run sees the epoch now


def write_runs(folder: Path, runs: Mapping[str, Run]) -> None:
    """Write the runs of a stage, by name; others in the folder, of earlier settings, go."""
    for path in folder.glob("*"):
        if path.is_dir() and path.name not in runs:
            shutil.rmtree(path, ignore_errors=True)
    for name, run in runs.items():
        write_run(folder / name, run)


def write_run(folder: Path, run: Run) -> None:
    """Write one finished run, replacing what the folder holds; nothing if it is there already."""
    key = hashlib.sha256(json.dumps(asdict(run), sort_keys=True).encode()).hexdigest()
    if run_key(folder) == key:
        return
    start = time.time() - max(run.seconds.values(), default=0.0)
    with LiveRun(folder) as live:
        for tag, values in run.series.items():
            for step, value in enumerate(values, start=1):
                live.writer.add_scalar(tag, value, step, start + run.seconds.get(step, 0.0))
        if run.hparams:  # in this run, not in one below
            live.writer.add_hparams(run.hparams, run.metrics, run_name=".")
    write_text(folder / MARKER, key)


def run_key(folder: Path) -> str:
    """Return the key of the result that a finished run shows; empty for any other folder."""
    marker = folder / MARKER
    return marker.read_text("utf-8", errors="replace") if marker.is_file() else ""


def read_run(folder: Path) -> dict[str, pd.Series]:
    """Read the scalars of one run: tag -> values indexed by step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = events.Tags()["scalars"]
    return {tag: pd.Series({one.step: one.value for one in events.Scalars(tag)}) for tag in tags}
