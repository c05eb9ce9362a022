"""Controls of the training: what an honest one must not be able to do.

Learn shuffled labels in a way that helps, learn from black images, give other bits the second
time.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.checks import few_images, learn_by_heart, learning_run
from eurosat_lib.config import Config, override
from eurosat_lib.data import EuroSAT, Split
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import make_loader, subset
from eurosat_lib.progress import progress
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Record
from eurosat_lib.tracking import Run
from eurosat_lib.train import WEIGHTS, EpochRecord, fit, predict

ALPHA = 0.05  # of the tests that images, or their labels, help


class Memory(Record):
    """One network that learnt a few images: its training curve, and what it knows of others."""

    losses: tuple[float, ...]  # nats, one per epoch
    accuracies: tuple[float, ...]
    validation_accuracy: float
    chance: float  # accuracy of the same predictions, paired with the labels at random


class Pair(Record):
    """The same images and first weights, with true and with shuffled labels."""

    true: Memory
    shuffled: Memory


class ShuffledLabels(Record):
    """Pairs of trainings; each draws other images and other first weights."""

    stage: ClassVar[str] = "shuffled_labels"
    size: int  # images of a draw
    validation_images: int
    pairs: tuple[Pair, ...]

    def facts(self) -> dict[str, Any]:
        """Return means over the pairs, and what the sign test says.

        ``p_value`` is one-sided, ties left out: could the ``wins`` of the true labels come from
        coin tosses?
        """
        true, shuffled = [p.true for p in self.pairs], [p.shuffled for p in self.pairs]
        gaps = [p.true.validation_accuracy - p.shuffled.validation_accuracy for p in self.pairs]
        wins, tossed = sum(gap > 0 for gap in gaps), sum(gap != 0 for gap in gaps)
        p_value = binomtest(wins, tossed, alternative="greater").pvalue if tossed else 1.0
        return {
            "chance": statistics.fmean(m.chance for m in shuffled),
            "wins": wins,
            "p_value": float(p_value),
            "informative": bool(p_value < ALPHA),
            "shuffled_known": statistics.fmean(m.accuracies[-1] for m in shuffled),
            "true_accuracy": statistics.fmean(m.validation_accuracy for m in true),
            "shuffled_accuracy": statistics.fmean(m.validation_accuracy for m in shuffled),
        }

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish a run per draw, with true and with shuffled labels."""
        return {
            f"draw{number}_{kind}": learning_run(memory.losses, memory.accuracies)
            for number, pair in enumerate(self.pairs)
            for kind, memory in (("true", pair.true), ("shuffled", pair.shuffled))
        }


def learn_shuffled_labels(config: Config, dataset: EuroSAT) -> ShuffledLabels:
    """Learn a few images by heart, then once more with their labels permuted, for several draws.

    The first draw with its true labels is the training of ``overfit_small``.

    Raises:
        UserError: the loss stopped being finite.
    """
    controls, size, pairs = config.controls, config.overfit.size, []
    with progress("Étiquettes mélangées", total=controls.pairs, unit="tirages") as bar:
        for number in range(controls.pairs):
            few, seed = few_images(dataset.train, size, number), config.seed + number
            dealt = replace(few, labels=np.random.default_rng(seed).permutation(few.labels))
            true, shuffled = (_learn(config, dataset, images, seed) for images in (few, dealt))
            pairs.append(Pair(true=true, shuffled=shuffled))
            bar.advance()
    count = len(subset(len(dataset.validation), controls.validation_images))
    return ShuffledLabels(size=size, validation_images=count, pairs=pairs)


def _learn(config: Config, dataset: EuroSAT, few: Split, seed: int) -> Memory:
    model, losses, accuracies = learn_by_heart(config, few, seed)
    loader = make_loader(config, dataset.validation, config.controls.validation_images)
    logits, labels = predict(model, loader, Runtime.of(config))
    predicted = logits.argmax(1)
    return Memory(
        losses=losses,
        accuracies=accuracies,
        validation_accuracy=float((predicted == labels).double().mean()),
        chance=chance_agreement(predicted.numpy(), labels.numpy()),
    )


