"""Learning-rate finder: geometric sweeps on the training path, and what they support."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import ClassVar

import numpy as np

from eurosat_lib.config import Config
from eurosat_lib.config.searches import LRFinder as Settings
from eurosat_lib.data import EuroSAT
from eurosat_lib.lr_finder.resets import Resets, try_rates
from eurosat_lib.lr_finder.rules import fault, round_digits, smooth, suggest
from eurosat_lib.lr_finder.steps import fresh, losses_at
from eurosat_lib.lr_finder.untouched import kept_random_state
from eurosat_lib.progress import progress
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime


class Sweep(Record):
    """One sweep: learning rate of each step, its loss, and the smoothed loss, in nats."""

    seed: int
    lr: tuple[float, ...]
    loss: tuple[float, ...]
    smoothed: tuple[float, ...]
    stopped: str  # "end", "diverged" or "not finite"
    suggestions: dict[str, float]  # rule -> learning rate; empty if there is a fault
    fault: str  # why there is no suggestion: "short", "flat", "start", "end"


class LRFinder(Record):
    """Sweeps over several seeds and the choice they support."""

    stage: ClassVar[str] = "lr_finder"

    sweeps: tuple[Sweep, ...]
    resets: Resets | None = None  # the course's protocol, if asked for
    weight_decay: float
    batch_size: int
    smoothing: float
    iterations: int

    @property
    def suggestions(self) -> list[float]:
        """All suggestions, over rules and seeds."""
        return [lr for sweep in self.sweeps for lr in sweep.suggestions.values()]

    @property
    def reliable(self) -> bool:
        """Tell whether every seed shows a fall of the loss that the rules can read."""
        return all(sweep.suggestions for sweep in self.sweeps)

    @property
    def choice(self) -> float | None:
        """Median of all suggestions, to two digits.

        If a curve supports none, the choice of the course's protocol; ``None`` without either.
        """
        if self.reliable:
            return round_digits(statistics.median(self.suggestions))
        return self.resets.choice if self.resets else None

    @property
    def by_rule(self) -> dict[str, float]:
        """Median over seeds of each rule's suggestion."""
        if not self.reliable:
            return {}
        rules = self.sweeps[0].suggestions
        return {r: statistics.median(s.suggestions[r] for s in self.sweeps) for r in rules}

    @property
    def spread(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest suggestion of each rule over the seeds."""
        if not self.reliable:
            return {}
        found = {r: [s.suggestions[r] for s in self.sweeps] for r in self.sweeps[0].suggestions}
        return {rule: (min(rates), max(rates)) for rule, rates in found.items()}

    @property
    def window(self) -> tuple[float, float] | None:
        """Lowest and highest of the rules' medians, or else the course's protocol's window."""
        rules = self.by_rule.values()
        if rules:
            return round_digits(min(rules)), round_digits(max(rules))
        found = self.resets and self.resets.window
        return (round_digits(found[0]), round_digits(found[1])) if found else None

    def facts(self) -> dict:
        """Return the choice and what it rests on; the curves stay out."""
        low, high = self.window or (None, None)
        return {
            "choice": self.choice,
            "reliable": self.reliable,
            "faults": {s.seed: s.fault for s in self.sweeps if not s.suggestions},
            "resets": self.resets.facts() if self.resets else None,
            "spread": max((high / low for low, high in self.spread.values()), default=None),
            "window_low": low,
            "window_high": high,
            "by_rule": self.by_rule,
            "lowest": min(self.suggestions, default=None),
            "highest": max(self.suggestions, default=None),
            "n_seeds": len(self.sweeps),
            "seeds": [sweep.seed for sweep in self.sweeps],
            "steps": [len(sweep.lr) for sweep in self.sweeps],
            "iterations": self.iterations,
            "min_lr": self.sweeps[0].lr[0],
            "max_lr": max(sweep.lr[-1] for sweep in self.sweeps),
            "weight_decay": self.weight_decay,
            "batch_size": self.batch_size,
            "smoothing": self.smoothing,
        }


def find_lr(config: Config, dataset: EuroSAT) -> LRFinder:
    """Sweep the learning rate once per seed, on the training path of the final network.

    With ``lr_finder.reset_rates`` the course's protocol follows. Nothing outside changes, the
    random generators included.
    """
    settings = config.lr_finder
    per_seed = settings.iterations + settings.reset_rates * settings.reset_steps
    with progress("LR finder", total=len(settings.seeds) * per_seed, unit="step") as bar:
        sweeps = tuple(
            sweep(config, dataset, seed, on_step=bar.advance) for seed in settings.seeds
        )
        resets = try_rates(config, dataset, bar.advance) if settings.reset_rates else None
    return LRFinder(
        sweeps=sweeps,
        resets=resets,
        weight_decay=settings.weight_decay,
        batch_size=config.data.batch_size,
        smoothing=settings.smoothing,
        iterations=settings.iterations,
    )


def sweep(
    config: Config, dataset: EuroSAT, seed: int, on_step: Callable[[], None] = lambda: None
) -> Sweep:
    """Train a fresh network while the learning rate grows geometrically at each step.

    Stops where the smoothed loss passes ``stop_factor`` times its best, or where the loss is not
    finite.
    """
    settings = config.lr_finder
    rates = np.geomspace(settings.min_lr, settings.max_lr, settings.iterations)
    with kept_random_state():
        parts = fresh(config, dataset, seed)
        losses, stopped = _descend(losses_at(*parts, rates, Runtime.of(config), on_step), settings)
    done = rates[: len(losses)]
    smoothed = smooth(np.array(losses), settings.smoothing)
    ended = stopped == "end"
    return Sweep(
        seed=seed,
        lr=tuple(done.tolist()),
        loss=tuple(losses),
        smoothed=tuple(smoothed.tolist()),
        stopped=stopped,
        suggestions=suggest(done, smoothed, ended),
        fault=fault(done, smoothed, ended),
    )


def _descend(steps: Iterator[float], settings: Settings) -> tuple[list[float], str]:
    """Collect the losses until they diverge; closing the iterator restores the network."""
    losses: list[float] = []
    with closing(steps):
        for loss in steps:
            if not math.isfinite(loss):
                return losses, "not finite"
            losses.append(loss)
            smoothed = smooth(np.array(losses), settings.smoothing)
            if smoothed[-1] > settings.stop_factor * smoothed.min():
                return losses, "diverged"
    return losses, "end"
