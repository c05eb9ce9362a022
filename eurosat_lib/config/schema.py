"""The sections of the configuration: frozen, strict, every field with its unit and range."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from eurosat_lib.config.paths import Paths, Section

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
LearningRate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]  # per step
Blocks = Annotated[int, Field(ge=1, le=6)]
Dilation = Annotated[int, Field(ge=1, le=8)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Triple = tuple[float, float, float]


class Identity(Section):
    """Who hands in what: title page and section 0 of the report."""

    author: str
    title: str
    course: str
    repository: str


class Data(Section):
    """Which images, how large, how many."""

    source: str
    split: Annotated[str, Field(min_length=1)]  # standard, spatial, or a folder of lists
    image_size: Annotated[int, Field(ge=16, le=256)]  # pixels
    batch_size: Annotated[int, Field(ge=2, le=4096)]  # images
    train_limit: Count | None
    validation_limit: Count | None
    test_limit: Count | None
    synthetic_images: tuple[Count, Count, Count]


class Preprocess(Section):
    """Normalisation constants, per RGB channel, for values in [0, 1]."""

    mean: Triple
    std: tuple[Positive, Positive, Positive]


class Augment(Section):
    """Random transformations of the training images."""

    crop_padding: Annotated[int, Field(ge=0, le=32)]  # pixels
    flip_probability: Fraction
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction


class Model(Section):
    """Shape of the network."""

    channels: tuple[Count, Count, Count]
    blocks_per_stage: Blocks
    dilation_stage3: Dilation


class InitialLoss(Section):
    """Check of the untrained network."""

    n_seeds: Annotated[int, Field(ge=2)]


class Overfit(Section):
    """Check that a handful of images can be learnt by heart."""

    size: Count  # images
    epochs: Count
    lr: LearningRate
    weight_decay: NonNegative
    target_loss: Positive  # nats


class Controls(Section):
    """Controls of the network and of its training: shuffled labels, black images, repetition."""

    pairs: Count
    steps: Count
    lr: LearningRate
    validation_images: Count


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


class Train(Section):
    """Final training; ``None`` for a hyperparameter means: the best point of the searches."""

    lr: LearningRate | None
    weight_decay: NonNegative | None
    blocks_per_stage: Blocks | None
    dilation_stage3: Dilation | None
    max_epochs: Count
    max_steps: Count | None
    seeds: tuple[Seed, ...]
    fallback_lr: LearningRate
    fallback_weight_decay: NonNegative


class Evaluate(Section):
    """Evaluation on the test split."""

    checkpoint: str | None
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    robustness_images: Count | None


class Spatial(Section):
    """The final training on the spatial split, beside the standard one."""

    enabled: bool


class Compute(Section):
    """Where and how to compute; never part of what identifies a result."""

    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16"]
    threads: Count | None


class Config(Section):
    """The whole configuration of a run."""

    seed: Seed
    profile: str
    identity: Identity
    data: Data
    preprocess: Preprocess
    augment: Augment
    model: Model
    initial_loss: InitialLoss
    overfit: Overfit
    controls: Controls
    lr_finder: LRFinder
    grid: Grid
    refined_grid: RefinedGrid
    finalists: Finalists
    train: Train
    evaluate: Evaluate
    spatial: Spatial
    compute: Compute
    paths: Paths
