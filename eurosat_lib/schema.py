"""The sections of the configuration: frozen, strict, every field with its range.

``configs/config.yaml`` says what the values mean.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

T = TypeVar("T")
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Several = Annotated[int, Field(ge=2)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
LearningRate = Annotated[float, Field(gt=0, le=10)]  # per step
Blocks = Annotated[int, Field(ge=1, le=6)]
Dilation = Annotated[int, Field(ge=1, le=8)]
ImageSize = Annotated[int, Field(ge=16, le=256)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Address = Annotated[str, Field(pattern=r"""^(https?://[^\s"'<>]+)?$""")]

# Folders beside those of named runs; the name of a stage is refused by stages.
RESERVED = ("results", "captures", "answers", "template", "notebooks", "comparaisons")
# Of a run: a dot is followed by a digit, so that no file of a run is called so.
Name = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_-]|\.[0-9]){0,63})?$")]


def _distinct(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError("a value stands twice")
    return values


Distinct = Annotated[tuple[T, ...], AfterValidator(_distinct)]  # none, one or more, each once
Some = Annotated[Distinct[T], Field(min_length=1)]


class Section(BaseModel):
    """Base of all sections: frozen, strict types, unknown keys and endless numbers refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Identity(Section):  # title page and section 0 of the report
    author: str
    title: str
    course: str
    repository: Address


class Data(Section):
    source: Annotated[str, Field(min_length=1)]
    split: Annotated[str, Field(min_length=1)]  # standard, spatial, or a folder of lists
    image_size: ImageSize
    batch_size: Annotated[int, Field(ge=2, le=4096)]  # images
    train_limit: Count | None
    validation_limit: Count | None
    test_limit: Count | None
    synthetic_images: tuple[Count, Count, Count]


class Preprocess(Section):  # constants per channel, of values in [0, 1]
    statistics: Literal["configuration", "data"]  # these, or those of the training images
    mean: tuple[Fraction, Fraction, Fraction]
    std: tuple[Share, Share, Share]


class Augment(Section):  # random changes of the training images
    symmetries: bool  # the 8 rotations and reflections of the square, instead of the flip
    crop_padding: Annotated[int, Field(ge=0, le=32)]  # pixels
    flip_probability: Fraction
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction


class Model(Section):
    channels: tuple[Count, Count, Count]
    blocks_per_stage: Blocks
    dilation_stage3: Dilation


class InitialLoss(Section):  # check of the untrained network
    n_seeds: Several


class Overfit(Section):  # check that a handful of images can be learnt by heart
    size: Count  # images
    epochs: Epochs
    lr: LearningRate
    weight_decay: NonNegative
    target_loss: Positive  # nats


class Controls(Section):  # shuffled labels, black images, repetition
    pairs: Count
    steps: Count
    lr: LearningRate
    validation_images: Count


class LRFinder(Section):  # geometric sweep
    min_lr: LearningRate
    max_lr: LearningRate
    iterations: Annotated[int, Field(ge=10)]
    seeds: Some[Seed]
    smoothing: BelowOne
    stop_factor: Annotated[float, Field(gt=1)]
    weight_decay: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> "LRFinder":
        if self.min_lr >= self.max_lr:
            raise ValueError(f"min_lr ({self.min_lr:g}) must be below max_lr ({self.max_lr:g})")
        return self


class Grid(Section):  # full factorial search
    lr: Some[LearningRate] | None
    lr_factors: Some[Positive]
    weight_decay: Some[NonNegative]
    dilation_stage3: Some[Dilation]
    blocks_per_stage: Some[Blocks]
    epochs: Epochs
    train_limit: Count | None


class RefinedGrid(Section):  # around the grid's best point
    lr_factors: Some[Positive]
    weight_decay_factors: Some[Positive]
    epochs: Epochs
    train_limit: Count | None


class Finalists(Section):  # trained again with seeds that did not choose them
    count: Several
    seeds: Several


class Train(Section):  # None for a hyperparameter: that of the best finalist
    lr: LearningRate | None  # the highest of the schedule
    weight_decay: NonNegative | None
    blocks_per_stage: Blocks | None
    dilation_stage3: Dilation | None
    max_epochs: Epochs
    max_steps: Count | None
    seeds: Distinct[Seed]
    fallback_lr: LearningRate
    fallback_weight_decay: NonNegative
    optimizer: Literal["adam", "adamw", "muon"]  # muon: for the kernels, AdamW for the rest
    momentum: BelowOne  # of muon
    decay_all: bool  # biases and BatchNorm's weights too
    schedule: Literal["constant", "cosine", "linear"]  # after the warm-up, down to zero
    warmup: BelowOne  # share of all steps
    label_smoothing: BelowOne
    sides: tuple[tuple[Fraction, Share], ...]
    keep: Literal["best", "last", "none"]  # weights kept: of the best epoch, of the last one

    @model_validator(mode="after")
    def _increasing(self) -> "Train":
        starts = [start for start, _ in self.sides]
        # PyTorch's compiler keeps eight sizes, here a whole and a last batch of each side.
        if not 0 < len(starts) <= 4 or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("sides: 1 to 4 pairs (from which share of the epochs, which share)")
        return self


class Evaluate(Section):
    checkpoint: str | None
    robustness_images: Count | None
    views: Literal[1, 8]  # predictions averaged: the image, or its 8 symmetries


class Spatial(Section):  # the final training on the spatial split, beside the standard one
    enabled: bool


class RecipeRuns(Section):  # another way to train the same network
    name: str | None
    seeds: Distinct[Seed]
    ablation_epochs: Epochs
    ablation_seeds: Some[Seed]
    ablation_limit: Count | None
    ablation_image_size: ImageSize | None


class Compute(Section):
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "fp32", "bf16"]
    threads: Count | None
    engine: Literal["serial", "ray", "work"]
    address: str | None
    workers: Count | None
    cpus_per_worker: Count
    gpu_share: Share
    retries: Annotated[int, Field(ge=0)]
    shared: bool


class Paths(Section):  # below the project's root
    root: str
    name: Name = ""

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name.casefold() in RESERVED:
            raise ValueError(f"{name} is a folder of every run")
        return name

    @property
    def artifacts(self) -> Path:
        """Folder of results and checkpoints."""
        return Path(self.root, "artifacts", self.name)

    @property
    def runs(self) -> Path:
        """Folder of TensorBoard's events."""
        return Path(self.root, "runs", self.name)

    @property
    def reports(self) -> Path:
        """Folder of the built report."""
        return Path(self.root, "reports", self.name)

    @property
    def stages(self) -> Path:
        """Cache of results, shared by all runs but those that have one of their own."""
        own = self.artifacts / ".stages"
        return own if own.is_dir() else Path(self.root, "artifacts", ".stages")


class Config(Section):
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
    recipe: RecipeRuns
    compute: Compute
    paths: Paths
