"""Train the network by a recipe; a killed training goes on after its last whole epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from eurosat_lib.config import Config
from eurosat_lib.config.recipes import Settings
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import BatchLoader, make_loader
from eurosat_lib.model import build_model, count_parameters
from eurosat_lib.progress import announce
from eurosat_lib.recipe.augment import Mixer, RecipeAugmentation
from eurosat_lib.recipe.records import RecipeEpoch, RecipeFit
from eurosat_lib.recipe.step import RecipeStep
from eurosat_lib.recipe.task import scaled, side_at
from eurosat_lib.runtime import Runtime, epoch_generator, set_seed
from eurosat_lib.tracking import LiveRun
from eurosat_lib.training.checkpoint import describe_task, save_checkpoint
from eurosat_lib.training.resume import forget_states, keep_state, restore_state
from eurosat_lib.training.steps import Divergence, EpochMeans, evaluate, train_epoch

WEIGHTS = "recipe.ckpt"  # of the last epoch


def fit_recipe(
    config: Config,
    dataset: EuroSAT,
    settings: Settings,
    folder: Path,
    run_folder: Path,
    on_batch: Callable[[int], None] = lambda images: None,
    on_epoch: Callable[[RecipeEpoch], None] = lambda record: None,
) -> RecipeFit:
    """Train by a recipe, to its last epoch: no epoch is picked by its validation accuracy.

    Args:
        config: data, network, seed, device; made for the recipe by :func:`recipe_config`.
        dataset: its train and validation splits are used.
        settings: the recipe.
        folder: for ``last.ckpt`` (removed at the end) and ``recipe.ckpt``.
        run_folder: TensorBoard events, one point per epoch.
        on_batch: called with the number of images of each training step.
        on_epoch: called after each epoch.
    """
    trainer, diverged = _Trainer(config, dataset, settings, folder), ""
    if restore_state(folder, trainer.restore, trainer.start):
        announce(f"going on after epoch {len(trainer.records)} of {settings.epochs}")
    with LiveRun(run_folder) as run:
        for record in trainer.records:
            _log(run, record)
            on_batch(record.images)
        try:
            while len(trainer.records) < settings.epochs:
                record = trainer.epoch(on_batch)
                _log(run, record)
                on_epoch(record)
        except Divergence as error:
            diverged = f"epoch {len(trainer.records) + 1}: {error}"
    return trainer.finish(diverged)


class _Trainer:
    """A training between two epochs."""

    def __init__(self, config: Config, dataset: EuroSAT, settings: Settings, folder: Path) -> None:
        self.config, self.dataset, self.settings, self.folder = config, dataset, settings, folder
        self.runtime = Runtime.of(config)
        loader = make_loader(config, dataset.train, config.data.train_limit, augment=True)
        self.train = replace(loader, augment=RecipeAugmentation(scaled(settings, config)))
        self.validation = make_loader(config, dataset.validation, config.data.validation_limit)
        self.mixer = Mixer(settings.mixing, len(dataset.classes))
        self.start()

    def start(self) -> None:
        """Begin: new weights, from the seed."""
        set_seed(self.config.seed)
        model = self.runtime.place(build_model(self.config))
        total = self.settings.epochs * len(self.train)
        self.step = RecipeStep(model, self.settings, self.runtime, total)
        self.records: list[RecipeEpoch] = []

    def restore(self, content: dict) -> None:
        """Take the state of a killed training."""
        self.step.model.load_state_dict(content["model"])
        self.step.optimizers.restore(content["optimizers"])
        if self.step.average:
            self.step.average.load_state_dict(content["average"])
        self.records = [RecipeEpoch(**row) for row in content["epochs"]]
        self.step.done = sum(record.steps for record in self.records)

    def epoch(self, on_batch: Callable[[int], None]) -> RecipeEpoch:
        """Train once through the images, validate if it is time, keep the state.

        Raises:
            Divergence: a loss or the gradient is not finite.
        """
        start, number = time.perf_counter(), len(self.records)
        side = side_at(self.settings, number, self.config.data.image_size)
        with torch.random.fork_rng(devices=[]):
            drawn = epoch_generator(self.config.seed, number)
            torch.manual_seed(int(torch.randint(2**31, (), generator=drawn)))
            batches = self.mixer(_at_side(self.train, side).epoch(number))
            means = train_epoch(self.step, batches, on_batch)
        if not math.isfinite(means.grad_norm):
            raise Divergence(means.steps, self.step.lr)
        seconds = time.perf_counter() - start
        checked = self._validate(number + 1)
        record = RecipeEpoch(
            epoch=number + 1,
            side=side,
            lr=self.step.lr,
            train_loss=means.loss,
            train_accuracy=means.accuracy,
            grad_norm=means.grad_norm,
            val_loss=checked.loss if checked else None,
            val_accuracy=checked.accuracy if checked else None,
            steps=means.steps,
            images=means.images,
            seconds=seconds,
        )
        self._keep(record)
        return record

    def _validate(self, epoch: int) -> EpochMeans | None:
        if epoch % self.settings.validate_every and epoch != self.settings.epochs:
            return None
        return evaluate(self.step.trained, self.validation, self.runtime)

    def _keep(self, record: RecipeEpoch) -> None:
        self.records.append(record)
        average = self.step.average
        state = {
            "model": self.step.model.state_dict(),
            "optimizers": self.step.optimizers.state(),
            "average": average.state_dict() if average else {},
            "epochs": [r.model_dump() for r in self.records],
        }
        keep_state(self.folder, state)

    def finish(self, diverged: str) -> RecipeFit:
        """Write the weights, remove the state, sum up."""
        save_checkpoint(self.folder / WEIGHTS, self._weights())
        forget_states(self.folder)
        return RecipeFit(
            seed=self.config.seed,
            parameters=count_parameters(self.step.model),
            train_images=self.train.num_images,
            validation_images=self.validation.num_images,
            epochs=tuple(self.records),
            diverged=diverged,
        )

    def _weights(self) -> dict:
        own, settings = self.config, self.settings
        return {
            "model": {n: value.cpu() for n, value in self.step.trained.state_dict().items()},
            "task": describe_task(own, self.dataset.classes),
            "hyperparameters": {
                "lr": settings.optimizer.lr,
                "weight_decay": settings.optimizer.weight_decay,
                "blocks_per_stage": settings.blocks_per_stage,
                "dilation_stage3": settings.dilation_stage3,
            },
            "data_fingerprint": self.dataset.fingerprint,
            "profile": own.profile,
            "seed": own.seed,
            "epoch": len(self.records),
            "val_accuracy": (self.records[-1].val_accuracy or 0.0) if self.records else 0.0,
        }


def _at_side(loader: BatchLoader, side: int) -> BatchLoader:
    """Return the loader with images of another side, resized after their augmentation."""
    return replace(loader, preprocess=replace(loader.preprocess, size=side))


def _log(run: LiveRun, record: RecipeEpoch) -> None:
    tags = {
        "train/loss": record.train_loss,
        "train/accuracy": record.train_accuracy,
        "train/lr": record.lr,
        "train/grad_norm": record.grad_norm,
        "val/loss": record.val_loss,
        "val/accuracy": record.val_accuracy,
    }
    for tag, value in tags.items():
        if value is not None:
            run.scalar(tag, value, record.epoch)
