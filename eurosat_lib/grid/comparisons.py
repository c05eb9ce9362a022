"""Curves to lay over each other: the grid's best trial and those that differ in one factor."""

from __future__ import annotations

from typing import ClassVar

from eurosat_lib.grid.effects import FACTORS, effect
from eurosat_lib.grid.search import GridSearch
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit


class Curve(Record):
    """One trial of a comparison; its curves are read from ``runs/<source>/<name>``."""

    name: str
    value: float  # of the compared factor
    first_val_accuracy: float  # after one epoch
    score: float  # mean validation accuracy of the last two epochs
    last_train_accuracy: float
    last_val_accuracy: float
    last_val_loss: float

    @property
    def gap(self) -> float:
        """Training minus validation accuracy after the last epoch."""
        return self.last_train_accuracy - self.last_val_accuracy


class Comparison(Record):
    """Trials that differ in one factor only, by increasing value, and its effect over the grid."""

    factor: str
    curves: tuple[Curve, ...]
    effect: dict[str, float | int]


class Comparisons(Record):
    """One comparison per factor, around the best trial."""

    stage: ClassVar[str] = "compare_curves"

    source: str  # stage whose trials these are; their curves are in runs/<source>/<name>
    best: str
    epochs: int
    train_images: int
    comparisons: tuple[Comparison, ...]

    def of(self, factor: str) -> Comparison:
        """Return the comparison of one factor."""
        return next(c for c in self.comparisons if c.factor == factor)

    def facts(self) -> dict:
        """Return, per factor, its curves' numbers and its effect over all matched pairs."""
        return {
            "source": self.source,
            "best": self.best,
            "epochs": self.epochs,
            "train_images": self.train_images,
            **{
                c.factor: {
                    "curves": [curve.model_dump() | {"gap": curve.gap} for curve in c.curves],
                    **c.effect,
                }
                for c in self.comparisons
            },
        }


def compare(search: GridSearch) -> Comparisons:
    """Choose the trials that differ from the best in one factor."""
    best = search.best
    return Comparisons(
        source=search.stage,
        best=best.hyperparameters.name,
        epochs=search.epochs,
        train_images=best.train_images,
        comparisons=tuple(
            Comparison(
                factor=factor,
                curves=_curves(search, best, factor),
                effect=effect(search.trials, factor).facts(),
            )
            for factor in FACTORS
        ),
    )


def _curves(search: GridSearch, best: Fit, factor: str) -> tuple[Curve, ...]:
    others = [name for name in FACTORS if name != factor]
    same = [
        fit
        for fit in search.trials
        if fit.epochs
        and all(
            getattr(fit.hyperparameters, name) == getattr(best.hyperparameters, name)
            for name in others
        )
    ]
    return tuple(
        Curve(
            name=fit.hyperparameters.name,
            value=getattr(fit.hyperparameters, factor),
            first_val_accuracy=fit.epochs[0].val_accuracy,
            score=fit.score,
            last_train_accuracy=fit.last.train_accuracy,
            last_val_accuracy=fit.last.val_accuracy,
            last_val_loss=fit.last.val_loss,
        )
        for fit in sorted(same, key=lambda fit: getattr(fit.hyperparameters, factor))
    )
