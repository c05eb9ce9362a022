"""Times of whole pieces of work: decoding, LR finder, one trial, rendering; how they grow."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from eurosat_lib.bench.loops import our_seconds
from eurosat_lib.bench.rows import Row
from eurosat_lib.config import Config, override
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.grid import grid_points
from eurosat_lib.lr_finder import sweep
from eurosat_lib.model import build_model, count_parameters
from eurosat_lib.training import Plan, fit

IMAGES = (1000, 4000, 16000)
WIDTHS = (0.25, 0.5, 1.0)  # of the configuration's channels


def decoding(config: Config) -> list[Row]:
    """Time the decoding of the whole set into an empty cache, and its loading from there."""
    seconds, count = [], 0
    with tempfile.TemporaryDirectory() as folder, _variable("EUROSAT_CACHE", folder):
        for _ in range(2):
            start = time.perf_counter()
            dataset = load_dataset(config)
            seconds.append(time.perf_counter() - start)
        count = sum(map(len, (dataset.train, dataset.validation, dataset.test)))
    verb = "draw" if dataset.source.synthetic else "decode"
    return [
        Row("stage", f"{verb} {count:,} images, empty cache", seconds[0], "s", 1),
        Row("stage", f"load {count:,} images from the cache", seconds[1], "s", 1),
    ]


def stages(config: Config, dataset: EuroSAT) -> list[Row]:
    """Time one sweep of the LR finder and one trial of the grid, from nothing kept."""
    name = f"{config.profile} profile"
    start = time.perf_counter()
    sweep(config, dataset, config.lr_finder.seeds[0])
    swept = time.perf_counter() - start
    point = grid_points(config, (config.train.fallback_lr,))[0]
    plan = Plan(point, config.grid.epochs, config.grid.train_limit)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fit(config, dataset, plan, Path(folder, "work"), Path(folder, "run"))
        trained = time.perf_counter() - start
    steps, epochs = config.lr_finder.iterations, config.grid.epochs
    return [
        Row("stage", f"LR finder, one sweep of {steps} steps, {name}", swept, "s", 1),
        Row("stage", f"grid, one trial of {epochs} epochs, {name}", trained, "s", 1),
    ]


def rendering(config: Config) -> list[Row]:
    """Time the binding of the executed notebooks, if a report was built before."""
    from eurosat_lib.report.assemble import assemble
    from eurosat_lib.report.runner.incremental import read_record
    from eurosat_lib.report.runner.runcard import report_meta

    executed = sorted((config.paths.reports / "notebooks").glob("0*.ipynb"))
    if not executed:
        return []
    meta = report_meta(config, [read_record(path) for path in executed])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, pdf in (("HTML", None), ("HTML and PDF", Path(folder, "r.pdf"))):
            start = time.perf_counter()
            assemble(executed, meta, Path(folder, "r.html"), pdf)
            seconds = time.perf_counter() - start
            rows.append(Row("stage", f"bind {len(executed)} notebooks, {what}", seconds, "s", 1))
    return rows


def scaling(config: Config, dataset: EuroSAT, steps: int) -> list[Row]:
    """Time an epoch over 1k, 4k and 16k images, and a step for networks of other widths."""
    rows, batch = [], config.data.batch_size
    for count in (n for n in IMAGES if n <= len(dataset.train)):
        seconds = our_seconds(config, dataset.train, 2, count // batch, True) * count
        what = f"one epoch over {count:,} images, {config.profile} profile"
        rows.append(
            Row("scaling", what, seconds, "s", 1, note=f"{1e6 * seconds / count:.0f} µs/image")
        )
    for width in WIDTHS:
        channels = [max(1, round(width * c)) for c in config.model.channels]
        wide = override(config, {"model.channels": channels})
        seconds = our_seconds(wide, dataset.train, 2, steps, True)
        parameters = count_parameters(build_model(wide, 2))
        what = f"training, {parameters:,} parameters, {config.profile} profile"
        rows.append(Row("scaling", what, 1e6 * seconds, "µs/image", 1))
    return rows


def memory(device: torch.device) -> Row:
    """Return the highest memory use so far: of the process, or of the GPU."""
    if device.type == "cuda":
        return Row("memory", "peak GPU memory", torch.cuda.max_memory_allocated() / 1e6, "MB", 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scale = 1 if os.uname().sysname == "Darwin" else 1024  # kilobytes on Linux
    return Row("memory", "peak memory of the process", peak * scale / 1e6, "MB", 1)


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
