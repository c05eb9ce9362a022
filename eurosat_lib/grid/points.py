"""The points of the grids, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from eurosat_lib.config import Config
from eurosat_lib.lr_finder.rules import round_digits
from eurosat_lib.training.records import Fit, Hyperparameters


def grid_points(config: Config, rates: Sequence[float]) -> list[Hyperparameters]:
    """List the points of the grid in a fixed order, the learning rate varying slowest."""
    grid = config.grid
    return [
        Hyperparameters(lr=lr, weight_decay=wd, dilation_stage3=d, blocks_per_stage=b)
        for lr, wd, d, b in product(
            rates, grid.weight_decay, grid.dilation_stage3, grid.blocks_per_stage
        )
    ]


def refined_points(config: Config, center: Hyperparameters) -> list[Hyperparameters]:
    """List the points around the best of the grid; two significant digits."""
    grid = config.refined_grid
    return [
        center.model_copy(
            update={
                "lr": round_digits(center.lr * f),
                "weight_decay": round_digits(center.weight_decay * g),
            }
        )
        for f, g in product(grid.lr_factors, grid.weight_decay_factors)
    ]


def run_trials(
    points: Sequence[Hyperparameters],
    run_one: Callable[[Hyperparameters], Fit],
    on_trial: Callable[[list[Fit]], None],
) -> tuple[Fit, ...]:
    """Run every point; ``on_trial`` sees the finished trials after each one."""
    fits: list[Fit] = []
    for point in points:
        fits.append(run_one(point))
        on_trial(fits)
    return tuple(fits)
