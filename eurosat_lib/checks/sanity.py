"""Controls of training: the same bits twice, images that do not mix, nothing learnt from black."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from scipy import stats
from torch import Tensor

from eurosat_lib.checks.controls import (
    Independence,
    batch_independence,
    blacken,
    count_differences,
    score_shares,
)
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import make_loader, subset
from eurosat_lib.errors import UserError
from eurosat_lib.model import build_model
from eurosat_lib.progress import progress
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime
from eurosat_lib.training import Fit, Hyperparameters, Plan, fit
from eurosat_lib.training.checkpoint import load_checkpoint

LIMIT_BLIND = 0.05  # share by which the loss without images may exceed that of the class shares
ALPHA = 0.05  # of the test that images help
CLOCK = {"seconds"}  # fields of an epoch that no repetition can give again


class Sanity(Record):
    """Three short trainings of the configured network, along the path of every training."""

    stage: ClassVar[str] = "check_training"

    steps: int
    lr: float
    validation_images: int
    compared: int  # weights, buffers and figures of the epochs, compared between two trainings
    differing: int
    independence: Independence
    prior_loss: float  # nats: always the class shares of train, scored on validation
    prior_accuracy: float  # the most frequent class of these validation images
    blind_loss: float  # trained and scored on black images
    blind_accuracy: float
    seen_loss: float  # trained and scored on the images
    seen_accuracy: float

    @property
    def p_value(self) -> float:
        """One-sided p of the binomial test: do images beat the best constant answer?"""
        right = round(self.seen_accuracy * self.validation_images)
        test = stats.binomtest(right, self.validation_images, self.prior_accuracy, "greater")
        return float(test.pvalue)

    def facts(self) -> dict:
        """Return the fields and the verdicts."""
        mixing = self.independence
        return self.model_dump(mode="json") | {
            "repeatable": self.differing == 0,
            "independent": mixing.others == 0 and mixing.own > 0,
            "blind": abs(self.blind_loss / self.prior_loss - 1) <= LIMIT_BLIND,
            "p_value": self.p_value,
            "uses_images": self.p_value < ALPHA,
        }


def check_training(config: Config, dataset: EuroSAT) -> Sanity:
    """Train twice on the images and once on black ones, a few steps each, and compare.

    Raises:
        UserError: a short training diverged.
    """
    controls = config.controls
    data = config.data.model_copy(update={"validation_limit": controls.validation_images})
    short = config.model_copy(update={"data": data})
    with progress("Controls", total=3, unit="training") as bar:
        trained = []
        for shown in (dataset, dataset, blacken(dataset)):
            trained.append(train_briefly(short, shown))
            bar.advance()
    (seen, weights), (again, others), (blind, _) = trained
    differing, compared = count_differences(_flat(seen, weights), _flat(again, others))
    kept = subset(len(dataset.validation), controls.validation_images)
    prior_loss, prior_accuracy = score_shares(
        dataset.train.labels, dataset.validation.labels[kept]
    )
    return Sanity(
        steps=sum(epoch.steps for epoch in seen.epochs),
        lr=controls.lr,
        validation_images=len(kept),
        compared=compared,
        differing=differing,
        independence=_independence_of(short, dataset, weights),
        prior_loss=prior_loss,
        prior_accuracy=prior_accuracy,
        blind_loss=blind.last.val_loss,
        blind_accuracy=blind.last.val_accuracy,
        seen_loss=seen.last.val_loss,
        seen_accuracy=seen.last.val_accuracy,
    )


def train_briefly(config: Config, dataset: EuroSAT) -> tuple[Fit, dict[str, Tensor]]:
    """Train from scratch for ``controls.steps`` steps, augmented, as every training does.

    Returns:
        Its epochs (one, unless the split has fewer images than the steps take), and the weights
        and buffers of the best.

    Raises:
        UserError: the training diverged.
    """
    controls, model = config.controls, config.model
    point = Hyperparameters(
        lr=controls.lr,
        weight_decay=0.0,
        blocks_per_stage=model.blocks_per_stage,
        dilation_stage3=model.dilation_stage3,
    )
    images = controls.steps * config.data.batch_size
    steps = controls.steps  # more epochs than needed: the steps end the training
    plan = Plan(point, epochs=steps, train_limit=images, max_steps=steps, keep_best=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        done = fit(config, dataset, plan, work, work / "run")
        if done.diverged:
            raise UserError(f"check_training: {done.diverged}; lower controls.lr")
        return done, load_checkpoint(work / "best.ckpt")["model"]


def _flat(done: Fit, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    rows = [list(epoch.model_dump(exclude=CLOCK).values()) for epoch in done.epochs]
    return {"epochs": torch.tensor(rows, dtype=torch.float64), **weights}


def _independence_of(
    config: Config, dataset: EuroSAT, weights: Mapping[str, Tensor]
) -> Independence:
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config))
    model.load_state_dict(weights)
    images, _ = next(iter(make_loader(config, dataset.validation, config.data.batch_size)))
    return batch_independence(model, images, runtime)
