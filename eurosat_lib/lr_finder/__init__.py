"""Learning-rate finder: the sweep, the rules that read it, the grid's rates that follow."""

from __future__ import annotations

from eurosat_lib.config import Config
from eurosat_lib.lr_finder.resets import Resets, try_rates
from eurosat_lib.lr_finder.rules import fault, round_digits, smooth, suggest
from eurosat_lib.lr_finder.steps import losses_at
from eurosat_lib.lr_finder.sweep import LRFinder, Sweep, find_lr, sweep
from eurosat_lib.lr_finder.untouched import kept_random_state, untouched

__all__ = [
    "LRFinder",
    "Resets",
    "Sweep",
    "fault",
    "find_lr",
    "grid_rates",
    "kept_random_state",
    "losses_at",
    "smooth",
    "suggest",
    "sweep",
    "try_rates",
    "untouched",
]


def grid_rates(config: Config, choice: float | None) -> tuple[float, ...]:
    """Return the learning rates of the grid: given, or factors around a choice, two digits."""
    if config.grid.lr is not None:
        return tuple(config.grid.lr)
    center = choice if choice is not None else config.train.fallback_lr
    return tuple(round_digits(center * factor) for factor in config.grid.lr_factors)


def csv_rows(result: LRFinder) -> list[dict[str, float]]:
    """Flatten the sweeps to rows ``seed, step, lr, loss, smoothed``."""
    return [
        {"seed": s.seed, "step": i + 1, "lr": lr, "loss": loss, "smoothed": smoothed}
        for s in result.sweeps
        for i, (lr, loss, smoothed) in enumerate(zip(s.lr, s.loss, s.smoothed, strict=True))
    ]
