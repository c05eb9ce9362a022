"""How long the stages will take on this machine, measured on a few real training steps."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.data.loaders import BatchLoader
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime, describe_device
from eurosat_lib.stages import cache
from eurosat_lib.training.steps import evaluate, make_optimizer, train_epoch
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms

STEPS = 3  # timed, after one step of warm-up
# Stages that train, by notebook; the others take seconds.
NOTEBOOK_STAGES: dict[str, tuple[str, ...]] = {
    "01_data": (),
    "02_baselines": (),
    "03_model_checks": ("check_initial_loss", "overfit_small"),
    "04_lr_finder": ("lr_finder",),
    "05_grid": ("grid_search",),
    "06_train": ("refined_grid_search", "train"),
    "07_eval": ("evaluate",),
}


def notebook_seconds(config: Config) -> dict[str, float]:
    """Estimate the seconds of computing of each notebook, as if nothing were cached."""
    stages = stage_seconds(config)
    return {
        notebook: sum(stages[name] for name in names)
        for notebook, names in NOTEBOOK_STAGES.items()
    }


def stage_seconds(config: Config) -> dict[str, float]:
    """Estimate the seconds of each stage that trains, from images and seconds per image."""
    dataset = load_dataset(config)
    sizes = {
        "train": len(dataset.train.labels),
        "validation": len(dataset.validation.labels),
        "test": len(dataset.test.labels),
    }
    used = {n: min(getattr(config.data, f"{n}_limit") or size, size) for n, size in sizes.items()}
    blocks = {config.model.blocks_per_stage, *config.grid.blocks_per_stage}
    speed = {b: seconds_per_image(config, b) for b in sorted(blocks)}
    own, mean = speed[config.model.blocks_per_stage], _mean(speed, config.grid.blocks_per_stage)

    def training(epochs: int, images: int, rate: tuple[float, float]) -> float:
        return epochs * (images * rate[0] + used["validation"] * rate[1])

    grid, refined = config.grid, config.refined_grid
    points = 3 if grid.lr is None else len(grid.lr)
    points *= len(grid.weight_decay) * len(grid.dilation_stage3) * len(grid.blocks_per_stage)
    around = len(refined.lr_factors) * len(refined.weight_decay_factors) - 1  # the center is known
    sweeps = len(config.lr_finder.seeds) * config.lr_finder.iterations * config.data.batch_size
    first = config.initial_loss.n_seeds * config.data.batch_size
    return {
        "check_initial_loss": first * own[1],
        "overfit_small": config.overfit.epochs * config.overfit.size * own[0],
        "lr_finder": sweeps * own[0],
        "grid_search": points * training(grid.epochs, grid.train_limit or used["train"], mean),
        "refined_grid_search": around
        * training(refined.epochs, refined.train_limit or used["train"], mean),
        "train": training(config.train.max_epochs, used["train"], mean),
        "evaluate": (used["validation"] + used["test"]) * mean[1],
    }


def seconds_per_image(config: Config, blocks: int) -> tuple[float, float]:
    """Time training and evaluation of one image; measured once per machine and network.

    Returns:
        Seconds per trained image, seconds per evaluated image.
    """
    runtime = Runtime.of(config)
    name = f"{describe_device(runtime)}, {runtime.precision}, torch {torch.__version__}"
    task = f"{config.model.channels}, {config.data.image_size} px, {config.data.batch_size}"
    key = f"{name}, {task}, {blocks} blocks"
    path = config.paths.stages / "speed.json"
    known = cache.read_json(path) or {}
    if key not in known:
        known = known | {key: _measure(config, runtime, blocks)}
        cache.write_json(path, known)
    train, evaluation = known[key]
    return train, evaluation


def _measure(config: Config, runtime: Runtime, blocks: int) -> tuple[float, float]:
    with torch.random.fork_rng(devices=[]):
        model = runtime.place(build_model(config, blocks))
        optimizer = make_optimizer(model, 1e-4, 0.0)
        loader = _noise(config, runtime)
        train_epoch(model, loader.epoch(0), optimizer, runtime, max_steps=1)
        start = time.perf_counter()
        train_epoch(model, loader.epoch(0), optimizer, runtime, max_steps=STEPS)
        trained = time.perf_counter() - start
        start = time.perf_counter()
        evaluate(model, loader.epoch(0), runtime)
        evaluated = time.perf_counter() - start
    batch = config.data.batch_size
    return trained / (STEPS * batch), evaluated / (STEPS * batch)


def _noise(config: Config, runtime: Runtime) -> BatchLoader:
    size, count = config.data.image_size, STEPS * config.data.batch_size
    return BatchLoader(
        images=torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8),
        labels=torch.arange(count) % 10,
        batch_size=config.data.batch_size,
        preprocess=get_preprocess_transforms(config),
        augment=get_augmentation_transforms(config),
        seed=0,
        device=runtime.device,
    )


def _mean(
    speed: Mapping[int, tuple[float, float]], blocks: tuple[int, ...]
) -> tuple[float, float]:
    rates = [speed[b] for b in blocks]
    return sum(r[0] for r in rates) / len(rates), sum(r[1] for r in rates) / len(rates)
