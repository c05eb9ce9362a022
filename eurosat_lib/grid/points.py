"""The points of the grids, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from eurosat_lib.config import Config
from eurosat_lib.lr_finder.rules import round_digits
from eurosat_lib.training.records import Hyperparameters


def grid_points(config: Config, rates: Sequence[float]) -> list[Hyperparameters]:
    """List the distinct points of the grid in order, the learning rate varying slowest."""
    grid = config.grid
    points = [
        Hyperparameters(lr=lr, weight_decay=wd, dilation_stage3=d, blocks_per_stage=b)
        for lr, wd, d, b in product(
            rates, grid.weight_decay, grid.dilation_stage3, grid.blocks_per_stage
        )
    ]
    return list(dict.fromkeys(points))


def refined_points(config: Config, center: Hyperparameters) -> list[Hyperparameters]:
    """List the distinct points around the best of the grid; two significant digits."""
    grid = config.refined_grid
    points = [
        center.model_copy(
            update={
                "lr": round_digits(center.lr * f),
                "weight_decay": round_digits(center.weight_decay * g),
            }
        )
        for f, g in product(grid.lr_factors, grid.weight_decay_factors)
    ]
    return list(dict.fromkeys(points))
