"""Confidence intervals of proportions."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest


def wilson(successes: int, n: int, level: float) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927), by SciPy."""
    interval = binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def newcombe(x1: int, n1: int, x2: int, n2: int, level: float) -> tuple[float, float]:
    """Interval of p1 - p2 from two Wilson intervals (Newcombe 1998, Stat. Med. 17, method 10)."""
    (l1, u1), (l2, u2) = wilson(x1, n1, level), wilson(x2, n2, level)
    p1, p2 = x1 / n1, x2 / n2
    below = float(np.hypot(p1 - l1, u2 - p2))
    above = float(np.hypot(u1 - p1, p2 - l2))
    return p1 - p2 - below, p1 - p2 + above
