"""The course's protocol: K constant rates, N steps each, from the same weights every time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.lr_finder.rules import FLAT, round_digits
from eurosat_lib.lr_finder.steps import fresh, losses_at
from eurosat_lib.lr_finder.untouched import kept_random_state
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime

BASIN = 0.05  # rates whose score is within this share of the lowest are in the basin


class Resets(Record):
    """Score of each rate: the mean loss of its last steps, in nats; ``None`` if it diverged.

    All rates of a seed start from the same weights and see the same batches.
    """

    lr: tuple[float, ...]
    steps: int
    tail: int  # last steps that the score averages
    scores: tuple[tuple[float | None, ...], ...]  # per seed, per rate
    within: tuple[tuple[float | None, ...], ...]  # standard error over the steps of the tail

    @property
    def mean(self) -> list[float | None]:
        """Mean score of each rate over the seeds; ``None`` if one of them diverged."""
        return [None if None in s else statistics.fmean(s) for s in zip(*self.scores, strict=True)]

    @property
    def error(self) -> list[float | None]:
        """Standard error of the mean: over seeds, or within the tail for a single seed."""
        return [
            None if None in s else _error(s) if len(s) > 1 else w[0]
            for s, w in zip(
                zip(*self.scores, strict=True), zip(*self.within, strict=True), strict=True
            )
        ]

    @property
    def best(self) -> int | None:
        """Index of the lowest score; ``None`` if every rate diverged."""
        finite = [k for k, score in enumerate(self.mean) if score is not None]
        return min(finite, key=lambda k: self.mean[k]) if finite else None

    @property
    def window(self) -> tuple[float, float] | None:
        """Rates around the best, without a gap, that are nearly as good.

        Within 5 % of the lowest score, or within its standard error if that is more (Breiman et
        al. 1984). ``None`` if every rate or none is: the scores are flat; or if the best rate is
        the first or the last.
        """
        mean, best = self.mean, self.best
        first = next((score for score in mean if score is not None), None)
        if best in (None, 0, len(mean) - 1) or mean[best] > (1 - FLAT) * first:
            return None
        limit = mean[best] + max(BASIN * mean[best], self.error[best])
        inside = [score is not None and score <= limit for score in mean]
        low = high = best
        while low > 0 and inside[low - 1]:
            low -= 1
        while high < len(mean) - 1 and inside[high + 1]:
            high += 1
        return self.lr[low], self.lr[high]

    @property
    def choice(self) -> float | None:
        """Middle of the window, in log-lr, to two digits."""
        return round_digits(math.sqrt(math.prod(self.window))) if self.window else None

    def facts(self) -> dict:
        """Return the window, the choice and the sizes; no score of a diverged rate."""
        low, high = self.window or (None, None)
        return {
            "window_low": low,
            "window_high": high,
            "choice": self.choice,
            "rates": len(self.lr),
            "steps": self.steps,
            "tail": self.tail,
            "best_lr": None if self.best is None else self.lr[self.best],
        }


def try_rates(
    config: Config,
    dataset: EuroSAT,
    on_step: Callable[[], None] = lambda: None,
) -> Resets:
    """Train ``reset_steps`` steps at each rate, once per seed, from that seed's weights."""
    settings, runtime = config.lr_finder, Runtime.of(config)
    rates = np.geomspace(settings.reset_min_lr, settings.reset_max_lr, settings.reset_rates)
    tail, rows = settings.reset_tail, []
    with kept_random_state():
        for seed in settings.seeds:
            parts = fresh(config, dataset, seed)
            constant = ([float(lr)] * settings.reset_steps for lr in rates)
            rows.append([list(losses_at(*parts, lr, runtime, on_step))[-tail:] for lr in constant])
    return Resets(
        lr=tuple(rates.tolist()),
        steps=settings.reset_steps,
        tail=tail,
        scores=tuple(tuple(_finite(losses, statistics.fmean) for losses in r) for r in rows),
        within=tuple(tuple(_finite(losses, _error) for losses in r) for r in rows),
    )


def _finite(losses: list[float], summary: Callable[[list[float]], float]) -> float | None:
    return summary(losses) if math.isfinite(losses[-1]) else None


def _error(values: list[float] | tuple[float, ...]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))
