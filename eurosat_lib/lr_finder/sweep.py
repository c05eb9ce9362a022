"""Learning-rate finder: geometric sweeps on the training path, and what they support."""

from __future__ import annotations

import math
import statistics
from typing import ClassVar

import numpy as np

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import BatchLoader, make_loader
from eurosat_lib.lr_finder.rules import round_digits, smooth, suggest
from eurosat_lib.model import build_model
from eurosat_lib.progress import progress
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.training.steps import TrainStep, make_optimizer, set_lr


class Sweep(Record):
    """One sweep: learning rate of each step, its loss, and the smoothed loss, in nats."""

    seed: int
    lr: tuple[float, ...]
    loss: tuple[float, ...]
    smoothed: tuple[float, ...]
    stopped: str  # "end", "diverged" or "not finite"
    suggestions: dict[str, float]  # rule -> learning rate; empty for a curve without a fall


class LRFinder(Record):
    """Sweeps over several seeds and the choice they support."""

    stage: ClassVar[str] = "lr_finder"

    sweeps: tuple[Sweep, ...]
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
        """Median of all suggestions, to two digits; ``None`` if the curves say nothing."""
        return round_digits(statistics.median(self.suggestions)) if self.reliable else None

    @property
    def by_rule(self) -> dict[str, float]:
        """Median over seeds of each rule's suggestion."""
        if not self.reliable:
            return {}
        rules = self.sweeps[0].suggestions
        return {r: statistics.median(s.suggestions[r] for s in self.sweeps) for r in rules}

    @property
    def window(self) -> tuple[float, float] | None:
        """Return the lowest and highest of the rules' medians: the range they agree on."""
        rules = self.by_rule.values()
        return (round_digits(min(rules)), round_digits(max(rules))) if rules else None

    def facts(self) -> dict:
        """Return the choice and what it rests on; the curves stay out."""
        low, high = self.window or (None, None)
        return {
            "choice": self.choice,
            "reliable": self.reliable,
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
    """Sweep the learning rate once per seed, on the training path of the final network."""
    settings = config.lr_finder
    total = len(settings.seeds) * settings.iterations
    with progress("LR finder", total=total, unit="step") as bar:
        sweeps = tuple(
            sweep(config, dataset, seed, on_step=bar.advance) for seed in settings.seeds
        )
    return LRFinder(
        sweeps=sweeps,
        weight_decay=settings.weight_decay,
        batch_size=config.data.batch_size,
        smoothing=settings.smoothing,
        iterations=settings.iterations,
    )


def sweep(config: Config, dataset: EuroSAT, seed: int, on_step=lambda: None) -> Sweep:
    """Train a fresh network while the learning rate grows geometrically at each step.

    The network, optimiser and loader are made here and thrown away: nothing outside changes but
    the global random state, which every training sets for itself. Stops where the smoothed loss
    passes ``stop_factor`` times its best, or where the loss is not finite.
    """
    settings, runtime = config.lr_finder, Runtime.of(config)
    set_seed(seed)
    model = runtime.place(build_model(config)).train()
    optimizer = make_optimizer(model, settings.min_lr, settings.weight_decay)
    step = TrainStep(model, optimizer, runtime)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True, seed=seed)
    rates = np.geomspace(settings.min_lr, settings.max_lr, settings.iterations)
    losses: list[float] = []
    stopped = "end"
    for lr, (images, labels) in zip(rates, _endless(loader), strict=False):
        set_lr(optimizer, float(lr))
        loss = float(step(images, labels)[0])
        on_step()
        if not math.isfinite(loss):
            stopped = "not finite"
            break
        losses.append(loss)
        smoothed = smooth(np.array(losses), settings.smoothing)
        if smoothed[-1] > settings.stop_factor * smoothed.min():
            stopped = "diverged"
            break
    done = rates[: len(losses)]
    smoothed = smooth(np.array(losses), settings.smoothing)
    return Sweep(
        seed=seed,
        lr=tuple(done.tolist()),
        loss=tuple(losses),
        smoothed=tuple(smoothed.tolist()),
        stopped=stopped,
        suggestions=suggest(done, smoothed, ended=stopped == "end"),
    )


def _endless(loader: BatchLoader):
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1
