"""Comparisons of the two loops, and the machine's own limit."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from eurosat_lib.bench.loops import our_seconds, usual_seconds
from eurosat_lib.config import Config
from eurosat_lib.data import Split, load_dataset
from eurosat_lib.model import build_model, layer_table
from eurosat_lib.runtime import Runtime, describe_device, describe_environment

MATRIX = 2048  # side of the matrices of the peak measurement
LOOPS = (usual_seconds, our_seconds)


def peak_flops(config: Config) -> float:
    """Measure the machine's matrix product, in the precision of the training: operations/s."""
    runtime = Runtime.of(config)
    dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    a = torch.randn(MATRIX, MATRIX, device=runtime.device, dtype=dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        float((a @ a)[0, 0])  # waits for the device
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / statistics.median(times[1:])


def measure(config: Config, steps: int, rounds: int) -> dict[str, Any]:
    """Run all comparisons; within a round the two loops follow each other.

    Args:
        config: network, batch size, device.
        steps: timed batches of each run.
        rounds: repetitions, over which medians are taken.

    Returns:
        Machine, versions, and one row per comparison (see :func:`compare`).
    """
    runtime, peak = Runtime.of(config), peak_flops(config)
    split = load_dataset(config).train
    rows = []
    for blocks in sorted(set(config.grid.blocks_per_stage)):
        for train in (True, False):
            rows.append(compare(config, split, blocks, train, steps, rounds, peak))
            print(format_row(rows[-1]), flush=True)
    return {
        "device": describe_device(runtime),
        "precision": runtime.precision,
        "environment": describe_environment(),
        "profile": config.profile,
        "batch_size": config.data.batch_size,
        "steps": steps,
        "rounds": rounds,
        "peak_gflops": peak / 1e9,
        "rows": rows,
    }


def compare(
    config: Config, split: Split, blocks: int, train: bool, steps: int, rounds: int, peak: float
) -> dict[str, Any]:
    """Time both loops in turn: microseconds per image (medians), ratio, share of the peak."""
    pairs = [
        tuple(time_loop(config, split, blocks, steps, train) for time_loop in LOOPS)
        for _ in range(rounds)
    ]
    usual, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    shape = (3, config.data.image_size, config.data.image_size)
    macs = sum(row.macs for row in layer_table(build_model(config, blocks), shape))
    return {
        "what": "train" if train else "evaluate",
        "blocks": blocks,
        "usual_us": usual * 1e6,
        "ours_us": ours * 1e6,
        "speedup": statistics.median(a / b for a, b in pairs),
        "peak_share": 2 * macs * (3 if train else 1) / ours / peak,
    }


def format_row(row: dict[str, Any]) -> str:
    """Write one comparison as a line of the console's table."""
    return (
        f"{row['what']:<9} {row['blocks']} blocks   usual {row['usual_us']:9.1f} us/image   "
        f"ours {row['ours_us']:9.1f} us/image   x {row['speedup']:5.2f}   "
        f"{row['peak_share']:6.1%} of the matmul peak"
    )
