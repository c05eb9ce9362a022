"""The trials of a grid and their ranking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from eurosat_lib.grid.candidates import Candidate, candidates
from eurosat_lib.grid.effects import FACTORS, effect
from eurosat_lib.grid.measures import MEASURES
from eurosat_lib.grid.ties import Noise, margin, noise, tied
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit


class GridSearch(Record):
    """All trials of one grid, in the order they ran."""

    stage: ClassVar[str]

    trials: tuple[Fit, ...]
    epochs: int
    origin: str  # where the learning rates come from: "config", "chosen_lr", "lr_finder" …

    @property
    def ranking(self) -> list[Candidate]:
        """Points from the best score to the worst; equal scores keep their order."""
        return sorted(candidates(self.trials), key=lambda point: -point.score)

    @property
    def best(self) -> Candidate:
        """Return the point of best score: mean validation accuracy of the last two epochs."""
        return self.ranking[0]

    @property
    def best_by_epoch(self) -> Candidate:
        """Return the point with the best single epoch, the course's usual criterion."""
        return max(self.ranking, key=lambda p: p.best.val_accuracy if p.best else 0.0)

    @property
    def tied(self) -> list[Candidate]:
        """List the points that cannot be told from the best, itself first."""
        return tied(self.ranking)

    @property
    def margin(self) -> float:
        """How far behind the best a score may be and still be that of the truly best point."""
        return margin(self.ranking)

    @property
    def noise(self) -> Noise:
        """Return the estimated noise of a score."""
        return noise(self.ranking)

    @property
    def seeds(self) -> int:
        """Trainings per point."""
        return max(len(point.fits) for point in self.ranking)

    def values(self, factor: str) -> list[float]:
        """List the values a factor takes, in increasing order."""
        return sorted({getattr(fit.hyperparameters, factor) for fit in self.trials})

    def facts(self) -> dict:
        """Return the best point, the grid, its noise and its effects; the curves stay out."""
        ranking, by_epoch = self.ranking, self.best_by_epoch
        best, second = ranking[0], ranking[min(1, len(ranking) - 1)]
        last = best.fits[0].last
        return {
            **best.hyperparameters.model_dump(),
            "name": best.name,
            "score": best.score,
            "best_epoch_accuracy": best.best.val_accuracy,
            "last_val_accuracy": last.val_accuracy,
            "last_val_loss": last.val_loss,
            "second_score": second.score,
            "worst_score": ranking[-1].score,
            "best_by_epoch_name": by_epoch.name,
            "best_by_epoch_accuracy": by_epoch.best.val_accuracy,
            "n_points": len(ranking),
            "n_trials": len(self.trials),
            "n_diverged": sum(bool(fit.diverged) for fit in self.trials),
            "n_tied": len(self.tied),
            "margin": self.margin,
            "noise": self.noise.model_dump() | {"sd": self.noise.sd},
            "epochs": self.epochs,
            "train_images": self.trials[0].train_images,
            "validation_images": self.trials[0].validation_images,
            "seed": self.trials[0].seed,
            "n_seeds": self.seeds,
            "origin": self.origin,
            "seconds": sum(fit.seconds for fit in self.trials),
            "values": {factor: self.values(factor) for factor in FACTORS},
            "effects": {
                factor: {m: effect(self.trials, factor, m).facts() for m in MEASURES}
                for factor in FACTORS
            },
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
            "validation_images": fit.validation_images,
            "notes": f"diverged, {fit.diverged}" if fit.diverged else "",
        }
        for fit in fits
    ]
