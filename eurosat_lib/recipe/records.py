"""What the training of a recipe leaves behind."""

from __future__ import annotations

import statistics
from typing import ClassVar

from eurosat_lib.evaluation import Evaluation, newcombe, wilson
from eurosat_lib.evaluation.repeats import summarise_seeds
from eurosat_lib.record import Record
from eurosat_lib.training.final import Training


class RecipeEpoch(Record):
    """One epoch; means are over images."""

    epoch: int  # from 1
    side: int  # pixels of the training images
    lr: float  # of the last step
    train_loss: float  # nats, mixed and smoothed labels as the recipe has it
    train_accuracy: float  # in [0, 1], of the heavier label
    grad_norm: float  # mean over steps of the L2 norm
    val_loss: float | None  # nats; None: not validated
    val_accuracy: float | None  # in [0, 1]
    steps: int
    images: int
    seconds: float  # of training, without validation


class RecipeFit(Record):
    """One finished training."""

    seed: int
    parameters: int
    train_images: int
    validation_images: int
    epochs: tuple[RecipeEpoch, ...]
    diverged: str = ""  # why it stopped; empty if it did not diverge

    @property
    def seconds(self) -> float:
        """Time of training, in seconds; validation is left out."""
        return sum(record.seconds for record in self.epochs)

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the last weights, in [0, 1]; 0 for a diverged training."""
        last = self.epochs[-1].val_accuracy if self.epochs and not self.diverged else None
        return last or 0.0

    @property
    def correct(self) -> int:
        """Validation images that the last weights get right."""
        return round(self.val_accuracy * self.validation_images)

    @property
    def curve(self) -> list[tuple[float, float]]:
        """Seconds of training so far, and validation accuracy, where it was measured."""
        points, clock = [], 0.0
        for record in self.epochs:
            clock += record.seconds
            if record.val_accuracy is not None:
                points.append((clock, record.val_accuracy))
        return points


class RecipeRun(Record):
    """A training and its scores on the test images."""

    fit: RecipeFit
    plain: Evaluation  # one look at each image
    averaged: Evaluation | None  # mean of the logits of the 8 symmetries; None: not in the recipe

    @property
    def scored(self) -> Evaluation:
        """Return the scores that count: those of the recipe as it is written."""
        return self.averaged or self.plain

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of these scores, in [0, 1]: as many looks as on the test."""
        return self.scored.correct_validation / self.scored.n_validation


class Recipes(Record):
    """A recipe trained and tested from one or more seeds."""

    stage: ClassVar[str] = "train_recipe"

    name: str
    title: str  # in French
    steps: tuple[str, ...]  # what changes the protocol, in French
    settings: dict
    level: float  # of the intervals
    runs: tuple[RecipeRun, ...]
    spatial: RecipeRun | None  # the first seed on the spatial split; None: not asked for

    @property
    def first(self) -> RecipeRun:
        """Return the run of the first seed."""
        return self.runs[0]

    def summary(self, values: list[float]) -> dict[str, float]:
        """Summarise one value per seed, at the level of this result."""
        return summarise_seeds(values, self.level)

    def facts(self) -> dict:
        """Return the accuracies and what they cost."""
        scored, first = [run.scored for run in self.runs], self.first
        low, high = first.scored.interval
        facts = {
            "name": self.name,
            "title": self.title,
            "steps": list(self.steps),
            "settings": self.settings,
            "seeds": [run.fit.seed for run in self.runs],
            "count": len(self.runs),
            "epochs": len(first.fit.epochs),
            "parameters": first.fit.parameters,
            "seconds": statistics.fmean(run.fit.seconds for run in self.runs),
            "accuracy": self.summary([one.accuracy for one in scored]),
            "plain": self.summary([run.plain.accuracy for run in self.runs]),
            "val_accuracy": self.summary([run.val_accuracy for run in self.runs]),
            "views": 1 if first.averaged is None else 8,
            "n": first.scored.n,
            "correct": first.scored.correct,
            "low": low,
            "high": high,
        }
        if self.spatial:
            own = self.spatial.scored
            facts["spatial"] = {
                "accuracy": own.accuracy,
                "n": own.n,
                "correct": own.correct,
                "low": own.interval[0],
                "high": own.interval[1],
                "seed": self.spatial.fit.seed,
            }
        return facts


class RecipeTrial(Record):
    """A recipe trained from one or more seeds and judged on validation alone."""

    stage: ClassVar[str] = "validate_recipe"

    name: str
    title: str  # in French
    settings: dict
    level: float  # of the intervals
    fits: tuple[RecipeFit, ...]

    def facts(self) -> dict:
        """Return the validation accuracy of the last weights, one look at each image."""
        first = self.fits[0]
        low, high = wilson(first.correct, first.validation_images, self.level)
        return {
            "name": self.name,
            "seeds": [fit.seed for fit in self.fits],
            "epochs": len(first.epochs),
            "seconds": statistics.fmean(fit.seconds for fit in self.fits),
            "val_accuracy": summarise_seeds([fit.val_accuracy for fit in self.fits], self.level),
            "n": first.validation_images,
            "low": low,
            "high": high,
            "diverged": [fit.diverged for fit in self.fits if fit.diverged],
        }


def beside_protocol(found: Recipes | None, training: Training) -> dict:
    """Set a recipe beside the final training of the run: same network or not, gain on validation.

    The recipe's first seed at its last epoch against the protocol's best one, which its own
    validation has picked: in the protocol's favour. Newcombe's interval, as if the images of the
    two were others: too wide. Empty without a recipe.
    """
    if found is None:
        return {}
    run, best = found.first, training.fit.best
    scored, hyper = run.scored, training.fit.hyperparameters
    n, m = scored.n_validation, training.fit.validation_images
    correct = round(best.val_accuracy * m)
    low, high = newcombe(scored.correct_validation, n, correct, m, found.level)
    shape = (found.settings["blocks_per_stage"], found.settings["dilation_stage3"])
    return {
        "gain": scored.correct_validation / n - correct / m,
        "low": low,
        "high": high,
        "same_network": shape == (hyper.blocks_per_stage, hyper.dilation_stage3),
        "blocks_per_stage": shape[0],
        "dilation_stage3": shape[1],
    }
