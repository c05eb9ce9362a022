"""Train one network: epochs, checkpoints, resume, TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import BatchLoader, make_loader
from eurosat_lib.errors import UserError
from eurosat_lib.model import DilatedCNN, build_model, count_parameters
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.tracking import LiveRun
from eurosat_lib.training.checkpoint import describe_task, load_checkpoint, save_checkpoint
from eurosat_lib.training.records import EpochRecord, Fit, Hyperparameters
from eurosat_lib.training.steps import Divergence, evaluate, make_optimizer, train_epoch


@dataclass(frozen=True)
class Plan:
    """What to train, for how long."""

    hyperparameters: Hyperparameters
    epochs: int
    train_limit: int | None = None  # images
    max_steps: int | None = None  # optimisation steps over all epochs
    keep_best: bool = False  # write best.ckpt
    resume: bool = True  # write last.ckpt after each epoch, start from it


@dataclass
class _State:
    """A training between two epochs."""

    model: DilatedCNN
    optimizer: torch.optim.Optimizer
    records: list[EpochRecord]

    @property
    def steps(self) -> int:
        return sum(record.steps for record in self.records)

    def save(self, path: Path) -> None:
        rows = [record.model_dump() for record in self.records]
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(path, {**state, "epochs": rows})

    def load(self, path: Path) -> None:
        content = load_checkpoint(path)
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.records[:] = [EpochRecord(**row) for row in content["epochs"]]


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
    runtime = Runtime.of(config)
    train = make_loader(config, dataset.train, plan.train_limit, augment=True)
    validation = make_loader(config, dataset.validation, config.data.validation_limit)
    state = _start(config, plan, runtime)
    last = folder / "last.ckpt"
    _resume(state, last, plan)
    diverged = ""
    with LiveRun(run_folder) as run:
        for record in state.records:
            run.epoch(record.model_dump())
            on_batch(record.steps * config.data.batch_size)
        while _goes_on(state, plan):
            try:
                record = _one_epoch(state, train, validation, plan, runtime, on_batch)
            except Divergence as error:
                diverged = f"epoch {len(state.records) + 1}: {error}"
                break
            if plan.keep_best and record.val_accuracy > _best_before(state.records[:-1]):
                _save_best(folder / "best.ckpt", config, dataset, plan, state)
            if plan.resume:
                state.save(last)
            run.epoch(record.model_dump())
            on_epoch(record)
    last.unlink(missing_ok=True)
    return Fit(
        hyperparameters=plan.hyperparameters,
        seed=config.seed,
        train_images=train.num_images,
        parameters=count_parameters(state.model),
        epochs=tuple(state.records),
        diverged=diverged,
    )


def _start(config: Config, plan: Plan, runtime: Runtime) -> _State:
    set_seed(config.seed)
    hyper = plan.hyperparameters
    model = runtime.place(build_model(config, hyper.blocks_per_stage, hyper.dilation_stage3))
    optimizer = make_optimizer(model, hyper.lr, hyper.weight_decay)
    return _State(model, optimizer, [])


def _resume(state: _State, last: Path, plan: Plan) -> None:
    if not (plan.resume and last.is_file()):
        return
    try:
        state.load(last)
    except (UserError, RuntimeError, KeyError, ValueError):
        last.unlink()  # cut short or foreign: nothing is lost but the epochs it held


def _goes_on(state: _State, plan: Plan) -> bool:
    enough = plan.max_steps is not None and state.steps >= plan.max_steps
    return len(state.records) < plan.epochs and not enough


def _one_epoch(
    state: _State,
    train: BatchLoader,
    validation: BatchLoader,
    plan: Plan,
    runtime: Runtime,
    on_batch: Callable[[int], None],
) -> EpochRecord:
    start = time.perf_counter()
    number = len(state.records)
    left = None if plan.max_steps is None else plan.max_steps - state.steps
    batches = train.epoch(number)
    means = train_epoch(state.model, batches, state.optimizer, runtime, on_batch, left)
    checked = evaluate(state.model, validation, runtime)
    record = EpochRecord(
        epoch=number + 1,
        train_loss=means.loss,
        train_accuracy=means.accuracy,
        val_loss=checked.loss,
        val_accuracy=checked.accuracy,
        lr=plan.hyperparameters.lr,
        grad_norm=means.grad_norm,
        steps=means.steps,
        seconds=time.perf_counter() - start,
    )
    state.records.append(record)
    return record


def _best_before(records: list[EpochRecord]) -> float:
    return max((record.val_accuracy for record in records), default=-1.0)


def _save_best(path: Path, config: Config, dataset: EuroSAT, plan: Plan, state: _State) -> None:
    record = state.records[-1]
    content: dict[str, Any] = {
        "model": {name: value.cpu() for name, value in state.model.state_dict().items()},
        "task": describe_task(config, dataset.classes),
        "hyperparameters": plan.hyperparameters.model_dump(),
        "data_fingerprint": dataset.fingerprint,
        "profile": config.profile,
        "seed": config.seed,
        "epoch": record.epoch,
        "val_accuracy": record.val_accuracy,
        "val_loss": record.val_loss,
    }
    save_checkpoint(path, content)
