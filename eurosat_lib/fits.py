"""What finished trainings say: those of one point, the final one, a recipe's step by step."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any, ClassVar

import numpy as np
from scipy.stats import linregress, t

from eurosat_lib.stages import Record
from eurosat_lib.stats import FEWEST, mean_interval, newcombe, wilson
from eurosat_lib.tracking import Run, training_series
from eurosat_lib.train import Fit, Hyperparameters

FEWEST_EPOCHS = 5  # that have a trend
MEANS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")  # of an epoch
Rows = list[dict[str, Any]]


class SeedFits(Record):
    """Trainings that differ in their seed only."""

    fits: tuple[Fit, ...]

    @property
    def diverged(self) -> str:
        """Why the first training that diverged did; empty if none did."""
        return next((fit.diverged for fit in self.fits if fit.diverged), "")


class Candidate(SeedFits):
    """One point of a search and its trainings."""

    hyperparameters: Hyperparameters

    @property
    def name(self) -> str:
        """Name of the point, for instance ``lr5e-4_wd1e-5_D2_B3``."""
        return self.hyperparameters.name

    @property
    def scores(self) -> list[float]:
        """Score of each training; 0 if it diverged."""
        return [fit.score for fit in self.fits]

    @property
    def score(self) -> float:
        """Mean of the scores; 0 if a training diverged."""
        return 0.0 if self.diverged else statistics.fmean(self.scores)

    @property
    def sd(self) -> float | None:
        """Standard deviation of the scores; ``None`` of one."""
        return statistics.stdev(self.scores) if len(self.fits) > 1 else None


def csv_rows(fits: Iterable[Fit]) -> Rows:
    """Flatten trials to one row each, for ``grid_search_results.csv``."""
    ends = ("val_accuracy", "val_loss", "train_accuracy", "train_loss")
    return [
        {
            "run": fit.hyperparameters.name,
            **fit.hyperparameters.model_dump(),
            "epochs": len(fit.epochs),
            "score": fit.score,
            "best_val_accuracy": fit.best.val_accuracy if fit.epochs else None,
            **{name: getattr(fit.last, name) if fit.epochs else None for name in ends},
            "seconds": round(fit.seconds, 2),
            **fit.model_dump(include={"seed", "train_images", "validation_images"}),
            "notes": f"diverged, {fit.diverged}" if fit.diverged else "",
        }
        for fit in fits
    ]


def fit_run(fit: Fit) -> Run:
    """Return the TensorBoard run of a training, with its hyperparameters and metrics."""
    best = fit.best.val_accuracy if fit.epochs else 0.0
    return Run(
        series=training_series(record.model_dump() for record in fit.epochs),
        hparams=fit.hyperparameters.model_dump() | {"seed": fit.seed},
        metrics={"hparam/score": fit.score, "hparam/best_val_accuracy": best},
        seconds=dict(enumerate(accumulate(record.seconds for record in fit.epochs), start=1)),
    )


class Training(Record):
    """The final training and where its hyperparameters come from."""

    stage: ClassVar[str] = "train"
    fit: Fit
    origin: dict[str, str]  # hyperparameter -> "config", "refined_grid_search", ...
    batch_size: int

    def trend(self) -> dict[str, Any] | None:
        """Fit lines to the last half of the epochs; ``None`` if that is fewer than five.

        Epochs of one training are not independent: the intervals are too narrow rather than wide.

        Returns:
            the number of ``epochs``, and for ``val_accuracy`` and ``train_loss`` the least-squares
            ``slope`` per epoch with ``low`` and ``high``, its 95 % interval (Student).
        """
        half = self.fit.epochs[len(self.fit.epochs) // 2 :]
        if len(half) < FEWEST_EPOCHS:
            return None
        found: dict[str, Any] = {"epochs": len(half)}
        for name in ("val_accuracy", "train_loss"):
            line = linregress(range(len(half)), [getattr(record, name) for record in half])
            width = float(t.ppf(0.975, len(half) - 2) * line.stderr)
            slope = float(line.slope)
            found[name] = {"slope": slope, "low": slope - width, "high": slope + width}
        return found

    def facts(self) -> dict[str, Any]:
        """Return the configuration, first, best and last epochs, and the stability.

        The best epoch's accuracy is a maximum over epochs, too high: only the last one's has an
        interval (Wilson's at 95 %, over the validation images).
        """
        fit, seen = self.fit, self.fit.epochs
        places = {"first": seen[0], "best": fit.best, "last": seen[-1]}
        values, lowest = [r.val_accuracy for r in seen], min(seen, key=lambda r: r.val_loss)
        low, high = wilson(round(values[-1] * fit.validation_images), fit.validation_images, 0.95)
        return {
            **fit.hyperparameters.model_dump(),
            **fit.model_dump(exclude={"hyperparameters", "epochs"}),
            **self.model_dump(exclude={"fit"}),
            **{f"{p}_{mean}": getattr(at, mean) for p, at in places.items() for mean in MEANS},
            "name": fit.hyperparameters.name,
            "epochs": len(seen),
            "best_epoch": fit.best.epoch,
            "last_val_low": low,
            "last_val_high": high,
            "lowest_val_loss": lowest.val_loss,
            "lowest_val_loss_epoch": lowest.epoch,
            "gap": seen[-1].train_accuracy - values[-1],
            "largest_drop": max([0.0, *(before - after for before, after in pairwise(values))]),
            "trend": self.trend(),
            "seconds": fit.seconds,
        }

    def csv_files(self) -> dict[str, Rows]:
        """Publish a row per epoch."""
        return {"history.csv": [record.model_dump() for record in self.fit.epochs]}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curves."""
        return {self.fit.hyperparameters.name: fit_run(self.fit)}


class AblationRow(SeedFits):
    """The start and the first steps of a recipe, trained shortly from each seed."""

    name: str  # of the last step, in French

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
        gains: list[tuple[float, float, float] | None] = [None]
        for before, after in pairwise(self.rows):
            differences = np.subtract(after.scores, before.scores)
            if len(differences) >= FEWEST:
                bounds = mean_interval(differences, self.level)
            else:
                n = after.fits[0].validation_images
                bounds = newcombe(round(after.mean * n), n, round(before.mean * n), n, self.level)
            broken = before.diverged or after.diverged
            gains.append(None if broken else (float(differences.mean()), *bounds))
        return gains

    def facts(self) -> dict[str, Any]:
        """Return what was trained; the scores are in the table."""
        own = self.model_dump(include={"name", "epochs", "train_images"})
        return own | {"seeds": [fit.seed for fit in self.rows[0].fits]}
