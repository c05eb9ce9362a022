"""Confidence intervals and exact tests of proportions, and of means over images."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest, norm, t


def wilson(successes: int, n: int, level: float) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927), by SciPy; [0, 1] if ``n`` is 0."""
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def newcombe(x1: int, n1: int, x2: int, n2: int, level: float) -> tuple[float, float]:
    """Interval of p1 - p2 from two Wilson intervals (Newcombe 1998, Stat. Med. 17, method 10)."""
    (l1, u1), (l2, u2) = wilson(x1, n1, level), wilson(x2, n2, level)
    p1, p2 = x1 / n1, x2 / n2
    below = float(np.hypot(p1 - l1, u2 - p2))
    above = float(np.hypot(u1 - p1, p2 - l2))
    return p1 - p2 - below, p1 - p2 + above


def paired_difference(only_first: int, only_second: int, n: int, level: float) -> tuple:
    """Interval of the difference of two proportions over the same images.

    Adjusted Wald interval (Bonett & Price 2012, J. Educ. Behav. Stat. 37, doi:10.3102/
    1076998611411915): one image is added to each way of disagreeing.

    Args:
        only_first: images that only the first got right.
        only_second: images that only the second got right.
        n: images.
        level: of the interval, in (0, 1).

    Returns:
        Bounds of p1 - p2.
    """
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    center = first - second
    width = norm.ppf((1 + level) / 2) * math.sqrt((first + second - center**2) / (n + 2))
    return float(center - width), float(center + width)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test: the discordant images are a fair coin's tosses.

    Args:
        only_first: images that only the first classifier got right.
        only_second: images that only the second got right.
    """
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def mean_interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Student's interval of the mean of independent values.

    Args:
        values: float (N,), N at least 2.
        level: of the interval, in (0, 1).
    """
    n = len(values)
    width = t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - width), float(values.mean() + width)
