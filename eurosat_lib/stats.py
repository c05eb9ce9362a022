"""Intervals and tests of proportions and means; scores of a classifier with theirs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm, t
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from eurosat_lib.stages import Record

RESAMPLES = 2000  # of the bootstrap: its noise moves a bound by less than a tenth of the width
SEED = 0  # of the bootstrap
FEWEST = 3  # values from which on a mean has an interval
Bounds = tuple[float, float]


def wilson(successes: int, n: int, level: float) -> Bounds:
    """Wilson score interval of a proportion (Wilson 1927), by SciPy; [0, 1] if ``n`` is 0.

    A maximum over epochs is no such proportion: too high, and the interval too narrow.
    """
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def newcombe(x1: int, n1: int, x2: int, n2: int, level: float) -> Bounds:
    """Interval of p1 - p2 from two Wilson intervals (Newcombe 1998, Stat. Med. 17, method 10)."""
    (l1, u1), (l2, u2) = wilson(x1, n1, level), wilson(x2, n2, level)
    p1, p2 = x1 / n1, x2 / n2
    below = float(np.hypot(p1 - l1, u2 - p2))
    above = float(np.hypot(u1 - p1, p2 - l2))
    return p1 - p2 - below, p1 - p2 + above


def paired_difference(only_first: int, only_second: int, n: int, level: float) -> Bounds:
    """Interval of the difference p1 - p2 of two proportions over the same images.

    Of ``n`` images, some are right in one case only. Adjusted Wald interval (Bonett & Price 2012,
    J. Educ. Behav. Stat. 37, doi:10.3102/1076998611411915): one more for each way of disagreeing.
    """
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    center = first - second
    width = norm.ppf((1 + level) / 2) * math.sqrt((first + second - center**2) / (n + 2))
    return float(center - width), float(center + width)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test: discordant images are a fair coin's tosses."""
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def mean_interval(values: Sequence[float] | np.ndarray, level: float) -> Bounds:
    """Student's interval of the mean of independent values, two at least; level in (0, 1)."""
    values, n = np.asarray(values, dtype=np.float64), len(values)
    width = t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - width), float(values.mean() + width)


def summarise_seeds(values: Sequence[float], level: float) -> dict[str, float | None]:
    """Return mean, standard deviation and Student's interval of the mean, one value per seed.

    One seed has no spread and two have no interval: ``None``.
    """
    low, high = mean_interval(values, level) if len(values) >= FEWEST else (None, None)
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "sd": sd, "low": low, "high": high}


class ClassScore(Record):
    """Scores of one class on the test split."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int  # images of the class
    predicted: int  # images said to be of the class
    hits: int  # images of the class said to be of it

    def interval(self, score: str, level: float) -> Bounds:
        """Interval of ``precision``, ``recall`` or ``f1``, as that of a proportion (Wilson).

        F1 = 2 J / (1 + J), where J is the share of hits among the images that are of the class
        or said to be of it: the bounds of J give those of F1.
        """
        union = self.support + self.predicted - self.hits
        n = {"precision": self.predicted, "recall": self.support, "f1": union}[score]
        low, high = wilson(self.hits, n, level)
        return (2 * low / (1 + low), 2 * high / (1 + high)) if score == "f1" else (low, high)


def class_scores(
    labels: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...], level: float = 0.95
) -> dict:
    """Compute macro-F1 with its interval, per-class scores and the confusion matrix.

    ``labels`` and ``predicted`` are int64 (N,), numbers of ``classes``.
    """
    numbers = range(len(classes))
    columns = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0.0)
    matrix = confusion_matrix(labels, predicted, labels=numbers)
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), columns, strict=True)))
    table = table.assign(name=classes, predicted=matrix.sum(0), hits=matrix.diagonal())
    return {
        "macro_f1": float(columns[2][columns[3] > 0].mean()),
        "macro_f1_interval": macro_f1_interval(matrix, level),
        "per_class": tuple(ClassScore(**row) for row in table.to_dict("records")),
        "confusion": tuple(map(tuple, matrix.tolist())),
    }


def macro_f1_interval(matrix: np.ndarray, level: float, resamples: int = RESAMPLES) -> Bounds:
    """Percentile bootstrap interval of the macro-F1 (Efron & Tibshirani 1993, chapter 13).

    Drawing images again with replacement is drawing the cells of the confusion matrix (K, K), a
    row per true class, from a multinomial law.
    """
    total, size = int(matrix.sum()), len(matrix)
    draws = np.random.default_rng(SEED).multinomial(total, matrix.ravel() / total, resamples)
    draws = draws.reshape(resamples, size, size)
    scores = 2 * np.diagonal(draws, axis1=1, axis2=2) / np.maximum(draws.sum(2) + draws.sum(1), 1)
    values = np.compress(matrix.sum(1) > 0, scores, axis=1).mean(1)
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
