"""The scores of one checkpoint."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from eurosat_lib.evaluation.intervals import newcombe, wilson
from eurosat_lib.evaluation.scores import ClassScore
from eurosat_lib.record import Record
from eurosat_lib.training.records import Hyperparameters


class Evaluation(Record):
    """Scores of one checkpoint on validation and test."""

    stage: ClassVar[str] = "evaluate"

    checkpoint: str
    checkpoint_sha256: str
    hyperparameters: Hyperparameters
    epoch: int
    seed: int
    parameters: int
    classes: tuple[str, ...]
    n: int
    correct: int
    n_validation: int
    correct_validation: int
    loss: float  # nats, mean over test images
    loss_validation: float
    confidence_level: float
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows: truth, columns: prediction
    stored: str = ""  # folder of the stages' cache that holds the predictions

    @property
    def accuracy(self) -> float:
        """Share of right answers on the test split."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the test accuracy."""
        return wilson(self.correct, self.n, self.confidence_level)

    @property
    def gap_interval(self) -> tuple[float, float]:
        """Interval of test minus validation accuracy (Newcombe 1998, method 10)."""
        return newcombe(
            self.correct, self.n, self.correct_validation, self.n_validation, self.confidence_level
        )

    def confusions(self) -> list[tuple[str, str, int]]:
        """List (truth, prediction, images) of the errors, the most frequent first."""
        matrix = np.array(self.confusion)
        np.fill_diagonal(matrix, 0)
        pairs = [
            (self.classes[i], self.classes[j], int(matrix[i, j]))
            for i, j in zip(*np.nonzero(matrix), strict=True)
        ]
        return sorted(pairs, key=lambda pair: -pair[2])

    def class_facts(self) -> list[dict]:
        """Return the scores of each class, with their intervals."""
        return [
            score.model_dump()
            | {
                f"{kind}_interval": score.interval(kind, self.confidence_level)
                for kind in ("precision", "recall", "f1")
            }
            for score in self.per_class
        ]

    def facts(self) -> dict:
        """Return the scores; matrix and per-class table stay out."""
        low, high = self.interval
        gap_low, gap_high = self.gap_interval
        validation = self.correct_validation / self.n_validation
        worst = min(self.per_class, key=lambda score: score.f1)
        best = max(self.per_class, key=lambda score: score.f1)
        hidden = {"confusion", "per_class", "stored"}
        return self.model_dump(mode="json", exclude=hidden) | {
            "accuracy": self.accuracy,
            "low": low,
            "high": high,
            "val_accuracy": validation,
            "gap": self.accuracy - validation,
            "gap_low": gap_low,
            "gap_high": gap_high,
            "errors": self.n - self.correct,
            "worst_class": worst.name,
            "worst_f1": worst.f1,
            "best_class": best.name,
            "best_f1": best.f1,
            "confusions": self.confusions()[:5],
        }
