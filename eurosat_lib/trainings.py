"""Trainings: each a function of one configuration, kept on its own, shared by all stages.

Grids, finalists, further seeds and recipes are put together from these; workers of a cluster warm
their cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eurosat_lib.config import Config, override
from eurosat_lib.data import load_dataset
from eurosat_lib.progress import Bar, progress
from eurosat_lib.schema import Train
from eurosat_lib.stages import Code, Kept, keep
from eurosat_lib.train import EpochRecord, Fit, Hyperparameters, fit

IMAGES = ("data.image_size", "preprocess")
BATCHES = (*IMAGES, "seed", "data.batch_size", "data.train_limit", "augment")
ASIDE = ("seeds", "fallback_lr", "fallback_weight_decay")  # say which trainings, not how
# How a network is trained, whatever its point and length.
HOW = tuple(
    f"train.{name}"
    for name in ("optimizer", "momentum", "decay_all", "schedule", "warmup", "label_smoothing")
)
TRAINING = Code(
    rooms=("model", "transforms", "loaders", "optimizers", "train"),
    reads=(
        *(*BATCHES, "data.validation_limit", "model.channels"),
        *(f"train.{name}" for name in Train.model_fields if name not in ASIDE),
    ),
    trains=True,
)


def training_config(
    config: Config,
    point: Hyperparameters,
    epochs: int,
    images: int | None = None,
    weights: str = "best",
    max_steps: int | None = None,
) -> Config:
    """Return the configuration of one training.

    Args:
        config: of the run, with the seed and the split of the training.
        point: its hyperparameters.
        epochs: its length.
        images: it is trained on; ``None``: as many as the run.
        weights: kept; ``train.keep``.
        max_steps: optimisation steps; ``None``: no limit.
    """
    values = {f"train.{name}": value for name, value in point.model_dump().items()}
    values |= {"train.max_epochs": epochs, "train.max_steps": max_steps, "train.keep": weights}
    return counted(override(config, values | {"data.train_limit": images or _limit(config)}))


def counted(config: Config) -> Config:
    """Name the number of training images: equal trainings then have equal keys."""
    total = len(load_dataset(config).train)
    return override(config, {"data.train_limit": min(_limit(config) or total, total)})


def _limit(config: Config) -> int | None:
    return config.data.train_limit


def seeded(config: Config, seeds: Sequence[int]) -> list[Config]:
    """Return copies of a configuration with these seeds."""
    return [config.model_copy(update={"seed": seed}) for seed in seeds]


def hyperparameters(config: Config) -> Hyperparameters:
    """Return the four hyperparameters that a configuration gives."""
    names = Hyperparameters.model_fields
    return Hyperparameters(**{name: getattr(config.train, name) for name in names})


def fallback_point(config: Config) -> Hyperparameters:
    """Return the configuration's own point, for a run without any search."""
    return Hyperparameters(
        lr=config.train.fallback_lr,
        weight_decay=config.train.fallback_weight_decay,
        blocks_per_stage=config.model.blocks_per_stage,
        dilation_stage3=config.model.dilation_stage3,
    )


def train_all(
    title: str, stage: str, trainings: Sequence[Config], names: Sequence[str] = ()
) -> list[Kept[Fit]]:
    """Train one configuration after the other, or take what is kept; show the images done.

    Args:
        title: of the progress bar.
        stage: their TensorBoard events lie below ``runs/<stage>/``.
        trainings: configurations with all hyperparameters given, by :func:`counted`.
        names: of their folders; if not given the hyperparameters, and the seed among several.
    """
    if not trainings:
        return []
    found, expected, names = [], 0, names or _names(trainings)
    total = sum(own.train.max_epochs * own.data.train_limit for own in trainings)
    with progress(title, total=total, unit="images") as bar:
        for number, (own, name) in enumerate(zip(trainings, names, strict=True), start=1):
            note = f"{number} of {len(trainings)}, " if len(trainings) > 1 else ""
            found.append(_trained(own, own.paths.runs / stage / name, bar, note))
            expected += own.train.max_epochs * own.data.train_limit
            bar.advance(expected - bar.done, f"{note}val {found[-1].result.val_accuracy:.1%}")
    return found


def _names(trainings: Sequence[Config]) -> list[str]:
    several = len({own.seed for own in trainings}) > 1
    seeds = [f"_seed{own.seed}" if several else "" for own in trainings]
    return [hyperparameters(own).name + seed for own, seed in zip(trainings, seeds, strict=True)]


def _trained(config: Config, run_folder: Path, bar: Bar, note: str) -> Kept[Fit]:
    def say(record: EpochRecord) -> None:
        """Name the epoch beside the bar."""
        bar.advance(0, f"{note}epoch {record.epoch}, val {record.val_accuracy:.1%}")

    def compute(own: Config, folder: Path) -> Fit:
        """Train, showing the progress."""
        dataset = load_dataset(own)
        return fit(own, dataset, folder, run_folder, on_batch=bar.advance, on_epoch=say)

    return keep(config, Fit, "training", TRAINING, {}, compute)
