"""Intervals of proportions and means; scores of a classifier with theirs."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm, t
from sklearn.metrics import confusion_matrix

RESAMPLES = 2000  # of the bootstrap: its noise moves a bound by less than a tenth of the width
SEED = 0  # of the bootstrap
LEVEL = 0.95  # of every interval, where it is taken alone
FEWEST = 3  # values from which on a mean has an interval
Bounds = tuple[float, float]


def wilson(successes: int, n: int, level: float = LEVEL) -> Bounds:
    """Wilson score interval of a proportion (Wilson 1927), by SciPy; [0, 1] if ``n`` is 0.

    A maximum over epochs is no such proportion: too high, and the interval too narrow.
    """
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def newcombe(x1: int, n1: int, x2: int, n2: int, level: float = LEVEL) -> Bounds:
    """Interval of p1 - p2 from two Wilson intervals (Newcombe 1998, Stat. Med. 17, method 10).

    ``n1`` and ``n2`` are 1 at least.
    """
    (l1, u1), (l2, u2) = wilson(x1, n1, level), wilson(x2, n2, level)
    p1, p2 = x1 / n1, x2 / n2
    below, above = np.hypot(p1 - l1, u2 - p2), np.hypot(u1 - p1, p2 - l2)
    return float(p1 - p2 - below), float(p1 - p2 + above)


def paired_difference(only_first: int, only_second: int, n: int, level: float = LEVEL) -> Bounds:
    """Interval of p1 - p2 over the same ``n`` images, of which some are right in one case only.

    Adjusted Wald interval (Bonett & Price 2012, doi:10.3102/1076998611411915).
    """
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    center = first - second
    width = norm.ppf((1 + level) / 2) * math.sqrt((first + second - center**2) / (n + 2))
    return float(center - width), float(center + width)


def mean_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Bounds:
    """Student's interval of the mean of independent values, two at least; level in (0, 1)."""
    values, n = np.asarray(values, dtype=np.float64), len(values)
    width = t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - width), float(values.mean() + width)


def summarise_seeds(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean, standard deviation (of two) and Student's interval (of three), or ``None``."""
    low, high = mean_interval(values) if len(values) >= FEWEST else (None, None)
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "sd": sd, "low": low, "high": high}


def class_scores(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Score int64 labels and predictions (N,), numbers of ``classes``, with intervals.

    ``per_class`` also counts the images that are of a class (``support``), said to be of it
    (``predicted``), and both (``hits``). ``macro_f1`` is the mean over classes that have images.
    """
    matrix = confusion_matrix(labels, predicted, labels=range(len(classes)))
    counts = (counts.tolist() for counts in (matrix.sum(1), matrix.sum(0), matrix.diagonal()))
    per_class = [_score(*one) for one in zip(classes, *counts, strict=True)]
    return {
        "macro_f1": float(np.mean([one["f1"] for one in per_class if one["support"]])),
        "macro_f1_interval": macro_f1_interval(matrix),
        "per_class": per_class,
        "confusion": matrix.tolist(),
    }


def _score(name: str, support: int, said: int, hits: int) -> dict[str, Any]:
    """Score a class from its counts: ``support`` images are of it, ``said`` are called so.

    ``hits`` are both. F1 = 2 J / (1 + J), with J (Jaccard's index) the share of hits among the
    images of the class or called so: it grows with J, so Wilson's bounds of J give those of F1.
    """
    low, high = wilson(hits, support + said - hits)
    return {
        "name": name,
        "precision": hits / max(said, 1),
        "precision_interval": wilson(hits, said),
        "recall": hits / max(support, 1),
        "recall_interval": wilson(hits, support),
        "f1": 2 * hits / max(support + said, 1),
        "f1_interval": (2 * low / (1 + low), 2 * high / (1 + high)),
        **{"support": support, "predicted": said, "hits": hits},
    }


def macro_f1_interval(matrix: np.ndarray, resamples: int = RESAMPLES) -> Bounds:
    """Percentile bootstrap interval of the macro-F1 (Efron & Tibshirani 1993, chapter 13).

    Images drawn again are cells of the confusion matrix (K, K) drawn from a multinomial law.
    """
    total, size = int(matrix.sum()), len(matrix)
    draws = np.random.default_rng(SEED).multinomial(total, matrix.ravel() / total, resamples)
    draws = draws.reshape(resamples, size, size)
    scores = 2 * np.diagonal(draws, axis1=1, axis2=2) / np.maximum(draws.sum(2) + draws.sum(1), 1)
    values = np.compress(matrix.sum(1) > 0, scores, axis=1).mean(1)
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
