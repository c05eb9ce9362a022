"""Searches: grids, paired effects of their factors, finalists with new seeds.

All runs of a grid share one seed: their order says nothing of another training, and no score has
a noise. The finalists, trained with new seeds, decide.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, ClassVar

import numpy as np

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.fits import Candidate, Rows, csv_rows, fit_run
from eurosat_lib.lr_finder import round_digits
from eurosat_lib.stages import Record
from eurosat_lib.stats import FEWEST, Bounds, mean_interval
from eurosat_lib.tracking import Run
from eurosat_lib.train import Fit, Hyperparameters

FACTORS = ("lr", "weight_decay", "dilation_stage3", "blocks_per_stage")
LEVEL = 0.95  # of the interval of an effect, each taken alone
# What a trial is measured by, as fractions in [0, 1]: validation accuracy after the first epoch,
# and its mean over the last two; training minus validation accuracy, mean of the last two (that
# of training on augmented images, as the weights move: a lower bound); range of the last two.
MEASURES: dict[str, Callable[[Fit], float]] = {
    "speed": lambda fit: fit.epochs[0].val_accuracy,
    "score": lambda fit: fit.score,
    "gap": lambda fit: statistics.fmean(
        record.train_accuracy - record.val_accuracy for record in fit.epochs[-2:]
    ),
    "spread": lambda fit: float(np.ptp([record.val_accuracy for record in fit.epochs[-2:]])),
}


def grid_points(config: Config, rates: Sequence[float]) -> list[Hyperparameters]:
    """List the distinct points of the grid in order, the learning rate varying slowest."""
    grid = config.grid
    values = product(rates, grid.weight_decay, grid.dilation_stage3, grid.blocks_per_stage)
    points = (Hyperparameters(**dict(zip(FACTORS, point, strict=True))) for point in values)
    return list(dict.fromkeys(points))


def refined_points(config: Config, center: Hyperparameters) -> list[Hyperparameters]:
    """List the distinct points around the best of the grid; two significant digits."""
    grid, points = config.refined_grid, {}
    for f, g in product(grid.lr_factors, grid.weight_decay_factors):
        lr, decay = round_digits(center.lr * f), round_digits(center.weight_decay * g)
        points[center.model_copy(update={"lr": lr, "weight_decay": decay})] = None
    return list(points)


def student(values: Sequence[float], level: float) -> Bounds | None:
    """Student's interval of a mean; ``None`` below three values, or if they do not differ."""
    if len(values) < FEWEST or np.ptp(values) < 1e-9:  # a smaller spread is rounding
        return None
    return mean_interval(values, level)


def effects(trials: Iterable[Fit], factor: str, **only: float) -> dict[str, dict[str, Any]]:
    """Return what changes when one factor goes from its ``low``est to its ``high``est value.

    Two trials that differ in it alone are a pair. They share seed and order of the images: the
    interval speaks of these, not of another training. A peak in between is not seen. Trials that
    diverged are left out, and those of another value than ``only`` names. For each measure:
    ``differences``, high minus low; their ``mean`` (0 without any) with Student's interval,
    ``ci_low`` and ``ci_high``; ``sign`` if it leaves 0 out, else 0.
    """
    found = {fit.hyperparameters: fit for fit in trials if not fit.diverged}
    found = {p: fit for p, fit in found.items() if only.items() <= p.model_dump().items()}
    values = {getattr(point, factor) for point in found} or {0.0}
    low, high = min(values), max(values)
    starts = [p for p in found if low != high and getattr(p, factor) == low]
    twins = {p: found.get(p.model_copy(update={factor: high})) for p in starts}
    facts = {}
    for name, measure in MEASURES.items():
        changes = [measure(twin) - measure(found[p]) for p, twin in twins.items() if twin]
        below, above = student(changes, LEVEL) or (None, None)
        facts[name] = {
            "low": low,
            "high": high,
            "differences": changes,
            "pairs": len(changes),
            "wins_high": sum(change > 0 for change in changes),
            "mean": statistics.fmean(changes) if changes else 0.0,
            "ci_low": below,
            "ci_high": above,
            "sign": 0 if below is None else int(below > 0) - int(above < 0),
        }
    return facts


