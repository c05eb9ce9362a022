"""What is compared on a test split: seeds, finalists, both splits, a recipe and the protocol."""

from __future__ import annotations

import statistics
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from eurosat_lib.evaluation import Evaluation, Predictions
from eurosat_lib.fits import Training
from eurosat_lib.stages import Record
from eurosat_lib.stats import (
    Bounds,
    mcnemar,
    newcombe,
    paired_difference,
    summarise_seeds,
    wilson,
)
from eurosat_lib.train import Fit, Hyperparameters


class Seeds(Record):
    """The final configuration trained and tested anew from each seed."""

    stage: ClassVar[str] = "evaluate_seeds"

    runs: tuple[Evaluation, ...]  # the run's own seed first
    level: float
    diverged: dict[int, str] = Field(default_factory=dict)  # seed -> why it was not tested

    @property
    def several(self) -> bool:
        """Tell whether there is a spread to speak of."""
        return len(self.runs) > 1

    def summary(self, values: list[float]) -> dict[str, float | None]:
        """Summarise one value per seed, at the level of this result."""
        return summarise_seeds(values, self.level)

    def facts(self) -> dict:
        """Return the seeds and the spread of accuracy and macro-F1 on the test split."""
        facts = {
            "seeds": [run.seed for run in self.runs],
            "count": len(self.runs),
            "several": self.several,
            "diverged": {str(seed): why for seed, why in self.diverged.items()},
        }
        if self.runs:
            facts["accuracy"] = self.summary([run.accuracy for run in self.runs])
            facts["macro_f1"] = self.summary([run.macro_f1 for run in self.runs])
        return facts


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
    pair: tuple[FinalistScore, ...] = ()  # two, or none: no finalists
    only_first: int = 0  # test images that only the first gets right
    only_second: int = 0

    @property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided."""
        return mcnemar(self.only_first, self.only_second)

    @property
    def interval(self) -> Bounds:
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


class SpatialTraining(Training):
    """The final training, done again on the spatial split."""

    stage: ClassVar[str] = "train_spatial"

    origin: dict[str, str] = Field(default_factory=dict)  # the same as that training's

    def csv_files(self) -> dict[str, list[dict[str, Any]]]:
        """Publish its epochs."""
        return {"history_spatial.csv": [record.model_dump() for record in self.fit.epochs]}


class SpatialEvaluation(Record):
    """Scores of that training's checkpoint on the spatial test split."""

    stage: ClassVar[str] = "evaluate_spatial"

    evaluation: Evaluation

    def facts(self) -> dict:
        """Return the scores."""
        return self.evaluation.facts()

    def json_files(self) -> dict[str, Any]:
        """Publish the scores."""
        return {"metrics_spatial.json": self.facts()}


class SpatialSeeds(Seeds):
    """That training and its test again from each seed; no runs without a spatial split."""

    stage: ClassVar[str] = "evaluate_spatial_seeds"


class ClassPair(Record):
    """One class in both test splits: its images, those recognised, and those said to be of it."""

    name: str
    n_standard: int
    hits_standard: int
    n_spatial: int
    hits_spatial: int
    said_standard: int = 0  # images that the network puts into the class
    said_spatial: int = 0

    @property
    def complete(self) -> bool:
        """Tell whether both splits have images of the class."""
        return self.n_standard > 0 and self.n_spatial > 0

    def recalls(self) -> tuple[float, float]:
        """Return the recall in the standard and in the spatial test split."""
        return self.hits_standard / self.n_standard, self.hits_spatial / self.n_spatial

    def precisions(self) -> tuple[float, float]:
        """Return the precision on both test splits; 0 where no image is put into the class."""
        return (
            self.hits_standard / max(1, self.said_standard),
            self.hits_spatial / max(1, self.said_spatial),
        )

    def drop(self, level: float) -> tuple[float, Bounds]:
        """Return standard minus spatial recall, and its interval (Newcombe 1998, method 10)."""
        counts = (self.hits_standard, self.n_standard, self.hits_spatial, self.n_spatial)
        first, second = self.recalls()
        return first - second, newcombe(*counts, level)


