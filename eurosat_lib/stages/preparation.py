"""Stages before any search: batches, baselines, checks of the network, learning-rate finder."""

from __future__ import annotations

from pathlib import Path

from eurosat_lib import baselines, checks
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset, pipeline
from eurosat_lib.errors import explained
from eurosat_lib.lr_finder import LRFinder, find_lr
from eurosat_lib.stages.cache import kept_part
from eurosat_lib.stages.core import BATCHES, IMAGES, run_stage

TOO_FAST = "Ce petit entraînement a divergé\u00a0: choisir un LR plus petit ({key})."


def verify_pipeline(config: Config) -> pipeline.Pipeline:
    """Check the shapes, ranges and order of the batches."""
    reads = (*BATCHES, "data.validation_limit", "data.test_limit")
    return run_stage(
        config,
        pipeline.Pipeline,
        "data.pipeline",
        reads,
        lambda _: pipeline.verify_pipeline(config),
    )


def compute_baselines(config: Config) -> baselines.Baselines:
    """Score the majority class, uniform guessing, and two linear models."""
    dataset = load_dataset(config)
    return run_stage(
        config,
        baselines.Baselines,
        "baselines",
        ("data.train_limit",),
        lambda _: baselines.compute_baselines(config, dataset),
    )


def test_model(config: Config) -> checks.Architecture:
    """Build the network and count its parameters, layer by layer."""
    reads = ("data.image_size", "model", "grid.blocks_per_stage", "grid.dilation_stage3")
    return run_stage(
        config,
        checks.Architecture,
        "checks.architecture",
        reads,
        lambda _: checks.test_model(config),
    )


test_model.__test__ = False  # the course's name for the stage; pytest must not collect it


def check_initial_loss(config: Config) -> checks.InitialLoss:
    """Send the first batch through the untrained network."""
    dataset = load_dataset(config)
    return run_stage(
        config,
        checks.InitialLoss,
        "checks.initial_loss",
        (*BATCHES, "model", "initial_loss"),
        lambda _: checks.check_initial_loss(config, dataset),
    )


def overfit_small(config: Config) -> checks.Overfit:
    """Learn a few images by heart."""
    dataset = load_dataset(config)
    with explained(TOO_FAST.format(key="paramètre overfit_lr")):
        return run_stage(
            config,
            checks.Overfit,
            "checks.overfit",
            (*IMAGES, "seed", "data.batch_size", "model", "overfit"),
            lambda _: checks.overfit_small(config, dataset),
        )


def shuffled_labels(config: Config) -> checks.ShuffledLabels:
    """Learn a few images by heart with true and with shuffled labels."""
    dataset = load_dataset(config)
    own = ("seed", "data.batch_size", "model", "overfit")

    def compute(folder: Path) -> checks.ShuffledLabels:
        """Learn each pair, or take the one that is kept."""
        return checks.learn_shuffled_labels(
            config, dataset, lambda n, make: kept_part(folder / f"pair{n}.json", checks.Pair, make)
        )

    with explained(TOO_FAST.format(key="paramètre overfit_lr")):
        return run_stage(
            config,
            checks.ShuffledLabels,
            "checks.shuffled",
            (*IMAGES, *own, "controls.pairs", "controls.validation_images"),
            compute,
        )


def check_training(config: Config) -> checks.Sanity:
    """Train briefly: twice the same, once on black images."""
    dataset = load_dataset(config)
    own = ("controls.steps", "controls.lr", "controls.validation_images")
    with explained(TOO_FAST.format(key="controls.lr de configs/config.yaml")):
        return run_stage(
            config,
            checks.Sanity,
            "checks.sanity",
            {*BATCHES, "model", *own} - {"data.train_limit"},
            lambda _: checks.check_training(config, dataset),
        )


def lr_finder(config: Config) -> LRFinder:
    """Sweep the learning rate, once per seed."""
    dataset = load_dataset(config)
    return run_stage(
        config,
        LRFinder,
        "lr_finder.sweep",
        {*BATCHES, "model", "lr_finder"} - {"seed"},
        lambda _: find_lr(config, dataset),
    )
