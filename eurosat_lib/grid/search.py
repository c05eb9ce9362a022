"""The trials of a grid and their ranking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from eurosat_lib.grid.effects import FACTORS, effect
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit


class GridSearch(Record):
    """All trials of one grid, in the order they ran."""

    stage: ClassVar[str]

    trials: tuple[Fit, ...]
    epochs: int
    origin: str  # where the learning rates come from: "config", "lr_finder", "fallback", "grid"

    @property
    def ranking(self) -> list[Fit]:
        """Trials from the best score to the worst; equal scores keep their order."""
        return sorted(self.trials, key=lambda fit: -fit.score)

    @property
    def best(self) -> Fit:
        """Return the trial of best score: mean validation accuracy of its last two epochs."""
        return self.ranking[0]

    @property
    def best_by_epoch(self) -> Fit:
        """Return the trial with the best single epoch, the course's usual criterion."""
        return max(self.trials, key=lambda fit: fit.best.val_accuracy if fit.epochs else 0.0)

    def values(self, factor: str) -> list[float]:
        """List the values a factor takes, in increasing order."""
        return sorted({getattr(fit.hyperparameters, factor) for fit in self.trials})

    def facts(self) -> dict:
        """Return the best trial, the grid and its extent; the curves stay out."""
        best, second = self.best, self.ranking[min(1, len(self.trials) - 1)]
        return {
            **best.hyperparameters.model_dump(),
            "name": best.hyperparameters.name,
            "score": best.score,
            "best_epoch_accuracy": best.best.val_accuracy,
            "last_val_accuracy": best.last.val_accuracy,
            "last_val_loss": best.last.val_loss,
            "second_score": second.score,
            "worst_score": self.ranking[-1].score,
            "best_by_epoch_name": self.best_by_epoch.hyperparameters.name,
            "best_by_epoch_accuracy": self.best_by_epoch.best.val_accuracy,
            "n_trials": len(self.trials),
            "n_diverged": sum(bool(fit.diverged) for fit in self.trials),
            "epochs": self.epochs,
            "train_images": best.train_images,
            "seed": best.seed,
            "origin": self.origin,
            "seconds": sum(fit.seconds for fit in self.trials),
            "values": {factor: self.values(factor) for factor in FACTORS},
            "effects": {factor: effect(self.trials, factor).facts() for factor in FACTORS},
        }


class Grid(GridSearch):
    """The course's grid: learning rate, weight decay, dilation, blocks."""

    stage: ClassVar[str] = "grid_search"


class RefinedGrid(GridSearch):
    """A finer grid of learning rate and weight decay around the best point."""

    stage: ClassVar[str] = "refined_grid_search"


def csv_rows(fits: Iterable[Fit]) -> list[dict[str, object]]:
    """Flatten trials to one row each, for ``grid_search_results.csv``."""
    return [
        {
            "run": fit.hyperparameters.name,
            **fit.hyperparameters.model_dump(),
            "epochs": len(fit.epochs),
            "score": fit.score,
            "best_val_accuracy": fit.best.val_accuracy if fit.epochs else None,
            "val_accuracy": fit.last.val_accuracy if fit.epochs else None,
            "val_loss": fit.last.val_loss if fit.epochs else None,
            "train_accuracy": fit.last.train_accuracy if fit.epochs else None,
            "train_loss": fit.last.train_loss if fit.epochs else None,
            "seconds": round(fit.seconds, 2),
            "seed": fit.seed,
            "train_images": fit.train_images,
            "notes": f"diverged, {fit.diverged}" if fit.diverged else "",
        }
        for fit in fits
    ]
