"""Searches: grids, paired effects of their factors, finalists with new seeds.

All runs of a grid share one seed: their order says nothing of another training, and no score has
a noise. The finalists, trained with new seeds, decide.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np

from eurosat_lib.checks import Findings
from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.lr_finder import round_digits
from eurosat_lib.stages import Record
from eurosat_lib.stats import FEWEST, LEVEL, Bounds, mean_interval
from eurosat_lib.tracking import Run
from eurosat_lib.train import Fit, Hyperparameters
from eurosat_lib.trainings import Rows, csv_rows, fit_run

FACTORS = ("lr", "weight_decay", "dilation_stage3", "blocks_per_stage")
# What a trial is measured by, as fractions in [0, 1]: validation accuracy after the first epoch,
# and its mean over the tail; training minus validation accuracy, mean of the tail (that of
# training on augmented images, as the weights move: a lower bound); range of the last two epochs;
# training accuracy of the last. ``start``: training loss of the first epoch, nats.
MEASURES: dict[str, Callable[[Fit], float]] = {
    "speed": lambda fit: fit.epochs[0].val_accuracy,
    "score": lambda fit: fit.score,
    "gap": lambda fit: statistics.fmean(e.train_accuracy - e.val_accuracy for e in fit.tail),
    "spread": lambda fit: float(np.ptp([e.val_accuracy for e in fit.epochs[-2:]])),
    "fit": lambda fit: fit.last.train_accuracy,
    "start": lambda fit: fit.epochs[0].train_loss,
}


def grid_points(config: Config, choice: float | None) -> list[Hyperparameters]:
    """List the distinct points of the grid; the rates are given, or around a choice."""
    grid, center = config.grid, choice or config.train.fallback_lr
    rates = grid.lr or [round_digits(center * factor) for factor in grid.lr_factors]
    values = product(rates, grid.weight_decay, grid.dilation_stage3, grid.blocks_per_stage)
    points = (Hyperparameters(**dict(zip(FACTORS, point, strict=True))) for point in values)
    return list(dict.fromkeys(points))


def refined_points(config: Config, center: Hyperparameters) -> list[Hyperparameters]:
    """List the distinct points around the best of the grid; two significant digits."""
    grid, points = config.refined_grid, []
    for f, g in product(grid.lr_factors, grid.weight_decay_factors):
        lr, decay = round_digits(center.lr * f), round_digits(center.weight_decay * g)
        points.append(center.model_copy(update={"lr": lr, "weight_decay": decay}))
    return list(dict.fromkeys(points))


def student(values: Sequence[float], level: float = LEVEL) -> Bounds | None:
    """Student's interval of a mean; ``None`` below three values, or if they do not differ."""
    if len(values) < FEWEST or np.ptp(values) < 1e-9:  # a smaller spread is rounding
        return None
    return mean_interval(values, level)


