"""Curves to lay over each other: the grid's best trial and those that differ in one factor."""

from __future__ import annotations

from typing import Any, ClassVar

from eurosat_lib.grid.candidates import Candidate, run_name
from eurosat_lib.grid.effects import FACTORS, effect
from eurosat_lib.grid.measures import MEASURES
from eurosat_lib.grid.search import GridSearch
from eurosat_lib.grid.statements import judge
from eurosat_lib.record import Record


class Curve(Record):
    """One trial of a comparison; its curves are read from ``runs/<source>/<name>``."""

    name: str
    value: float  # of the compared factor
    first_val_accuracy: float  # after one epoch
    score: float  # mean validation accuracy of the last two epochs
    gap: float  # training minus validation accuracy, mean of the last two epochs
    last_train_accuracy: float
    last_val_accuracy: float
    last_val_loss: float


class Comparison(Record):
    """Trials that differ in one factor only, by increasing value, and its effects on the grid."""

    factor: str
    curves: tuple[Curve, ...]
    effects: dict[str, dict[str, Any]]  # measure -> facts of the effect over all matched pairs


class Comparisons(Record):
    """One comparison per factor, around the best trial, and the verdict on each expectation."""

    stage: ClassVar[str] = "compare_curves"

    source: str  # stage whose trials these are; their curves are in runs/<source>/<name>
    best: str
    epochs: int
    train_images: int
    seeds: int  # trainings per point
    comparisons: tuple[Comparison, ...]
    statements: tuple[dict[str, Any], ...]  # expectation, effect and verdict, in order

    def of(self, factor: str) -> Comparison:
        """Return the comparison of one factor."""
        return next(c for c in self.comparisons if c.factor == factor)

    def facts(self) -> dict:
        """Return, per factor, its curves' numbers and its effects; and the verdicts."""
        return {
            "source": self.source,
            "best": self.best,
            "epochs": self.epochs,
            "train_images": self.train_images,
            "n_seeds": self.seeds,
            "statements": [dict(statement) for statement in self.statements],
            **{
                c.factor: {"curves": [curve.model_dump() for curve in c.curves], **c.effects}
                for c in self.comparisons
            },
        }


def compare(search: GridSearch) -> Comparisons:
    """Choose the trials that differ from the best in one factor, and judge what was expected."""
    best = search.best
    return Comparisons(
        source=search.stage,
        best=best.name,
        epochs=search.epochs,
        train_images=best.fits[0].train_images,
        seeds=search.seeds,
        comparisons=tuple(
            Comparison(
                factor=factor,
                curves=_curves(search, best, factor),
                effects={m: effect(search.trials, factor, m).facts() for m in MEASURES},
            )
            for factor in FACTORS
        ),
        statements=tuple(judge(search.trials)),
    )


def _curves(search: GridSearch, best: Candidate, factor: str) -> tuple[Curve, ...]:
    """Return the curves of the best point's first seed and of its neighbours' along a factor."""
    free = {factor: getattr(best.hyperparameters, factor)}
    same = [
        point.fits[0]
        for point in search.ranking
        if point.fits[0].epochs
        and point.hyperparameters.model_copy(update=free) == best.hyperparameters
    ]
    return tuple(
        Curve(
            name=run_name(fit, search.seeds),
            value=getattr(fit.hyperparameters, factor),
            first_val_accuracy=fit.epochs[0].val_accuracy,
            score=fit.score,
            gap=MEASURES["gap"](fit),
            last_train_accuracy=fit.last.train_accuracy,
            last_val_accuracy=fit.last.val_accuracy,
            last_val_loss=fit.last.val_loss,
        )
        for fit in sorted(same, key=lambda fit: getattr(fit.hyperparameters, factor))
    )
