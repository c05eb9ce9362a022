"""Rules that read a learning-rate curve: pure functions on arrays."""

from __future__ import annotations

import numpy as np

FLAT = 0.05  # a smoothed loss that falls by less than this share has nothing to say
START = 0.1  # first share of the sweep: the plateau that a fall is measured from
SKIP_END = 5  # points before the stop, already diverging


def smooth(losses: np.ndarray, factor: float) -> np.ndarray:
    """Exponential moving average, corrected for its start as Adam's moments are.

    Args:
        losses: float64 (n,).
        factor: weight of the past, in [0, 1).

    Returns:
        float64 (n,); the first value is the first loss.
    """
    average, smoothed = 0.0, np.empty(len(losses))
    for step, loss in enumerate(losses):
        average = factor * average + (1 - factor) * loss
        smoothed[step] = average / (1 - factor ** (step + 1))
    return smoothed


def suggest(lr: np.ndarray, smoothed: np.ndarray, ended: bool = True) -> dict[str, float]:
    """Read a curve by three rules.

    - ``steepest``: where the smoothed loss falls fastest per decade of learning rate; the first
      tenth of the sweep, whose average is that of few batches, is left out.
    - ``valley``: two thirds of the way, in log-lr, along the longest fall, small rises skipped.
    - ``minimum/10``: a tenth of the learning rate at the lowest loss.

    Args:
        lr: float64 (n,), increasing geometrically.
        smoothed: float64 (n,), nats.
        ended: the sweep went to its last rate, instead of stopping at a divergence.

    Returns:
        rule -> learning rate; empty where :func:`fault` has something to say.
    """
    return {} if fault(lr, smoothed, ended) else _read(lr, smoothed)


def fault(lr: np.ndarray, smoothed: np.ndarray, ended: bool = True) -> str:
    """Say why a curve supports no suggestion: ``short``, ``flat``, ``start``, ``end``, or empty.

    Args:
        lr: float64 (n,), increasing geometrically.
        smoothed: float64 (n,), nats.
        ended: the sweep went to its last rate, instead of stopping at a divergence.

    Returns:
        ``short``: fewer than three points. ``flat``: the loss never falls by 5 % below its
        median over the first tenth of the sweep. ``start``, ``end``: its minimum, or what a rule
        reads, is at that edge of the sweep.
    """
    whole, smoothed = smoothed, _before_the_end(smoothed)
    if len(smoothed) < 3:
        return "short"
    bottom, first = int(smoothed.argmin()), _plateau(smoothed)
    if smoothed[bottom] > (1 - FLAT) * np.median(smoothed[: first + 1]):
        return "flat"
    if bottom <= first:
        return "start"
    if ended and bottom == len(smoothed) - 1:
        return "end"
    return "start" if min(_read(lr, whole).values()) <= lr[first] else ""


def _plateau(smoothed: np.ndarray) -> int:
    """Count the points at the start whose average is still that of few batches."""
    return max(2, round(START * len(smoothed)))


def _read(lr: np.ndarray, smoothed: np.ndarray) -> dict[str, float]:
    lr, smoothed = _before_the_end(lr), _before_the_end(smoothed)
    bottom, first = int(smoothed.argmin()), _plateau(smoothed)
    slope = np.gradient(smoothed, np.log10(lr))
    start, end = _longest_fall(smoothed)
    valley = start + 2 * (end - start) // 3
    return {
        "steepest": float(lr[first + int(slope[first : bottom + 1].argmin())]),
        "valley": float(lr[valley]),
        "minimum/10": float(lr[bottom] / 10),
    }


def _before_the_end(values: np.ndarray) -> np.ndarray:
    return values[:-SKIP_END] if len(values) > 4 * SKIP_END else values


def _longest_fall(values: np.ndarray) -> tuple[int, int]:
    """Return first and last index of the longest decreasing subsequence (fastai's valley)."""
    length = np.ones(len(values), dtype=int)
    origin = np.arange(len(values))
    for i in range(1, len(values)):
        above = np.flatnonzero(values[:i] > values[i])
        if len(above):
            j = above[length[above].argmax()]
            length[i], origin[i] = length[j] + 1, origin[j]
    end = int(length.argmax())
    return int(origin[end]), end


def round_digits(value: float, digits: int = 2) -> float:
    """Round to a number of significant digits."""
    return float(f"{value:.{digits - 1}e}")
