"""Scores of a classifier, over all classes and class by class."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from eurosat_lib.record import Record


class ClassScore(Record):
    """Scores of one class on the test split."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def class_scores(labels: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> dict:
    """Compute macro-F1, per-class scores and the confusion matrix.

    Args:
        labels: int64 (N,), true classes.
        predicted: int64 (N,).
        classes: names, in the order of the labels.
    """
    numbers = range(len(classes))
    columns = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0.0)
    return {
        "macro_f1": float(columns[2].mean()),
        "per_class": tuple(
            ClassScore(name=name, precision=p, recall=r, f1=f, support=int(s))
            for name, p, r, f, s in zip(classes, *columns, strict=True)
        ),
        "confusion": tuple(
            map(tuple, confusion_matrix(labels, predicted, labels=numbers).tolist())
        ),
    }
