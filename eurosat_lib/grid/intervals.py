"""Intervals of a mean from few independent units, and the level they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import ttest_1samp

# An answer of the report makes at most eight comparisons of factors: its intervals hold together
# with probability 95 % (Bonferroni), so each is drawn at 1 - 0.05 / 8.
TOGETHER = 8
LEVEL = 1 - 0.05 / TOGETHER
FEWEST = 3  # units below which no interval is given
SAME = 1e-9  # a spread of units below this is rounding: it supports no interval either


def mean_interval(units: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Student's interval of the mean of independent units, by SciPy.

    Args:
        units: one value per independent unit (a block of pairs, a seed).
        level: probability that the interval covers the mean.

    Returns:
        Bounds; ``None`` below three units, or if they do not differ at all.
    """
    if len(units) < FEWEST or np.std(units) < SAME:
        return None
    interval = ttest_1samp(units, 0.0).confidence_interval(level)
    return float(interval.low), float(interval.high)