class GridSearch(Record):
    """All trials of one grid, in the order they ran; one of them at least has a score."""

    trials: tuple[Fit, ...]
    epochs: int
    origin: str  # where the learning rates come from: "config", "chosen_lr", "lr_finder" …

    def model_post_init(self, _: object) -> None:
        """Refuse a grid without a score: it has no best point."""
        if all(fit.diverged for fit in self.trials):
            raise UserError(f"{self.stage}: every trial diverged; lower the learning rates")

    @property
    def ranking(self) -> list[Fit]:
        """Trials from the best score to the worst, diverged ones last; ties keep their order."""
        return sorted(self.trials, key=lambda fit: (bool(fit.diverged), -fit.score))

    @property
    def best(self) -> Fit:
        """Return the trial of best score: mean validation accuracy of the last two epochs."""
        return self.ranking[0]

    @property
    def best_by_epoch(self) -> Fit:
        """Return the trial with the best single epoch, the course's usual criterion."""
        ran = [fit for fit in self.ranking if fit.epochs]
        return max(ran, key=lambda fit: fit.best.val_accuracy)

    def values(self, factor: str) -> list[float]:
        """List the values a factor takes, in increasing order."""
        return sorted({getattr(fit.hyperparameters, factor) for fit in self.trials})

    def effects(self) -> dict[str, Any]:
        """Return the effects of each factor, and that of the learning rate for each depth."""
        shape = "blocks_per_stage"
        depths = [
            {"value": v} | effects(self.trials, "lr", **{shape: v}) for v in self.values(shape)
        ]
        own = {factor: effects(self.trials, factor) for factor in FACTORS}
        return {"effects": own, "lr_effect_by": {shape: depths}}

    def facts(self) -> dict[str, Any]:
        """Return the best point, the grid and its effects; the curves stay out."""
        ranking, by_epoch, first = self.ranking, self.best_by_epoch, self.trials[0]
        return {
            **ranking[0].hyperparameters.model_dump(),
            **first.model_dump(include={"train_images", "validation_images", "seed"}),
            "name": ranking[0].hyperparameters.name,
            "score": ranking[0].score,
            "second_score": ranking[min(1, len(ranking) - 1)].score,
            "worst_score": min(one.score for one in ranking if not one.diverged),
            "best_by_epoch_name": by_epoch.hyperparameters.name,
            "best_by_epoch_accuracy": by_epoch.best.val_accuracy,
            "n_trials": len(self.trials),
            "n_diverged": sum(bool(fit.diverged) for fit in self.trials),
            "epochs": self.epochs,
            "origin": self.origin,
            "seconds": sum(fit.seconds for fit in self.trials),
            "values": {factor: self.values(factor) for factor in FACTORS},
            **self.effects(),
        }

    def csv_files(self) -> dict[str, Rows]:
        """Publish a row per trial."""
        return {f"{self.stage}_results.csv": csv_rows(self.trials)}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curves of every trial."""
        return {fit.hyperparameters.name: fit_run(fit) for fit in self.trials}


class Grid(GridSearch):
    """The course's grid: learning rate, weight decay, dilation, blocks."""

    stage: ClassVar[str] = "grid_search"


class RefinedGrid(GridSearch):
    """A finer grid of learning rate and weight decay around the best point."""

    stage: ClassVar[str] = "refined_grid_search"


class Comparisons(Record):
    """For each factor the trials that differ from the best one in it alone, and its effects."""

    stage: ClassVar[str] = "compare_curves"
    found: dict[str, Any]  # by factor, and the search whose trials these are: its stage, its best

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        return self.found


def neighbours(search: GridSearch, factor: str) -> list[Fit]:
    """List the trials that differ from the best in one factor alone, by increasing value."""
    fixed = search.best.hyperparameters.model_dump(exclude={factor})
    ran = [fit for fit in search.ranking if fit.epochs]
    ran.sort(key=lambda fit: getattr(fit.hyperparameters, factor))
    return [fit for fit in ran if fit.hyperparameters.model_dump(exclude={factor}) == fixed]


def compare(search: GridSearch) -> Comparisons:
    """Compare the best trial with its neighbours, factor by factor."""
    best, found = search.best, search.effects()
    facts = {"source": search.stage, "best": best.hyperparameters.name, "epochs": search.epochs}
    facts |= {"train_images": best.train_images, "lr_effect_by": found["lr_effect_by"]}
    for factor in FACTORS:
        curves = [{"name": fit.hyperparameters.name} for fit in neighbours(search, factor)]
        facts[factor] = {"curves": curves, **found["effects"][factor]}
    return Comparisons(found=facts)


