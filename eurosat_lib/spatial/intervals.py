"""Interval of a weighted sum of proportions, from the interval of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Bounds = tuple[float, float]


def combined(
    weights: Sequence[float], values: Sequence[float], bounds: Sequence[Bounds]
) -> tuple[float, Bounds]:
    """Estimate a weighted sum of independent quantities, with its interval.

    The method of variance estimates recovery (Zou & Donner 2008, Stat. Med. 27,
    doi:10.1002/sim.3095): the distance of each bound to its estimate stands for a standard
    error. With the weights (1, -1) and Wilson's intervals it is method 10 of Newcombe (1998).

    Args:
        weights: of any sign.
        values: the estimates.
        bounds: (low, high) of each, all of the same level.

    Returns:
        The sum, and (low, high) at that level.
    """
    w, v, (low, high) = np.array(weights), np.array(values), np.array(bounds).T
    below = np.where(w > 0, w * (v - low), w * (v - high))
    above = np.where(w > 0, w * (high - v), w * (low - v))
    total = float(w @ v)
    return total, (total - float(np.hypot.reduce(below)), total + float(np.hypot.reduce(above)))
