"""What is compared on a test split: seeds, finalists, both splits, a recipe and the protocol."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from eurosat_lib.evaluation import Evaluation
from eurosat_lib.fits import Rows, Training
from eurosat_lib.stages import Record
from eurosat_lib.stats import Bounds, mcnemar, newcombe, paired_difference, summarise_seeds
from eurosat_lib.train import Fit, Hyperparameters

SHAPE = {"blocks_per_stage", "dilation_stage3"}


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

    def facts(self) -> dict:
        """Return the seeds and the spread of accuracy and macro-F1 on the test split."""
        facts = {
            "seeds": [run.seed for run in self.runs],
            "count": len(self.runs),
            "several": self.several,
            "diverged": {str(seed): why for seed, why in self.diverged.items()},
        }
        for score in ("accuracy", "macro_f1") if self.runs else ():
            values = [getattr(run, score) for run in self.runs]
            facts[score] = summarise_seeds(values, self.level)
        return facts


class SpatialSeeds(Seeds):
    """The same on the spatial split; no runs without one."""

    stage: ClassVar[str] = "evaluate_spatial_seeds"


class FinalistScore(Record):
    """One of the two best points of a search, as it was trained there."""

    hyperparameters: Hyperparameters
    score: float  # mean over the new seeds, on validation
    correct: int  # test images


class Paired(Record):
    """Two networks on the same images."""

    level: float
    n: int = 0  # images
    only_first: int = 0  # that only the first gets right
    only_second: int = 0

    @property
    def difference(self) -> float:
        """The first's accuracy minus the second's."""
        return (self.only_first - self.only_second) / self.n

    @property
    def interval(self) -> Bounds:
        """Paired interval of that difference."""
        return paired_difference(self.only_first, self.only_second, self.n, self.level)

    @property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided."""
        return mcnemar(self.only_first, self.only_second)


class FinalistsOnTest(Paired):
    """The two best finalists on the same test images, both trained from one seed."""

    stage: ClassVar[str] = "compare_finalists_on_test"
    epochs: int = 0  # each was trained for
    train_images: int = 0
    seed: int = 0
    pair: tuple[FinalistScore, ...] = ()  # two, or none: no finalists

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
            "difference": self.difference,
            "interval": self.interval,
            "p_value": self.p_value,
            "decided": self.p_value < 1 - self.level,
        }


def disagreements(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Count the images that only the first, and only the second of two networks gets right.

    Args:
        first: bool (N,), whether a network is right.
        second: of another network, on the same images in the same order.
    """
    return int((first & ~second).sum()), int((second & ~first).sum())


class ClassPair(Record):
    """One class in both test splits: its images, and those recognised."""

    name: str
    n_standard: int
    hits_standard: int
    n_spatial: int
    hits_spatial: int

    @property
    def complete(self) -> bool:
        """Tell whether both splits have images of the class."""
        return self.n_standard > 0 and self.n_spatial > 0

    def recalls(self) -> tuple[float, float]:
        """Return the recall in the standard and in the spatial test split."""
        return self.hits_standard / self.n_standard, self.hits_spatial / self.n_spatial

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
        return [
            ClassPair(
                name=one.name,
                n_standard=one.support,
                hits_standard=one.hits,
                n_spatial=other.support,
                hits_spatial=other.hits,
            )
            for one, other in zip(self.standard.per_class, self.spatial.per_class, strict=True)
        ]

    @property
    def complete(self) -> list[ClassPair]:
        """List the classes that have images in both test splits."""
        return [pair for pair in self.classes if pair.complete]

    @property
    def class_level(self) -> float:
        """Level of each class's interval, for all of them to hold together (Bonferroni)."""
        return 1 - (1 - self.confidence_level) / max(1, len(self.complete))

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
        sides = {"standard": self.standard, "spatial": self.spatial}
        same = [(one.hyperparameters, one.seed, one.parameters) for one in sides.values()]
        return {
            "available": True,
            **{
                split: {"name": one.hyperparameters.name, "accuracy": one.accuracy} | _bounds(one)
                for split, one in sides.items()
            },
            "gap": gap,
            "gap_low": gap_low,
            "gap_high": gap_high,
            "lower": [name for name in ranked if drops[name][1][0] > 0],
            "drops": {name: value for name, (value, _) in drops.items()},
            "common": self.common,
            "epochs": self.epochs,
            "same_training": same[0] == same[1],
            "confidence_level": self.confidence_level,
        }


def _bounds(found: Evaluation) -> dict[str, float]:
    return dict(zip(("low", "high"), found.interval, strict=True))


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

    def facts(self) -> dict:
        """Return the accuracies, counts and interval those of the first seed."""
        own, fit = self.first.scored, self.first.fit
        facts = {
            **self.model_dump(mode="json", include={"name", "title", "steps", "settings"}),
            "seeds": [run.fit.seed for run in self.runs],
            "count": len(self.runs),
            "epochs": len(fit.epochs),
            "parameters": fit.parameters,
            "accuracy": summarise_seeds([run.scored.accuracy for run in self.runs], self.level),
            "val_accuracy": summarise_seeds([run.val_accuracy for run in self.runs], self.level),
            "n": own.n,
            "correct": own.correct,
            **_bounds(own),
        }
        if self.spatial:
            own = self.spatial.scored
            facts["spatial"] = {"accuracy": own.accuracy} | _bounds(own)
        return facts

    def csv_files(self) -> dict[str, Rows]:
        """Publish the epochs of all trainings on the run's own split."""
        rows = [
            {"recipe": self.name, "seed": run.fit.seed} | record.model_dump()
            for run in self.runs
            for record in run.fit.epochs
        ]
        return {"recipe.csv": rows}


class BesideProtocol(Paired):
    """A recipe, the first, and the final training of the run, on the same validation images.

    The recipe's first seed at its last epoch, against the protocol's best epoch, which its own
    validation has picked: in the protocol's favour.
    """

    stage: ClassVar[str] = "beside"
    same_network: bool
    blocks_per_stage: int  # of the recipe's network
    dilation_stage3: int

    def facts(self) -> dict:
        """Return the gain on validation, its paired interval, and McNemar's test."""
        gain = {"gain": self.difference, "p_value": self.p_value}
        return self.model_dump() | gain | dict(zip(("low", "high"), self.interval, strict=True))


def beside_protocol(
    found: Recipes, training: Training, theirs: np.ndarray, own: np.ndarray
) -> BesideProtocol:
    """Set a recipe beside the final training of the run.

    Args:
        found: the recipe.
        training: the protocol's.
        theirs: bool (M,), the validation images that the recipe's first run gets right.
        own: bool (M,), those that the protocol's checkpoint gets right, in the same order.
    """
    recipe, fit = (
        one.hyperparameters.model_dump(include=SHAPE) for one in (found.first.scored, training.fit)
    )
    first, second = disagreements(theirs, own)
    counts = {"n": len(own), "only_first": first, "only_second": second, "level": found.level}
    return BesideProtocol(**counts, same_network=recipe == fit, **recipe)