class SplitComparison(Record):
    """Standard and spatial split side by side, or why there is no spatial one.

    The two test splits hold other images, so the comparison is not paired. An image in both
    counts as if it were two, which makes the interval of the difference a little too wide. All
    intervals take the images as drawn one by one: they speak of such images, not of other regions.
    """

    stage: ClassVar[str] = "compare_splits"

    absent: str = ""  # disabled, split, synthetic or lists; empty when there is a comparison
    reason: str = ""  # one line, for the user
    standard: Evaluation | None = None
    spatial: Evaluation | None = None
    common: int = 0  # images in both test splits
    epochs: int = 0  # of the spatial training
    confidence_level: float = 0.95

    @property
    def classes(self) -> list[ClassPair]:
        """Pair the classes of both test splits."""
        one, two = (np.array(side.confusion) for side in (self.standard, self.spatial))
        columns = [x for m in (one, two) for x in (m.sum(1), m.diagonal())]
        columns += [one.sum(0), two.sum(0)]
        names = list(ClassPair.model_fields)[1:]
        return [
            ClassPair(name=name, **dict(zip(names, counts, strict=True)))
            for name, counts in zip(
                self.standard.classes, np.array(columns).T.tolist(), strict=True
            )
        ]

    @property
    def complete(self) -> list[ClassPair]:
        """List the classes that have images in both test splits."""
        return [pair for pair in self.classes if pair.complete]

    @property
    def class_level(self) -> float:
        """Level of each class's interval, for all of them to hold together (Bonferroni)."""
        return 1 - (1 - self.confidence_level) / max(1, len(self.complete))

    def interval(self, side: Evaluation) -> Bounds:
        """Wilson interval of a side's test accuracy."""
        return wilson(side.correct, side.n, self.confidence_level)

    def gap(self) -> tuple[float, Bounds]:
        """Return standard minus spatial accuracy, and its interval (Newcombe 1998, method 10)."""
        a, b = self.standard, self.spatial
        bounds = newcombe(a.correct, a.n, b.correct, b.n, self.confidence_level)
        return a.accuracy - b.accuracy, bounds

    def facts(self) -> dict:
        """Return what the text says: accuracies, gaps, and the classes that moved."""
        if self.absent:
            return {"available": False, "absent": self.absent, "reason": self.reason}
        drops = {pair.name: pair.drop(self.class_level) for pair in self.complete}
        ranked = sorted(drops, key=lambda name: -abs(drops[name][0]))
        gap, (gap_low, gap_high) = self.gap()
        sides = (self.standard, self.spatial)
        same = [(one.hyperparameters, one.seed, one.parameters) for one in sides]
        return {
            "available": True,
            "standard": _side(self.standard),
            "spatial": _side(self.spatial),
            "gap": gap,
            "gap_low": gap_low,
            "gap_high": gap_high,
            "lower": [name for name in ranked if drops[name][1][0] > 0],
            "higher": [name for name in ranked if drops[name][1][1] < 0],
            "drops": {name: value for name, (value, _) in drops.items()},
            "precisions": {pair.name: pair.precisions() for pair in self.complete},
            "common": self.common,
            "epochs": self.epochs,
            "same_training": same[0] == same[1],
            "confidence_level": self.confidence_level,
        }


def _side(found: Evaluation) -> dict[str, Any]:
    names = ("n", "correct", "n_validation", "correct_validation", "macro_f1", "epoch", "seed")
    return {name: getattr(found, name) for name in names} | {
        "name": found.hyperparameters.name,
        "parameters": found.parameters,
        "accuracy": found.accuracy,
        "val_accuracy": found.val_accuracy,
        "low": found.interval[0],
        "high": found.interval[1],
    }


class RecipeRun(Record):
    """A training and its scores on the test images."""

    fit: Fit
    plain: Evaluation  # one look at each image
    averaged: Evaluation | None  # mean of the logits of the 8 symmetries; None: not in the recipe

    @property
    def scored(self) -> Evaluation:
        """Return the scores that count: those of the recipe as it is written."""
        return self.averaged or self.plain

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of these scores, in [0, 1]: as many looks as on the test."""
        return self.scored.val_accuracy


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

    def summary(self, values: list[float]) -> dict[str, float | None]:
        """Summarise one value per seed, at the level of this result."""
        return summarise_seeds(values, self.level)

    def facts(self) -> dict:
        """Return the accuracies and what they cost."""
        first = self.first
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
            "accuracy": self.summary([run.scored.accuracy for run in self.runs]),
            "plain": self.summary([run.plain.accuracy for run in self.runs]),
            "val_accuracy": self.summary([run.val_accuracy for run in self.runs]),
            "views": 1 if first.averaged is None else 8,
            **_tested(first.scored),
        }
        if self.spatial:
            own = self.spatial.scored
            facts["spatial"] = _tested(own) | {"accuracy": own.accuracy, "seed": own.seed}
        return facts

    def csv_files(self) -> dict[str, list[dict[str, Any]]]:
        """Publish the epochs of all trainings on the run's own split."""
        rows = [
            {"recipe": self.name, "seed": run.fit.seed} | record.model_dump()
            for run in self.runs
            for record in run.fit.epochs
        ]
        return {"recipe.csv": rows}


def _tested(found: Evaluation) -> dict[str, Any]:
    low, high = found.interval
    return {"n": found.n, "correct": found.correct, "low": low, "high": high}


class RecipeTrial(Record):
    """A recipe trained from one or more seeds and judged on validation alone."""

    stage: ClassVar[str] = "validate_recipe"

    name: str
    title: str  # in French
    settings: dict
    level: float  # of the intervals
    fits: tuple[Fit, ...]

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
    scored, best, hyper = found.first.scored, training.fit.best, training.fit.hyperparameters
    n, m = scored.n_validation, training.fit.validation_images
    correct, own = round(best.val_accuracy * m), scored.hyperparameters
    low, high = newcombe(scored.correct_validation, n, correct, m, found.level)
    shape = (own.blocks_per_stage, own.dilation_stage3)
    return {
        "gain": scored.correct_validation / n - correct / m,
        "low": low,
        "high": high,
        "same_network": shape == (hyper.blocks_per_stage, hyper.dilation_stage3),
        "blocks_per_stage": shape[0],
        "dilation_stage3": shape[1],
    }