def chance_agreement(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy to expect if predictions int64 (N,) met labels (N,) at random.

    The sum over classes of (share predicted) x (share true): the agreement by chance of Cohen's
    kappa (1960).
    """
    counts = confusion_matrix(labels, predicted)
    return float(counts.sum(0) @ counts.sum(1)) / len(labels) ** 2


class Sanity(Record):
    """Three short trainings of the configured network, along the path of every training."""

    stage: ClassVar[str] = "check_training"
    steps: int
    lr: float
    validation_images: int
    compared: int  # weights, buffers and figures of the epochs, compared between two trainings
    differing: int
    prior_accuracy: float  # the most frequent class of these validation images
    blind_accuracy: float  # trained and scored on black images
    seen_accuracy: float  # trained and scored on the images

    def facts(self) -> dict[str, Any]:
        """Return the fields, and whether images beat the best constant answer (binomial test)."""
        n, best = self.validation_images, self.prior_accuracy
        p_value = binomtest(round(self.seen_accuracy * n), n, best, "greater").pvalue
        return super().facts() | {
            "repeatable": self.differing == 0,
            "uses_images": bool(p_value < ALPHA),
        }


def check_training(config: Config, dataset: EuroSAT) -> Sanity:
    """Train twice on the images and once on black ones, a few steps each, and compare.

    Raises:
        UserError: a short training diverged.
    """
    short, trained = _short(config), []
    with progress("Contrôles", total=3, unit="entraînements") as bar:
        for shown in (dataset, dataset, _blacken(dataset)):
            trained.append(_train_briefly(short, shown))
            bar.advance()
    (seen, values), (_, again), (blind, _) = trained
    labels = dataset.validation.labels
    labels = labels[subset(len(labels), config.controls.validation_images)]
    return Sanity(
        steps=sum(epoch.steps for epoch in seen),
        lr=config.controls.lr,
        validation_images=len(labels),
        compared=len(values),
        differing=int((values != again).sum()),
        prior_accuracy=float(np.bincount(labels).max() / len(labels)),
        blind_accuracy=blind[-1].val_accuracy,
        seen_accuracy=seen[-1].val_accuracy,
    )


def _short(config: Config) -> Config:
    """Return a training of ``controls.steps`` steps; more epochs than needed, the steps end it."""
    controls, model = config.controls, config.model
    values = {
        "train.lr": controls.lr,
        "train.weight_decay": 0.0,
        "train.blocks_per_stage": model.blocks_per_stage,
        "train.dilation_stage3": model.dilation_stage3,
        "train.max_epochs": controls.steps,
        "train.max_steps": controls.steps,
        "train.keep": "best",
        "data.train_limit": controls.steps * config.data.batch_size,
        "data.validation_limit": controls.validation_images,
    }
    return override(config, values)


def _train_briefly(config: Config, dataset: EuroSAT) -> tuple[tuple[EpochRecord, ...], np.ndarray]:
    """Train from scratch; return the epochs; their figures, best weights and buffers, as float64.

    Every float32 and every count is a float64 of its own: equal values are equal bits.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        done = fit(config, dataset, work, work / "run")
        if done.diverged:
            raise UserError(f"check_training: {done.diverged}; lower controls.lr")
        weights = load_checkpoint(work / WEIGHTS)["model"]
    figures = [list(row.model_dump(exclude={"seconds", "side"}).values()) for row in done.epochs]
    values = [np.ravel(figures), *(value.double().ravel() for value in weights.values())]
    return done.epochs, np.concatenate(values)


def _blacken(dataset: EuroSAT) -> EuroSAT:
    """Replace all images of train and validation by black ones; labels stay."""
    none = np.zeros((1, 1, 1, 1), np.uint8)  # broadcast: takes no memory
    splits = {"train": dataset.train, "validation": dataset.validation}
    black = {
        name: replace(split, images=np.broadcast_to(none, split.images.shape))
        for name, split in splits.items()
    }
    return replace(dataset, **black)
