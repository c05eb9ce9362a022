"""Speed of this machine, measured on a few real training steps."""

from __future__ import annotations

import time

import torch

from eurosat_lib.config import Config
from eurosat_lib.data.loaders import BatchLoader
from eurosat_lib.data.store import Resident
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime, describe_device
from eurosat_lib.stages import files
from eurosat_lib.training.steps import TrainStep, evaluate, make_optimizer, train_epoch
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms

STEPS = 3  # timed, after one step of warm-up


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
    known = files.read_json(path) or {}
    if key not in known:
        known = known | {key: _measure(config, runtime, blocks)}
        files.write_json(path, known)
    train, evaluation = known[key]
    return train, evaluation


def _measure(config: Config, runtime: Runtime, blocks: int) -> tuple[float, float]:
    with torch.random.fork_rng(devices=[]):
        model = runtime.place(build_model(config, blocks))
        step = TrainStep(model, make_optimizer(model, 1e-4, 0.0), runtime)
        loader = _noise(config, runtime)
        train_epoch(step, loader.epoch(0), max_steps=1)
        start = time.perf_counter()
        train_epoch(step, loader.epoch(0), max_steps=STEPS)
        trained = time.perf_counter() - start
        start = time.perf_counter()
        evaluate(model, loader.epoch(0), runtime)
        evaluated = time.perf_counter() - start
    batch = config.data.batch_size
    return trained / (STEPS * batch), evaluated / (STEPS * batch)


def _noise(config: Config, runtime: Runtime) -> BatchLoader:
    size, count = config.data.image_size, STEPS * config.data.batch_size
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    return BatchLoader(
        images=Resident(images.to(runtime.device)),
        labels=(torch.arange(count) % 10).to(runtime.device),
        batch_size=config.data.batch_size,
        preprocess=get_preprocess_transforms(config),
        augment=get_augmentation_transforms(config),
        seed=0,
    )
