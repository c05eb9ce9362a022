"""What each step of a recipe brings to a short training."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import ClassVar

import numpy as np

from eurosat_lib.evaluation import newcombe
from eurosat_lib.evaluation.intervals import mean_interval
from eurosat_lib.recipe.records import RecipeFit
from eurosat_lib.record import Record

STUDENT = 3  # seeds from which on their spread is used


class AblationRow(Record):
    """The start and the first steps of a recipe, trained shortly from each seed."""

    name: str  # of the last step, in French
    fits: tuple[RecipeFit, ...]

    @property
    def diverged(self) -> bool:
        """Whether a training of this row diverged: then it has no score."""
        return any(fit.diverged for fit in self.fits)

    @property
    def scores(self) -> list[float]:
        """Validation accuracy of the last weights, per seed; 0 for a diverged training."""
        return [fit.val_accuracy for fit in self.fits]

    @property
    def mean(self) -> float:
        """Mean of the scores, in [0, 1]."""
        return statistics.fmean(self.scores)


class Ablation(Record):
    """What each step of a recipe brings to a short training, on validation, in their order."""

    stage: ClassVar[str] = "ablate_recipe"

    name: str
    title: str
    level: float  # of the intervals
    epochs: int
    train_images: int
    rows: tuple[AblationRow, ...]

    @property
    def gains(self) -> list[tuple[float, float, float] | None]:
        """Gain of each row over the one before, with its interval; ``None`` where there is none.

        From three seeds on it is Student's interval of the differences by seed; with fewer it is
        Newcombe's for as many images as validation has, which says nothing of another training.
        """
        return [None, *(self._gain(before, after) for before, after in pairwise(self.rows))]

    def _gain(self, before: AblationRow, after: AblationRow) -> tuple[float, float, float] | None:
        if before.diverged or after.diverged:
            return None
        differences = np.subtract(after.scores, before.scores)
        if len(differences) >= STUDENT:
            return (float(differences.mean()), *mean_interval(differences, self.level))
        n = after.fits[0].validation_images
        one, other = round(after.mean * n), round(before.mean * n)
        return (float(differences.mean()), *newcombe(one, n, other, n, self.level))

    def facts(self) -> dict:
        """Return the mean score of each row, and its gain over the row before."""
        return {
            "name": self.name,
            "epochs": self.epochs,
            "train_images": self.train_images,
            "seeds": [fit.seed for fit in self.rows[0].fits],
            "rows": [
                {
                    "name": row.name,
                    "mean": row.mean,
                    "gain": gain and gain[0],
                    "interval": gain and gain[1:],
                    "scores": row.scores,
                }
                for row, gain in zip(self.rows, self.gains, strict=True)
            ],
        }
