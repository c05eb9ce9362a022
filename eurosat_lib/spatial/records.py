"""What the stages on the spatial split leave behind."""

from __future__ import annotations

from typing import ClassVar

from eurosat_lib.evaluation import Evaluation, Seeds
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit


class SpatialTraining(Record):
    """The final training, done again on the spatial split."""

    stage: ClassVar[str] = "train_spatial"

    fit: Fit
    planned_epochs: int
    batch_size: int

    def facts(self) -> dict:
        """Return the configuration and the retained epoch."""
        best = self.fit.best
        return {
            **self.fit.hyperparameters.model_dump(),
            "name": self.fit.hyperparameters.name,
            "seed": self.fit.seed,
            "batch_size": self.batch_size,
            "epochs": len(self.fit.epochs),
            "planned_epochs": self.planned_epochs,
            "train_images": self.fit.train_images,
            "diverged": self.fit.diverged,
            "best_epoch": best.epoch,
            "best_val_accuracy": best.val_accuracy,
            "seconds": self.fit.seconds,
        }


class SpatialEvaluation(Record):
    """Scores of that training's checkpoint on the spatial test split."""

    stage: ClassVar[str] = "evaluate_spatial"

    evaluation: Evaluation

    def facts(self) -> dict:
        """Return the scores."""
        return self.evaluation.facts()


class SpatialSeeds(Seeds):
    """That training and its test again from each seed; no runs without a spatial split."""

    stage: ClassVar[str] = "evaluate_spatial_seeds"

    def facts(self) -> dict:
        """Return the seeds and the spread of the test scores on the spatial split."""
        return super().facts() if self.runs else {"seeds": [], "count": 0, "several": False}