def effects(trials: Iterable[Fit], factor: str) -> dict[str, dict[str, Any]]:
    """Return what changes when one factor goes from its ``low``est to its ``high``est value.

    Two trials that differ in it alone are a pair. They share seed and order of the images: the
    interval speaks of these, not of another training. A peak in between is not seen. Trials that
    diverged are left out. For each measure: ``differences``, high minus low; their ``mean`` (0
    without any) and how many are ``going`` its way; Student's interval, ``ci_low`` and
    ``ci_high``; ``sign`` if it leaves 0 out.
    """
    found = {fit.hyperparameters: fit for fit in trials if not fit.diverged}
    values = {getattr(point, factor) for point in found} or {0.0}
    low, high, facts = min(values), max(values), {}
    starts = [point for point in found if getattr(point, factor) == low < high]
    twins = [(found[p], found.get(p.model_copy(update={factor: high}))) for p in starts]
    for name, measure in MEASURES.items():
        changes = [measure(twin) - measure(fit) for fit, twin in twins if twin]
        below, above = student(changes) or (None, None)
        mean = statistics.fmean(changes or [0.0])
        facts[name] = {
            "low": low,
            "high": high,
            "differences": changes,
            "pairs": len(changes),
            "going": sum(change * mean > 0 for change in changes),
            "mean": mean,
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
        """Return the trial of best score: mean validation accuracy of its tail."""
        return self.ranking[0]

    @property
    def best_by_epoch(self) -> Fit:
        """Return the trial with the best single epoch, the course's usual criterion."""
        ran = [fit for fit in self.ranking if not fit.diverged]
        return max(ran, key=lambda fit: fit.best.val_accuracy)

    def values(self, factor: str) -> list[float]:
        """List the values a factor takes, in increasing order."""
        return sorted({getattr(fit.hyperparameters, factor) for fit in self.trials})

    def facts(self) -> dict[str, Any]:
        """Return the best point, the grid and its effects; the curves stay out."""
        ranking, by_epoch, depths = self.ranking, self.best_by_epoch, []
        best, scored = ranking[0], [fit for fit in ranking if not fit.diverged]
        # Depths are compared on the same points: one that diverged at a depth counts at none. A
        # depth at which all diverged takes no point from the others.
        alive = {fit.hyperparameters.blocks_per_stage for fit in scored}
        failed = [fit.hyperparameters for fit in ranking if fit.diverged]
        failed = [point for point in failed if point.blocks_per_stage in alive]
        for blocks in self.values("blocks_per_stage"):
            left_out = {point.model_copy(update={"blocks_per_stage": blocks}) for point in failed}
            part = [fit for fit in self.trials if fit.hyperparameters.blocks_per_stage == blocks]
            kept = [fit for fit in part if fit.hyperparameters not in left_out]
            depths.append({"value": blocks} | effects(kept, "lr"))
        return {
            **best.hyperparameters.model_dump(),
            **best.model_dump(include={"train_images", "validation_images", "seed"}),
            "name": best.hyperparameters.name,
            "score": best.score,
            "second_score": (ranking[1:] or ranking)[0].score,
            "worst_score": scored[-1].score,
            "best_by_epoch_name": by_epoch.hyperparameters.name,
            "best_by_epoch_accuracy": by_epoch.best.val_accuracy,
            "n_trials": len(ranking),
            "n_diverged": len(ranking) - len(scored),
            "epochs": self.epochs,
            "origin": self.origin,
            "seconds": sum(fit.seconds for fit in self.trials),
            "values": {factor: self.values(factor) for factor in FACTORS},
            "effects": {factor: effects(self.trials, factor) for factor in FACTORS},
            "lr_effect_by": {"blocks_per_stage": depths},
        }

    def files(self) -> dict[str, Rows]:
        """Publish a row per trial."""
        return {f"{self.stage}_results.csv": csv_rows(self.trials)}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curves of every trial."""
        return {fit.hyperparameters.name: fit_run(fit) for fit in self.trials}


class Grid(GridSearch, stage="grid_search"):
    """The course's grid: learning rate, weight decay, dilation, blocks."""


class RefinedGrid(GridSearch, stage="refined_grid_search"):
    """A finer grid of learning rate and weight decay around the best point."""


class Comparisons(Findings, stage="compare_curves"):
    """For each factor the trials that differ from the best one in it alone, and its effects."""


def neighbours(search: GridSearch, factor: str) -> list[Fit]:
    """List the trials that differ from the best in one factor alone, by increasing value."""
    fixed = search.best.hyperparameters.model_dump(exclude={factor})
    ran = [fit for fit in search.trials if fit.epochs]
    near = [fit for fit in ran if fit.hyperparameters.model_dump(exclude={factor}) == fixed]
    return sorted(near, key=lambda fit: getattr(fit.hyperparameters, factor))


def compare(search: GridSearch) -> Comparisons:
    """Compare the best trial with its neighbours, factor by factor."""
    found = search.facts() | {"source": search.stage, "best": search.best.hyperparameters.name}
    for factor, changed in found.pop("effects").items():
        curves = [{"name": fit.hyperparameters.name} for fit in neighbours(search, factor)]
        found[factor] = {"curves": curves, **changed}
    return Comparisons(found=found)


class Finalist(Record):
    """One point: the score that chose it, and its trainings with new seeds."""

    origin: str  # stage of the search that it comes from
    selected: float  # score in that search, with the seed that chose it
    hyperparameters: Hyperparameters
    fits: tuple[Fit, ...]

    @property
    def scores(self) -> list[float]:
        """Score of each training; 0 if it diverged."""
        return [fit.score for fit in self.fits]

    @property
    def score(self) -> float:
        """Mean of the scores; 0 if a training diverged."""
        return 0.0 if any(fit.diverged for fit in self.fits) else statistics.fmean(self.scores)

    @property
    def sd(self) -> float | None:
        """Standard deviation of the scores; ``None`` of one."""
        return statistics.stdev(self.scores) if len(self.fits) > 1 else None


class Finalists(Record, stage="compare_finalists"):
    """The finalists, all trained with the same new seeds, so that they are paired by seed."""

    finalists: tuple[Finalist, ...]  # in the order that chose them

    @property
    def ranking(self) -> list[Finalist]:
        """Finalists by mean score over the new seeds, diverged ones last."""
        return sorted(self.finalists, key=lambda one: -one.score)

    @property
    def leader(self) -> Finalist:
        """Return the finalist of best mean: the configuration of the final training."""
        return self.ranking[0]

    @property
    def level(self) -> float:
        """Level of each interval, for those of all pairs to hold with 95 % (Bonferroni)."""
        return 1 - (1 - LEVEL) / max(1, math.comb(len(self.finalists), 2))

    def lead(self, other: Finalist) -> tuple[float, Bounds | None]:
        """Return the leader's mean advantage over another, seed by seed, and its interval."""
        differences = np.subtract(self.leader.scores, other.scores)
        return float(differences.mean()), student(differences, self.level)

    def facts(self) -> dict[str, Any]:
        """Return the finalists' means and spreads, and how many the leader beats."""
        bounds = [self.lead(one)[1] for one in self.ranking]
        return {
            **self.leader.hyperparameters.model_dump(),
            "finalists": [
                {"lr": one.hyperparameters.lr, "mean": one.score, "sd": one.sd}
                for one in self.ranking
            ],
            "leader": self.leader.hyperparameters.name,
            "n_beaten": sum(found is not None and found[0] > 0 for found in bounds),
            "n_seeds": len(self.leader.fits),
        }

    def files(self) -> dict[str, Rows]:
        """Publish a row per training."""
        return {"finalists.csv": csv_rows(fit for one in self.finalists for fit in one.fits)}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curves of every training."""
        fits = [fit for one in self.finalists for fit in one.fits]
        return {f"{fit.hyperparameters.name}_seed{fit.seed}": fit_run(fit) for fit in fits}


def choose_finalists(
    searches: Sequence[GridSearch], count: int, rate: float | None
) -> list[tuple[str, Fit]]:
    """Pick the best point, the LR finder's own, the best of each search, then the next best.

    The finder's own is the best point of its ``rate`` and of the best point's depth, if there is
    one. No two differ in decay alone: in a few epochs it hardly moves the weights. If the trials
    of the searches had other lengths or seeds, scores do not compare: only the last search counts.
    Returns at most ``count`` pairs (stage, trial), by decreasing score.
    """
    if len({(search.best.length, search.best.seed) for search in searches}) > 1:
        searches = searches[-1:]
    pool = [(s.stage, fit) for s in searches for fit in s.ranking if not fit.diverged]
    pool.sort(key=lambda entry: -entry[1].score)
    depth = pool[0][1].hyperparameters.blocks_per_stage if pool else 0
    wanted = {"lr": rate, "blocks_per_stage": depth}.items()
    finder = [entry for entry in pool if wanted <= entry[1].hyperparameters.model_dump().items()]
    bests = [(search.stage, search.best) for search in searches]
    picked: dict[Hyperparameters, tuple[str, Fit]] = {}
    for stage, fit in (*pool[:1], *finder[:1], *bests, *pool):
        key = fit.hyperparameters.model_copy(update={"weight_decay": 0.0})
        if len(picked) < count:
            picked.setdefault(key, (stage, fit))
    return sorted(picked.values(), key=lambda entry: -entry[1].score)
