"""Train one network: epochs, checkpoints, resume, TensorBoard."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.model import build_model, count_parameters
from eurosat_lib.progress import announce
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.tracking import LiveRun
from eurosat_lib.training.checkpoint import describe_task, save_checkpoint
from eurosat_lib.training.records import EpochRecord, Fit, Hyperparameters
from eurosat_lib.training.resume import forget_states, keep_state, restore_state
from eurosat_lib.training.steps import (
    Divergence,
    TrainStep,
    evaluate,
    make_optimizer,
    train_epoch,
)


@dataclass(frozen=True)
class Plan:
    """What to train, for how long."""

    hyperparameters: Hyperparameters
    epochs: int
    train_limit: int | None = None  # images
    max_steps: int | None = None  # optimisation steps over all epochs
    keep_best: bool = False  # write best.ckpt


def fit(
    config: Config,
    dataset: EuroSAT,
    plan: Plan,
    folder: Path,
    run_folder: Path,
    on_batch: Callable[[int], None] = lambda images: None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Fit:
    """Train with Adam and no scheduler; a killed training goes on after its last whole epoch.

    Args:
        config: data, network, seed, device.
        dataset: its train and validation splits are used.
        plan: hyperparameters and length.
        folder: for ``last.ckpt`` (removed at the end) and ``best.ckpt``.
        run_folder: TensorBoard events, one point per epoch.
        on_batch: called with the number of images of each training step.
        on_epoch: called after each epoch.

    Returns:
        The epochs done, and why training stopped if it diverged.
    """
    trainer, diverged = _Trainer(config, dataset, plan, folder), ""
    trainer.resume()
    with LiveRun(run_folder) as run:
        for record in trainer.records:
            run.epoch(record.model_dump())
            on_batch(record.images)
        try:
            while trainer.goes_on():
                record = trainer.epoch(on_batch)
                run.epoch(record.model_dump())
                on_epoch(record)
        except Divergence as error:
            good = len(trainer.records)
            diverged = f"epoch {good + 1}: {error}; last good epoch: {good or 'none'}"
    return trainer.finish(diverged)


class _Trainer:
    """A training between two epochs: network, optimiser, records."""

    def __init__(self, config: Config, dataset: EuroSAT, plan: Plan, folder: Path) -> None:
        self.config, self.dataset, self.plan, self.folder = config, dataset, plan, folder
        self.runtime = Runtime.of(config)
        self.train = make_loader(config, dataset.train, plan.train_limit, augment=True)
        self.validation = make_loader(config, dataset.validation, config.data.validation_limit)
        self._start()

    def _start(self) -> None:
        set_seed(self.config.seed)
        hyper = self.plan.hyperparameters
        model = build_model(self.config, hyper.blocks_per_stage, hyper.dilation_stage3)
        self.model = self.runtime.place(model)
        optimizer = make_optimizer(self.model, hyper.lr, hyper.weight_decay)
        self.step = TrainStep(self.model, optimizer, self.runtime)
        self.records: list[EpochRecord] = []

    def resume(self) -> None:
        """Go on from the state that a killed training left, if there is one."""
        if restore_state(self.folder, self._restore, self._start):
            announce(f"going on after epoch {len(self.records)} of {self.plan.epochs}")

    def _restore(self, content: dict) -> None:
        self.model.load_state_dict(content["model"])
        moments, optimizer = content["optimizer"], self.step.optimizer
        parameters = dict(enumerate(self.model.parameters()))
        shapes = {i: state["exp_avg"].shape for i, state in moments.items()}
        if shapes != {i: p.shape for i, p in parameters.items()}:
            raise ValueError("its optimiser is that of another network")
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
        self.records = [EpochRecord(**row) for row in content["epochs"]]

    def goes_on(self) -> bool:
        """Tell whether another epoch is due."""
        steps_left = self._steps_left()
        return len(self.records) < self.plan.epochs and (steps_left is None or steps_left > 0)

    def epoch(self, on_batch: Callable[[int], None]) -> EpochRecord:
        """Train and validate once, then keep the state.

        Raises:
            Divergence: a loss, the gradient or the validation is not finite.
        """
        start, number = time.perf_counter(), len(self.records)
        batches = self.train.epoch(number)
        means = train_epoch(self.step, batches, on_batch, self._steps_left())
        checked = evaluate(self.model, self.validation, self.runtime)
        if not (math.isfinite(checked.loss) and math.isfinite(means.grad_norm)):
            raise Divergence(means.steps, self.plan.hyperparameters.lr)
        record = EpochRecord(
            epoch=number + 1,
            train_loss=means.loss,
            train_accuracy=means.accuracy,
            val_loss=checked.loss,
            val_accuracy=checked.accuracy,
            lr=self.plan.hyperparameters.lr,
            grad_norm=means.grad_norm,
            steps=means.steps,
            images=means.images,
            seconds=time.perf_counter() - start,
        )
        self._keep(record)
        return record

    def finish(self, diverged: str) -> Fit:
        """Remove the state, no longer needed, and sum up."""
        forget_states(self.folder)
        return Fit(
            hyperparameters=self.plan.hyperparameters,
            seed=self.config.seed,
            train_images=self.train.num_images,
            validation_images=self.validation.num_images,
            parameters=count_parameters(self.model),
            epochs=tuple(self.records),
            diverged=diverged,
        )

    def _steps_left(self) -> int | None:
        if self.plan.max_steps is None:
            return None
        return self.plan.max_steps - sum(record.steps for record in self.records)

    def _keep(self, record: EpochRecord) -> None:
        best = max((r.val_accuracy for r in self.records), default=-1.0)
        self.records.append(record)
        if self.plan.keep_best and record.val_accuracy > best:
            save_checkpoint(self.folder / "best.ckpt", self._weights(record))
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.step.optimizer.state_dict()["state"],
            "epochs": [r.model_dump() for r in self.records],
        }
        keep_state(self.folder, state)

    def _weights(self, record: EpochRecord) -> dict:
        return {
            "model": {name: value.cpu() for name, value in self.model.state_dict().items()},
            "task": describe_task(self.config, self.dataset.classes),
            "hyperparameters": self.plan.hyperparameters.model_dump(),
            "data_fingerprint": self.dataset.fingerprint,
            "profile": self.config.profile,
            "seed": self.config.seed,
            "epoch": record.epoch,
            "val_accuracy": record.val_accuracy,
        }