class Finalist(Record):
    """One point: the score that chose it, and its trainings with new seeds."""

    origin: str  # stage of the search that it comes from
    selected: float  # score in that search, with the seed that chose it
    again: Candidate


class Finalists(Record):
    """The finalists, all trained with the same new seeds, so that they are paired by seed."""

    stage: ClassVar[str] = "compare_finalists"
    finalists: tuple[Finalist, ...]  # in the order that chose them

    @property
    def ranking(self) -> list[Finalist]:
        """Finalists by mean score over the new seeds, diverged ones last."""
        return sorted(self.finalists, key=lambda f: (bool(f.again.diverged), -f.again.score))

    @property
    def leader(self) -> Candidate:
        """Return the finalist of best mean: the configuration of the final training."""
        return self.ranking[0].again

    @property
    def level(self) -> float:
        """Level of each interval, for those of all pairs to hold with 95 % (Bonferroni).

        All, not the leader's alone: which one leads is seen in the same scores.
        """
        return 1 - 0.05 / max(1, math.comb(len(self.finalists), 2))

    def lead(self, other: Finalist) -> tuple[float, Bounds | None]:
        """Return the leader's mean advantage over another, seed by seed, and its interval."""
        differences = np.subtract(self.leader.scores, other.again.scores)
        return float(differences.mean()), student(differences, self.level)

    def facts(self) -> dict[str, Any]:
        """Return the finalists' means and spreads, and how many the leader beats."""
        leader, ranking = self.leader, self.ranking
        rows = [
            {"name": f.again.name, "selected": f.selected, "mean": f.again.score, "sd": f.again.sd}
            for f in ranking
        ]
        bounds = [self.lead(one)[1] for one in ranking]
        return {
            **leader.hyperparameters.model_dump(),
            "finalists": rows,
            "leader": leader.name,
            "n_beaten": sum(found is not None and found[0] > 0 for found in bounds),
            "n_seeds": len(leader.fits),
        }

    def csv_files(self) -> dict[str, Rows]:
        """Publish a row per training."""
        return {"finalists.csv": csv_rows(fit for one in self.finalists for fit in one.again.fits)}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curves of every training."""
        fits = [fit for one in self.finalists for fit in one.again.fits]
        return {f"{fit.hyperparameters.name}_seed{fit.seed}": fit_run(fit) for fit in fits}


def choose_finalists(searches: Sequence[GridSearch], count: int) -> list[tuple[str, Fit]]:
    """Pick the best point of each search, then the next best, none that differs in decay only.

    In a few epochs a weight decay of 1e-5 or 1e-4 hardly moves the weights. If the trials of the
    searches had other lengths, scores do not compare: only the last search counts. Returns at
    most ``count`` pairs (stage, trial), by decreasing score.
    """
    if len({search.best.length for search in searches}) > 1:
        searches = searches[-1:]
    pool = [(s.stage, fit) for s in searches for fit in s.ranking if not fit.diverged]
    heads = [s.best.hyperparameters for s in searches]
    pool.sort(key=lambda entry: (entry[1].hyperparameters not in heads, -entry[1].score))
    picked: dict[Hyperparameters, tuple[str, Fit]] = {}
    for stage, fit in pool:
        key = fit.hyperparameters.model_copy(update={"weight_decay": 0.0})
        if len(picked) < count:
            picked.setdefault(key, (stage, fit))
    return sorted(picked.values(), key=lambda entry: -entry[1].score)


def choose_hyperparameters(
    config: Config, fallback: Hyperparameters, searches: Sequence[tuple[str, Fit]]
) -> tuple[Hyperparameters, dict[str, str]]:
    """Take what the configuration gives, the best trial for the rest, or else the fallback.

    The searches are pairs (stage, best point), in order. The best score wins, the later search at
    equal scores; it wins too if their trials had other lengths, for then scores do not compare.
    Returns the hyperparameters, and the origin of each: ``config``, a stage, or ``fallback``.
    """
    stage, point = "fallback", fallback
    if searches:
        alike = len({best.length for _, best in searches}) == 1
        stage, best = sorted(searches, key=lambda found: found[1].score if alike else 0.0)[-1]
        point = best.hyperparameters
    given = {f: getattr(config.train, f) for f in FACTORS if getattr(config.train, f) is not None}
    origin = dict.fromkeys(point.model_dump(), stage) | dict.fromkeys(given, "config")
    return point.model_copy(update=given), origin
