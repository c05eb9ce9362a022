"""TensorBoard: write the runs, read them back for the figures."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eurosat_lib.files import write_text

if TYPE_CHECKING:
    import pandas as pd

TRAINING_TAGS = {
    "train/loss": "train_loss",
    "train/accuracy": "train_accuracy",
    "val/loss": "val_loss",
    "val/accuracy": "val_accuracy",
    "train/lr": "lr",
    "train/grad_norm": "grad_norm",
}
MARKER = "stage.txt"  # beside the events: key of the result they show
Points = list[tuple[int, float]]  # (step, value)


@dataclass(frozen=True)
class Run:
    """What one finished run shows."""

    series: Mapping[str, Points]  # by tag
    hparams: Mapping[str, float | int | str] = field(default_factory=dict)  # for the HParams tab
    metrics: Mapping[str, float] = field(default_factory=dict)  # shown beside them, by tag
    seconds: Mapping[int, float] = field(default_factory=dict)  # step -> since the start


def write_runs(folder: Path, runs: Mapping[str, Run]) -> None:
    """Write the runs of a stage, by name; others in the folder, of earlier settings, go."""
    for path in folder.glob("*"):
        if path.is_dir() and path.name not in runs:
            shutil.rmtree(path, ignore_errors=True)
    for name, run in runs.items():
        write_run(folder / name, run)


def write_run(folder: Path, run: Run) -> None:
    """Write one finished run, replacing what the folder holds; nothing if it is there already."""
    key = _digest(asdict(run))
    if run_key(folder) == key:
        return
    start = time.time() - max(run.seconds.values(), default=0.0)
    with LiveRun(folder) as live:
        for tag, points in run.series.items():
            for step, value in points:
                live.scalar(tag, value, step, start + run.seconds.get(step, 0.0))
        if run.hparams:
            live.hparams(run.hparams, run.metrics)
    write_text(folder / MARKER, key)


def write_images(folder: Path, images: Mapping[str, bytes]) -> None:
    """Write a run of PNG pictures, by tag, replacing others; nothing if they are there already."""
    key = _digest({tag: hashlib.sha256(png).hexdigest() for tag, png in images.items()})
    if run_key(folder) == key:
        return
    with LiveRun(folder) as run:
        for tag, png in images.items():
            run.image(tag, png)
    write_text(folder / MARKER, key)


class LiveRun:
    """Writer of one run, for a training in progress."""

    def __init__(self, folder: Path) -> None:
        """Start over in an empty folder."""
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder), flush_secs=5)

    def __enter__(self) -> LiveRun:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Flush and close."""
        self._writer.close()

    def scalar(self, tag: str, value: float, step: int, when: float | None = None) -> None:
        """Log one value; ``when`` in seconds since 1970, by default now."""
        self._writer.add_scalar(tag, value, step, walltime=when)

    def image(self, tag: str, png: bytes) -> None:
        """Log a picture, at step 0."""
        import numpy as np
        from PIL import Image

        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        self._writer.add_image(tag, pixels, 0, dataformats="HWC")

    def epoch(self, record: Mapping[str, float]) -> None:
        """Log what was measured of one epoch under ``TRAINING_TAGS``; the step is the epoch."""
        for tag, points in training_series([record]).items():
            for step, value in points:
                self.scalar(tag, value, step)
        self._writer.flush()  # whoever watches the run sees the epoch now

    def hparams(
        self, values: Mapping[str, float | int | str], metrics: Mapping[str, float]
    ) -> None:
        """Log hyperparameters and their metrics, in this run and not in a sub-run."""
        from torch.utils.tensorboard.summary import hparams

        for summary in hparams(dict(values), dict(metrics)):
            self._writer._get_file_writer().add_summary(summary)
        for tag, value in metrics.items():
            self.scalar(tag, value, 0)


def training_series(epochs: Iterable[Mapping[str, float]]) -> dict[str, Points]:
    """Turn epoch records into series, by tag."""
    rows = list(epochs)
    return {tag: [(int(r["epoch"]), r[name]) for r in rows] for tag, name in TRAINING_TAGS.items()}


def run_key(folder: Path) -> str:
    """Return the key of the result that a finished run shows; empty for any other folder."""
    marker = folder / MARKER
    return marker.read_text("utf-8", errors="replace") if marker.is_file() else ""


def read_run(folder: Path, tags: Iterable[str]) -> dict[str, pd.Series]:
    """Read the scalars of one run: tag -> values indexed by step."""
    import pandas as pd
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    present = set(events.Tags()["scalars"]).intersection(tags)
    return {
        tag: pd.Series({event.step: event.value for event in events.Scalars(tag)}, name=tag)
        for tag in present
    }


def _digest(content: Mapping) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
