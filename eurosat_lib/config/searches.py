"""Sections of the searches: learning-rate finder, grids, finalists."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from eurosat_lib.config.paths import Section
from eurosat_lib.config.values import (
    Blocks,
    Count,
    Dilation,
    LearningRate,
    NonNegative,
    Positive,
    Seed,
)


class LRFinder(Section):
    """Geometric learning-rate sweep, and the course's protocol as a second opinion."""

    min_lr: LearningRate
    max_lr: LearningRate
    iterations: Annotated[int, Field(ge=10)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    smoothing: Annotated[float, Field(ge=0, lt=1)]
    stop_factor: Annotated[float, Field(gt=1)]
    weight_decay: NonNegative
    reset_rates: Annotated[int, Field(ge=0)]
    reset_min_lr: LearningRate
    reset_max_lr: LearningRate
    reset_steps: Count
    reset_tail: Annotated[int, Field(ge=2)]

    @model_validator(mode="after")
    def _ordered(self) -> LRFinder:
        if self.min_lr >= self.max_lr:
            raise ValueError(f"min_lr ({self.min_lr:g}) must be below max_lr ({self.max_lr:g})")
        if self.reset_min_lr >= self.reset_max_lr:
            raise ValueError("reset_min_lr must be below reset_max_lr")
        if 0 < self.reset_rates < 3:
            raise ValueError("reset_rates: 0, or at least 3")
        if self.reset_tail > self.reset_steps:
            raise ValueError("reset_tail must not be above reset_steps")
        return self


class Grid(Section):
    """Full factorial search over four hyperparameters."""

    lr: Annotated[tuple[LearningRate, ...], Field(min_length=1)] | None
    lr_factors: Annotated[tuple[Positive, ...], Field(min_length=1)]
    weight_decay: Annotated[tuple[NonNegative, ...], Field(min_length=1)]
    dilation_stage3: Annotated[tuple[Dilation, ...], Field(min_length=1)]
    blocks_per_stage: Annotated[tuple[Blocks, ...], Field(min_length=1)]
    seeds: Count  # trainings per point
    epochs: Count
    train_limit: Count | None


class RefinedGrid(Section):
    """Finer search of learning rate and weight decay around the grid's best point."""

    lr_factors: Annotated[tuple[Positive, ...], Field(min_length=1)]
    weight_decay_factors: Annotated[tuple[Positive, ...], Field(min_length=1)]
    epochs: Count
    train_limit: Count | None


class Finalists(Section):
    """The best points of the searches, trained again with seeds that did not choose them."""

    count: Annotated[int, Field(ge=2)]
    seeds: Annotated[int, Field(ge=2)]
