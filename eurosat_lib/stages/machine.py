"""Which processor computed a result: device names such as ``AMD EPYC`` cover several."""

from __future__ import annotations

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
PARTS = {"vendor_id": "", "cpu family": "family ", "model": "model ", "stepping": "stepping "}


def processor(source: Path = CPUINFO) -> str:
    """Identify the processor, for instance ``AuthenticAMD family 25 model 17 stepping 1``.

    Args:
        source: in the form of Linux's ``/proc/cpuinfo``; elsewhere the system's own name is used.
    """
    try:
        lines = source.read_text(encoding="ascii", errors="ignore").splitlines()
    except OSError:
        lines = []
    pairs = [[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]
    known = {name: value for name, value in reversed(pairs)}  # the first core's
    words = [f"{label}{known[name]}" for name, label in PARTS.items() if known.get(name)]
    return " ".join(words) or platform.processor() or platform.machine()
