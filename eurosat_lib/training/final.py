"""The final training: which hyperparameters, and what its curves say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Protocol

from scipy.stats import binomtest

from eurosat_lib.config import Config
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit, Hyperparameters

TAIL = 5  # last epochs over which stability is measured


class Scored(Protocol):
    """The best of a search: a trial, or a point with several of them."""

    hyperparameters: Hyperparameters

    @property
    def score(self) -> float:
        """Accuracy that ranks it, in [0, 1]."""

    @property
    def length(self) -> tuple[int, int]:
        """Epochs and images trained on."""


class Training(Record):
    """The final training and where its hyperparameters come from."""

    stage: ClassVar[str] = "train"

    fit: Fit
    origin: dict[str, str]  # hyperparameter -> "config", "refined_grid_search", ...
    planned_epochs: int
    batch_size: int
    max_steps: int | None = None

    def facts(self) -> dict:
        """Return the configuration, the best and last epochs, and the stability."""
        fit, best, last = self.fit, self.fit.best, self.fit.last
        lowest = min(fit.epochs, key=lambda record: record.val_loss)
        low, high = _wilson(best.val_accuracy, fit.validation_images)
        return {
            **fit.hyperparameters.model_dump(),
            "name": fit.hyperparameters.name,
            "origin": self.origin,
            "batch_size": self.batch_size,
            "seed": fit.seed,
            "epochs": len(fit.epochs),
            "planned_epochs": self.planned_epochs,
            "max_steps": self.max_steps,
            "train_images": fit.train_images,
            "parameters": fit.parameters,
            "diverged": fit.diverged,
            "best_epoch": best.epoch,
            "best_val_accuracy": best.val_accuracy,
            "best_val_low": low,
            "best_val_high": high,
            "validation_images": fit.validation_images,
            "best_val_loss": best.val_loss,
            "best_train_accuracy": best.train_accuracy,
            "first_train_loss": fit.epochs[0].train_loss,
            "first_val_accuracy": fit.epochs[0].val_accuracy,
            "last_train_loss": last.train_loss,
            "last_train_accuracy": last.train_accuracy,
            "last_val_loss": last.val_loss,
            "last_val_accuracy": last.val_accuracy,
            "lowest_val_loss": lowest.val_loss,
            "lowest_val_loss_epoch": lowest.epoch,
            "gap": last.train_accuracy - last.val_accuracy,
            **_stability(fit),
            "seconds": fit.seconds,
        }


def choose_hyperparameters(
    config: Config, fallback: Hyperparameters, searches: Sequence[tuple[str, Scored]]
) -> tuple[Hyperparameters, dict[str, str]]:
    """Take what the configuration gives, the best trial for the rest, or else the fallback.

    Args:
        config: its ``train`` section; ``None`` there means: from the searches.
        fallback: used for what neither gives.
        searches: (stage, best point) of each search done, in order. The best score wins, the
            later search at equal scores; it wins too if their trials had other lengths, for
            then scores do not compare.

    Returns:
        The hyperparameters, and for each its origin: ``config``, a stage, or ``fallback``.
    """
    stage, values = "fallback", fallback.model_dump()
    if searches:
        stage, best = _best(searches)
        values = best.hyperparameters.model_dump()
    origin = dict.fromkeys(values, stage)
    for name in values:
        given = getattr(config.train, name)
        if given is not None:
            values[name], origin[name] = given, "config"
    return Hyperparameters(**values), origin


def _best(searches: Sequence[tuple[str, Scored]]) -> tuple[str, Scored]:
    lengths = {point.length for _, point in searches}
    if len(lengths) > 1:
        return searches[-1]
    return max(reversed(searches), key=lambda search: search[1].score)


def _stability(fit: Fit) -> dict[str, float]:
    """Return how the validation accuracy moves over the last epochs, and its largest fall."""
    tail = [record.val_accuracy for record in fit.epochs[-TAIL:]]
    return {
        "tail": len(tail),
        "tail_mean": statistics.fmean(tail),
        "tail_sd": statistics.stdev(tail) if len(tail) > 1 else 0.0,
        "tail_min": min(tail),
        "tail_max": max(tail),
        "largest_drop": _largest_drop(fit),
    }


def _largest_drop(fit: Fit) -> float:
    """Return the largest fall of validation accuracy from one epoch to the next; 0 if none."""
    values = [record.val_accuracy for record in fit.epochs]
    return max([0.0, *(a - b for a, b in pairwise(values))])


def _wilson(share: float, images: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of an accuracy on so many images, by SciPy."""
    interval = binomtest(round(share * images), images).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
