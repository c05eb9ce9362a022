"""The points of a search with their trainings: one per seed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from eurosat_lib.grid.measures import MEASURES
from eurosat_lib.record import Record
from eurosat_lib.training.records import EpochRecord, Fit, Hyperparameters


class Candidate(Record):
    """One point of a search and its trainings, one per seed."""

    hyperparameters: Hyperparameters
    fits: tuple[Fit, ...]

    @property
    def name(self) -> str:
        """Name of the point, for instance ``lr5e-4_wd1e-5_D2_B3``."""
        return self.hyperparameters.name

    @property
    def diverged(self) -> str:
        """Why the first training that diverged did; empty if none did."""
        return next((fit.diverged for fit in self.fits if fit.diverged), "")

    @property
    def score(self) -> float:
        """Mean over the seeds of the score: validation accuracy over the last two epochs.

        0 if a training diverged.
        """
        return 0.0 if self.diverged else self.mean("score")

    @property
    def best(self) -> EpochRecord | None:
        """The single best epoch of all its trainings; ``None`` without any epoch."""
        epochs = [record for fit in self.fits for record in fit.epochs]
        return max(epochs, key=lambda record: record.val_accuracy, default=None)

    @property
    def val_loss(self) -> float | None:
        """Validation loss after the last epoch, nats, mean over the seeds."""
        losses = [fit.last.val_loss for fit in self.fits if fit.epochs]
        return statistics.fmean(losses) if losses else None

    @property
    def length(self) -> tuple[int, int]:
        """Epochs and images of its trainings: what two scores must share to compare."""
        return max(len(fit.epochs) for fit in self.fits), self.fits[0].train_images

    def mean(self, measure: str) -> float:
        """Mean over the seeds of a measure of :data:`MEASURES`; no training must have diverged."""
        return statistics.fmean(MEASURES[measure](fit) for fit in self.fits)


def candidates(fits: Iterable[Fit]) -> list[Candidate]:
    """Group trainings by their point, in order of appearance."""
    groups: dict[Hyperparameters, list[Fit]] = {}
    for fit in fits:
        groups.setdefault(fit.hyperparameters, []).append(fit)
    return [Candidate(hyperparameters=p, fits=tuple(group)) for p, group in groups.items()]


def run_name(fit: Fit, seeds: int) -> str:
    """Return the name of a training below ``runs/``: its point's, with the seed among several."""
    return fit.hyperparameters.name + (f"_seed{fit.seed}" if seeds > 1 else "")
