"""All measurements, in one process, one after the other."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from eurosat_lib.bench.augmentations import compare_augmentations
from eurosat_lib.bench.limits import peak_flops, share_outside_convolutions
from eurosat_lib.bench.loops import our_seconds, usual_seconds
from eurosat_lib.bench.pieces import decoding, memory, rendering, scaling, stages
from eurosat_lib.bench.rows import Row
from eurosat_lib.config import Config, override
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.model import build_model, layer_table
from eurosat_lib.runtime import Runtime, describe_device, describe_environment


def measure(full: Config, small: Config, steps: int, rounds: int) -> dict[str, Any]:
    """Measure and print, row by row.

    Args:
        full: configuration of the loops: network, batch size, device.
        small: configuration of the pieces that would take hours on a CPU with the former.
        steps: timed batches of each loop.
        rounds: repetitions, over which medians are taken.

    Returns:
        Machine, versions, settings, and the rows.
    """
    runtime = Runtime.of(full)
    rows = []
    for row in _rows(full, small, steps, rounds):
        rows.append(asdict(row))
        print(row.line(), flush=True)
    return {
        "device": describe_device(runtime),
        "precision": runtime.precision,
        "environment": describe_environment(),
        "profile": full.profile,
        "batch_size": full.data.batch_size,
        "steps": steps,
        "rounds": rounds,
        "rows": rows,
    }


def _rows(full: Config, small: Config, steps: int, rounds: int) -> Iterator[Row]:
    dataset, runtime = load_dataset(full), Runtime.of(full)
    peak = peak_flops(full)
    yield Row("limit", f"matrix product, {runtime.precision}", peak / 1e9, "GFLOP/s", 5)
    blocks = sorted(set(full.grid.blocks_per_stage))
    for count in blocks:
        for train in (True, False):
            yield _loops(full, dataset, count, train, steps, rounds, peak)
    if runtime.precision != "fp32":
        single = override(full, {"compute.precision": "fp32"})
        yield _loops(single, dataset, blocks[0], True, steps, rounds, None)
    for count in blocks:
        share = 100 * share_outside_convolutions(full, count, rounds)
        yield Row("limit", f"step outside the convolutions, {count} blocks", share, "%", rounds)
    yield memory(runtime.device)
    yield from compare_augmentations(full, dataset.train, 5 * rounds)
    yield from decoding(full)
    yield from stages(small, dataset)
    yield from scaling(small, dataset, steps)
    yield from rendering(full)


def _loops(
    config: Config,
    dataset: EuroSAT,
    blocks: int,
    train: bool,
    steps: int,
    rounds: int,
    peak: float | None,
) -> Row:
    """Time both loops in turn; within a round they follow each other."""
    split, count = (dataset.train, steps) if train else (dataset.validation, 4 * steps)
    pairs = [
        tuple(loop(config, split, blocks, count, train) for loop in (usual_seconds, our_seconds))
        for _ in range(rounds)
    ]
    usual, ours = (1e6 * statistics.median(column) for column in zip(*pairs, strict=True))
    share = _flop(config, blocks, train) / (ours / 1e6) / peak if peak else 0.0
    verb = "training" if train else "evaluation"
    what = f"{verb}, {blocks} blocks, {Runtime.of(config).precision}"
    ratio = statistics.median(a / b for a, b in pairs)
    note = f"{share:.0%} of the matrix product" if share else ""
    return Row("loop", what, ours, "µs/image", rounds, usual, ratio, note)


def _flop(config: Config, blocks: int, train: bool) -> float:
    """Operations for one image: two a multiply-accumulate, three passes in training."""
    shape = (3, config.data.image_size, config.data.image_size)
    macs = sum(row.macs for row in layer_table(build_model(config, blocks), shape))
    return 2 * macs * (3 if train else 1)
