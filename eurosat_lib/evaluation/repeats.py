"""One configuration over several seeds, and two configurations on the same test images."""

from __future__ import annotations

import statistics
from typing import ClassVar

import numpy as np

from eurosat_lib.evaluation.intervals import mcnemar, mean_interval, paired_difference
from eurosat_lib.evaluation.predictions import Predictions
from eurosat_lib.evaluation.result import Evaluation
from eurosat_lib.record import Record
from eurosat_lib.training.records import Hyperparameters


def summarise_seeds(values: list[float], level: float) -> dict[str, float]:
    """Mean, standard deviation and Student's interval of the mean.

    Args:
        values: one per seed; a single one has no spread: its sd is 0, its interval itself.
        level: of the interval, in (0, 1).
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return {"mean": mean, "sd": 0.0, "low": mean, "high": mean}
    low, high = mean_interval(np.array(values), level)
    return {"mean": mean, "sd": statistics.stdev(values), "low": low, "high": high}


class Seeds(Record):
    """The final configuration trained and tested anew from each seed."""

    stage: ClassVar[str] = "evaluate_seeds"

    runs: tuple[Evaluation, ...]  # the run's own seed first
    level: float

    @property
    def several(self) -> bool:
        """Tell whether there is a spread to speak of."""
        return len(self.runs) > 1

    def summary(self, values: list[float]) -> dict[str, float]:
        """Summarise one value per seed, at the level of this result."""
        return summarise_seeds(values, self.level)

    def facts(self) -> dict:
        """Return the seeds and the spread of accuracy and macro-F1 on the test split."""
        return {
            "seeds": [run.seed for run in self.runs],
            "count": len(self.runs),
            "several": self.several,
            "accuracy": self.summary([run.accuracy for run in self.runs]),
            "macro_f1": self.summary([run.macro_f1 for run in self.runs]),
        }


class FinalistScore(Record):
    """One of the two best points of a search, as it was trained there."""

    hyperparameters: Hyperparameters
    score: float  # mean over the new seeds, on validation
    checkpoint_sha256: str
    epoch: int
    correct: int  # test images


class FinalistsOnTest(Record):
    """The two best finalists on the same test images, both trained from one seed."""

    stage: ClassVar[str] = "compare_finalists_on_test"

    level: float
    epochs: int = 0  # each was trained for
    train_images: int = 0
    seed: int = 0
    n: int = 0  # test images
    pair: tuple[FinalistScore, ...] = ()  # two, or none: no finalists, or no weights of theirs
    only_first: int = 0  # test images that only the first gets right
    only_second: int = 0

    @property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided."""
        return mcnemar(self.only_first, self.only_second)

    @property
    def interval(self) -> tuple[float, float]:
        """Paired interval of the first's accuracy minus the second's."""
        return paired_difference(self.only_first, self.only_second, self.n, self.level)

    def facts(self) -> dict:
        """Return both accuracies, their difference and its test."""
        if not self.pair:
            return {"compared": False}
        first, second = self.pair
        return self.model_dump(mode="json", exclude={"pair"}) | {
            "compared": True,
            "first": first.hyperparameters.name,
            "second": second.hyperparameters.name,
            "accuracies": [first.correct / self.n, second.correct / self.n],
            "difference": (self.only_first - self.only_second) / self.n,
            "interval": self.interval,
            "p_value": self.p_value,
            "decided": self.p_value < 1 - self.level,
        }


def discordant(first: Predictions, second: Predictions) -> tuple[int, int]:
    """Count the test images that only one of two networks gets right.

    Args:
        first: predictions on the test images.
        second: of another network, on the same images in the same order.
    """
    right = first.predicted == first.labels
    other = second.predicted == second.labels
    return int((right & ~other).sum()), int((other & ~right).sum())
