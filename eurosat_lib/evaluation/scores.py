"""Scores of a classifier, over all classes and class by class, with their intervals."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from eurosat_lib.evaluation.intervals import wilson
from eurosat_lib.record import Record

RESAMPLES = 2000  # of the bootstrap: its noise moves a bound by less than a tenth of the width
SEED = 0  # of the bootstrap


class ClassScore(Record):
    """Scores of one class on the test split."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int  # images of the class
    predicted: int  # images said to be of the class
    hits: int  # images of the class said to be of it

    def interval(self, score: str, level: float) -> tuple[float, float]:
        """Interval of ``precision``, ``recall`` or ``f1``, as that of a proportion (Wilson).

        F1 = 2 J / (1 + J), where J is the share of hits among the images that are of the class
        or said to be of it: the bounds of J give those of F1.
        """
        if score == "precision":
            return wilson(self.hits, self.predicted, level)
        if score == "recall":
            return wilson(self.hits, self.support, level)
        low, high = wilson(self.hits, self.support + self.predicted - self.hits, level)
        return 2 * low / (1 + low), 2 * high / (1 + high)


def class_scores(
    labels: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...], level: float = 0.95
) -> dict:
    """Compute macro-F1 with its interval, per-class scores and the confusion matrix.

    Args:
        labels: int64 (N,), true classes.
        predicted: int64 (N,).
        classes: names, in the order of the labels.
        level: of the interval, in (0, 1).
    """
    numbers = range(len(classes))
    columns = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0.0)
    matrix = confusion_matrix(labels, predicted, labels=numbers)
    counts = matrix.sum(0), matrix.diagonal()
    return {
        "macro_f1": float(columns[2].mean()),
        "macro_f1_interval": macro_f1_interval(matrix, level),
        "per_class": tuple(
            ClassScore(
                name=name,
                precision=p,
                recall=r,
                f1=f,
                support=int(s),
                predicted=int(m),
                hits=int(h),
            )
            for name, p, r, f, s, m, h in zip(classes, *columns, *counts, strict=True)
        ),
        "confusion": tuple(map(tuple, matrix.tolist())),
    }


def macro_f1_interval(
    matrix: np.ndarray, level: float, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap interval of the macro-F1 (Efron & Tibshirani 1993, chapter 13).

    Drawing images again with replacement is drawing the cells of the confusion matrix from a
    multinomial law.

    Args:
        matrix: int (K, K), images by true class (rows) and prediction.
        level: of the interval, in (0, 1).
        resamples: draws.
    """
    total, size = int(matrix.sum()), len(matrix)
    generator = np.random.default_rng(SEED)
    draws = generator.multinomial(total, matrix.ravel() / total, resamples)
    values = macro_f1(draws.reshape(resamples, size, size))
    tail = (1 - level) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)


def macro_f1(matrices: np.ndarray) -> np.ndarray:
    """Macro-F1 of confusion matrices, (..., K, K) -> (...); a class without image or hit has 0."""
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    involved = matrices.sum(-1) + matrices.sum(-2)
    return (2 * hits / np.maximum(involved, 1)).mean(-1)
