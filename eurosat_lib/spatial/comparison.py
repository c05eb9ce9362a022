"""Two test accuracies of one configuration: with neighbours in the training images, and without.

The two test splits hold other images, so the comparison is not paired. Where an image is in both,
it counts as if it were two, which makes the interval of the difference a little too wide. All
intervals take the images as drawn one by one: they speak of such images, not of other regions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from eurosat_lib.evaluation import Evaluation, newcombe, wilson
from eurosat_lib.record import Record
from eurosat_lib.spatial.intervals import Bounds, combined
from eurosat_lib.spatial.sides import ClassPair, Side

# Accuracy published elsewhere on these very lists: a CNN, with its number of parameters, and the
# best foundation model of RGB images with frozen weights.
REFERENCES = {"cnn": 0.9167, "cnn_parameters": 700_000, "frozen": 0.9650}


class SplitComparison(Record):
    """Standard and spatial split side by side, or why there is no spatial one."""

    stage: ClassVar[str] = "compare_splits"

    absent: str = ""  # disabled, split, synthetic or lists; empty when there is a comparison
    reason: str = ""  # one line, for the user
    standard: Side | None = None
    spatial: Side | None = None
    classes: tuple[ClassPair, ...] = ()
    common: int = 0  # images in both test splits
    epochs: int = 0  # of the spatial training
    confidence_level: float = 0.95

    @property
    def class_level(self) -> float:
        """Level of each class's interval, for all of them to hold together (Bonferroni)."""
        return 1 - (1 - self.confidence_level) / max(1, len(self.complete))

    @property
    def complete(self) -> list[ClassPair]:
        """List the classes that have images in both test splits."""
        return [pair for pair in self.classes if pair.complete]

    def interval(self, side: Side) -> Bounds:
        """Wilson interval of a side's test accuracy."""
        return wilson(side.correct, side.n, self.confidence_level)

    def gap(self) -> tuple[float, Bounds]:
        """Return standard minus spatial accuracy, and its interval (Newcombe 1998, method 10)."""
        a, b = self.standard, self.spatial
        bounds = newcombe(a.correct, a.n, b.correct, b.n, self.confidence_level)
        return a.accuracy - b.accuracy, bounds

    def adjusted(self) -> tuple[float, Bounds] | None:
        """Return the spatial accuracy at the standard test's mix of classes, and its interval.

        ``None`` if a class of the standard test has no image in the spatial one.
        """
        present = [pair for pair in self.classes if pair.n_standard]
        if not all(pair.n_spatial for pair in present):
            return None
        weights = [pair.n_standard / self.standard.n for pair in present]
        recalls = [pair.recalls()[1] for pair in present]
        level = self.confidence_level
        return combined(
            weights, recalls, [wilson(p.hits_spatial, p.n_spatial, level) for p in present]
        )

    def adjusted_gap(self) -> tuple[float, Bounds] | None:
        """Return standard minus adjusted spatial accuracy, and its interval."""
        adjusted = self.adjusted()
        if adjusted is None:
            return None
        value, bounds = adjusted
        own = self.interval(self.standard)
        return combined((1, -1), (self.standard.accuracy, value), (own, bounds))

    def facts(self) -> dict:
        """Return what the text says: accuracies, gaps, and the classes that moved."""
        if self.absent:
            return {"available": False, "absent": self.absent, "reason": self.reason}
        drops = {pair.name: pair.drop(self.class_level) for pair in self.complete}
        return {
            "available": True,
            "standard": self._side_facts(self.standard),
            "spatial": self._side_facts(self.spatial),
            **_estimate("gap", self.gap()),
            **_estimate("adjusted", self.adjusted()),
            **_estimate("adjusted_gap", self.adjusted_gap()),
            "lower": _where(drops, lambda low, high: low > 0),
            "higher": _where(drops, lambda low, high: high < 0),
            "drops": {name: value for name, (value, _) in drops.items()},
            "precisions": {pair.name: pair.precisions() for pair in self.complete},
            "common": self.common,
            "epochs": self.epochs,
            "same_training": (self.standard.name, self.standard.seed, self.standard.parameters)
            == (self.spatial.name, self.spatial.seed, self.spatial.parameters),
            "confidence_level": self.confidence_level,
            "references": REFERENCES,
        }

    def _side_facts(self, side: Side) -> dict:
        low, high = self.interval(side)
        return side.model_dump() | {
            "accuracy": side.accuracy,
            "val_accuracy": side.val_accuracy,
            "low": low,
            "high": high,
        }


def compare(
    standard: Evaluation, spatial: Evaluation, common: int = 0, epochs: int = 0
) -> SplitComparison:
    """Set two evaluations of one configuration side by side.

    Args:
        standard: on the standard split.
        spatial: on the spatial split; the same classes.
        common: images in both test splits.
        epochs: of the spatial training.
    """
    pairs = [
        ClassPair(
            name=name,
            n_standard=sum(standard.confusion[i]),
            hits_standard=standard.confusion[i][i],
            n_spatial=sum(spatial.confusion[i]),
            hits_spatial=spatial.confusion[i][i],
            said_standard=sum(row[i] for row in standard.confusion),
            said_spatial=sum(row[i] for row in spatial.confusion),
        )
        for i, name in enumerate(standard.classes)
    ]
    return SplitComparison(
        standard=Side.of(standard),
        spatial=Side.of(spatial),
        classes=tuple(pairs),
        common=common,
        epochs=epochs,
        confidence_level=standard.confidence_level,
    )


def _estimate(name: str, found: tuple[float, Bounds] | None) -> dict[str, Any]:
    if found is None:
        return {}
    value, (low, high) = found
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _where(
    drops: Mapping[str, tuple[float, Bounds]], holds: Callable[[float, float], bool]
) -> list[str]:
    """List the classes whose bounds pass, the largest change first."""
    found = [name for name, (_, bounds) in drops.items() if holds(*bounds)]
    return sorted(found, key=lambda name: -abs(drops[name][0]))
