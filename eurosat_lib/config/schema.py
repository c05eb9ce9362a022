"""The sections of the configuration: frozen, strict, every field with its unit and range."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eurosat_lib.config.paths import Paths, Section
from eurosat_lib.config.searches import Finalists, Grid, LRFinder, RefinedGrid
from eurosat_lib.config.values import (
    Blocks,
    Count,
    Dilation,
    Fraction,
    ImageSize,
    LearningRate,
    NonNegative,
    Positive,
    Seed,
    Triple,
)


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
    image_size: ImageSize
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
    seeds: tuple[Seed, ...]


class Recipe(Section):
    """Another way to train the same network, apart from the protocol; see config.recipes."""

    name: str | None
    seeds: tuple[Seed, ...]
    spatial: bool
    ablation_epochs: Count
    ablation_seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    ablation_limit: Count | None
    ablation_image_size: ImageSize | None


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
    recipe: Recipe
    compute: Compute
    paths: Paths
