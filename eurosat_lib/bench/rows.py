"""One row of the benchmark, and how rows become lines of a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Row:
    """One measurement: a median, and where it makes sense what it is compared with."""

    section: str  # "loop", "limit", "augmentation", "stage", "memory", "scaling"
    what: str
    value: float
    unit: str
    n: int  # repetitions under the median
    reference: float | None = None  # the same by the usual way, same unit
    ratio: float | None = None  # median over rounds of reference / value
    note: str = ""

    def line(self) -> str:
        """Write the row as a line of the console's table."""
        usual = "" if self.reference is None else f"usual {self.reference:10.1f}"
        ratio = "" if self.ratio is None else f"x {self.ratio:6.2f}"
        value = f"{self.value:10.2f} {self.unit:<9}"
        return f"{self.what:<46} {value} {usual:<17} {ratio:<9} n={self.n}  {self.note}".rstrip()


def clock(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that some work takes, the device's part included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], device: torch.device, n: int) -> float:
    """Return the median of ``n`` timings, after one that does not count."""
    work()
    return statistics.median(clock(work, device) for _ in range(n))
