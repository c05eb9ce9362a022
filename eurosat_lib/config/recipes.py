"""Recipes: other ways to train the same network; each is the protocol and what changes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from eurosat_lib.config.paths import Section
from eurosat_lib.config.schema import Config
from eurosat_lib.config.tree import check_keys, merge, nest, read_yaml, validate
from eurosat_lib.config.values import (
    Blocks,
    Count,
    Dilation,
    Fraction,
    LearningRate,
    NonNegative,
    Positive,
)
from eurosat_lib.errors import UserError, did_you_mean

BASE = "protocol"  # the recipe that the others start from


class Optimizer(Section):
    """What follows the gradient; decay is that of the kind (Adam's is added to the gradient)."""

    kind: Literal["adam", "adamw", "sgd", "muon"]  # sgd: Nesterov; muon: AdamW beside it
    lr: LearningRate  # the highest of the schedule
    weight_decay: NonNegative
    momentum: Annotated[float, Field(ge=0, lt=1)]  # of sgd and muon
    decay_all: bool  # biases and BatchNorm's weights too


class Schedule(Section):
    """Learning rate over the training: linear warm-up, then a way down to zero, or none."""

    kind: Literal["constant", "cosine", "linear"]
    warmup: Annotated[float, Field(ge=0, lt=1)]  # share of all steps


class Mixing(Section):
    """Mix each batch with itself: at most one of both kinds per batch."""

    mixup: Fraction  # share of the batches
    cutmix: Fraction
    alpha: Positive  # of the Beta distribution that draws the share of the other image

    @model_validator(mode="after")
    def _shares(self) -> Mixing:
        if self.mixup + self.cutmix > 1:
            raise ValueError("mixup and cutmix are shares of the batches: at most 1 together")
        return self


class Augmenting(Section):
    """Random transformations of the training images."""

    symmetries: bool  # the 8 rotations and reflections of the square, instead of the flip
    flip_probability: Fraction
    crop_padding: Annotated[int, Field(ge=0, le=32)]  # pixels of the full image
    rotation: Annotated[float, Field(ge=0, le=180)]  # degrees to either side
    zoom: Annotated[float, Field(ge=1, le=4)]  # largest factor, in or out; drawn on a log scale
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction


class Settings(Section):
    """All that a recipe decides."""

    epochs: Count
    batch_size: Annotated[int, Field(ge=2, le=4096)]  # images
    blocks_per_stage: Blocks
    dilation_stage3: Dilation
    statistics: Literal["configuration", "data"]  # mean and sd of Normalize
    augment: Augmenting
    mixing: Mixing
    optimizer: Optimizer
    schedule: Schedule
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    average: Annotated[float, Field(gt=0, lt=1)] | None  # EMA of the weights, decay per step
    sides: tuple[tuple[Fraction, Annotated[float, Field(gt=0, le=1)]], ...]
    views: Literal[1, 8]  # predictions averaged: the image, or its 8 symmetries
    validate_every: Count  # epochs; the last one always

    @model_validator(mode="after")
    def _increasing(self) -> Settings:
        starts = [start for start, _ in self.sides]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("sides: pairs (from which share of the epochs, share of the side)")
        return self


class Step(Section):
    """One change of a recipe."""

    name: str  # in French, as the report prints it
    set: dict[str, Any]  # dotted key -> value


class Recipe(Section):
    """A named recipe: the protocol, and the steps that change it, in order."""

    name: str
    title: str  # in French
    base: Settings
    steps: tuple[Step, ...]

    @property
    def settings(self) -> Settings:
        """Return what the whole recipe decides."""
        return self.after(len(self.steps))

    def after(self, count: int, changes: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings after the first ``count`` steps.

        Args:
            count: steps to take.
            changes: dotted key -> value, applied last.

        Raises:
            UserError: a key is unknown, or a value has the wrong type or range.
        """
        tree, where = self.base.model_dump(mode="json"), f"recipes/{self.name}.yaml"
        for layer in [nest(step.set) for step in self.steps[:count]] + [nest(changes or {})]:
            check_keys(layer, Settings, where)
            tree = merge(tree, layer)
        return validate(tree, where, Settings)


class _File(Section):
    title: str
    steps: tuple[Step, ...]


def load_recipe(config: Config, name: str) -> Recipe:
    """Read ``configs/recipes/<name>.yaml``: a title and the steps away from the protocol.

    Raises:
        UserError: there is no such recipe, or it holds an unknown key or a wrong value.
    """
    folder = Path(config.paths.root) / "configs" / "recipes"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        listed = ", ".join(known) or "none"
        raise UserError(f"recipe {name!r} is unknown{did_you_mean(name, known)}; there: {listed}")
    tree = read_yaml(folder / f"{BASE}.yaml")
    check_keys(tree, Settings, f"recipes/{BASE}.yaml")
    base = validate(tree, f"recipes/{BASE}.yaml", Settings)
    if name == BASE:
        return Recipe(name=name, title="protocole", base=base, steps=())
    tree, where = read_yaml(folder / f"{name}.yaml"), f"recipes/{name}.yaml"
    check_keys(tree, _File, where)
    file = validate(tree, where, _File)
    recipe = Recipe(name=name, title=file.title, base=base, steps=file.steps)
    recipe.after(len(file.steps))  # each step is right
    return recipe
