"""Checks before any search: batches, the network on paper, its first loss, a small overfit.

And controls, what no honest training can do: learn shuffled labels in a way that helps, learn
from black images, give other bits the second time.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.config import Config, override
from eurosat_lib.data import SPLITS, EuroSAT, Split
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import get_dataloaders, make_loader, subset
from eurosat_lib.model import (
    LayerRow,
    build_model,
    count_parameters,
    count_parameters_by_formula,
    layer_table,
    receptive_field,
)
from eurosat_lib.optimizers import make_optimizer
from eurosat_lib.progress import progress
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.stages import Record
from eurosat_lib.tracking import Run
from eurosat_lib.train import WEIGHTS, Divergence, Fit, TrainStep, fit, predict, train_epoch

LIMIT_SD = 3.0  # the configured seed may lie this many standard deviations from the mean
# The mean over seeds may lie this far from ln K, in nats: logits of standard deviation s raise the
# expected loss by about s^2 / 2 (second-order expansion of log-sum-exp), so 0.1 allows s = 0.45.
LIMIT_BIAS = 0.1
FAINT = 1e-3  # a gradient below this share of the total norm is rounding
ALPHA = 0.05  # of the tests that images, or their labels, help


class Pipeline(Record):
    """What the loaders deliver."""

    stage: ClassVar[str] = "verify_pipeline"
    batch_shape: tuple[int, ...]
    batch_dtype: str
    labels_shape: tuple[int, ...]
    labels_dtype: str
    label_min: int
    label_max: int
    input_shape: tuple[int, int, int]
    batch_size: int
    used: dict[str, int]  # split -> images of one pass
    value_min: float  # over all validation images, after preprocessing
    value_max: float
    reshuffled: bool  # two epochs of train come in different orders
    repeatable: bool  # the same epoch twice gives the same bits

    def facts(self) -> dict[str, Any]:
        """Return the fields, and whether a batch has the shape that ``meta`` announces."""
        return super().facts() | {"coherent": self.batch_shape[1:] == self.input_shape}


def verify_pipeline(config: Config) -> Pipeline:
    """Draw batches from train and validation, and check shapes, ranges, order."""
    *loaders, meta = get_dataloaders(config)
    train, validation, _ = loaders
    (images, labels), other, again = (next(train.epoch(epoch)) for epoch in (0, 1, 0))
    ends = [torch.aminmax(shown) for shown, _ in validation.epoch(0)]
    return Pipeline(
        batch_shape=images.shape,
        batch_dtype=str(images.dtype).removeprefix("torch."),
        labels_shape=labels.shape,
        labels_dtype=str(labels.dtype).removeprefix("torch."),
        label_min=int(train.labels.min()),
        label_max=int(train.labels.max()),
        input_shape=meta["input_shape"],
        batch_size=config.data.batch_size,
        used={name: loader.num_images for name, loader in zip(SPLITS, loaders, strict=True)},
        value_min=min(float(low) for low, _ in ends),
        value_max=max(float(high) for _, high in ends),
        reshuffled=not torch.equal(images, other[0]),
        repeatable=torch.equal(images, again[0]),
    )


class Variant(Record):
    """What one choice of the two hyperparameters means."""

    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    tensors: int
    receptive_field: int  # input pixels
    gflop: float  # forward and backward, one image, 2 operations a multiply-accumulate


class Architecture(Variant):
    """The configured network, layer by layer, and its variants of the grid."""

    stage: ClassVar[str] = "test_model"
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, ...]
    channels: tuple[int, int, int]
    parameters_by_formula: int
    layers: tuple[LayerRow, ...]
    variants: tuple[Variant, ...]

    def facts(self) -> dict[str, Any]:
        """Return the numbers of the network; the layer table stays out."""
        return self.model_dump(mode="json", exclude={"layers"})


class FinalArchitecture(Architecture):
    """The network that is trained in the end."""

    stage: ClassVar[str] = "final_architecture"


def test_model(config: Config) -> Architecture:
    """Build the configured network and its variants, and count."""
    own, grid = config.model, config.grid
    blocks = sorted({own.blocks_per_stage, *grid.blocks_per_stage})
    dilations = sorted({own.dilation_stage3, *grid.dilation_stage3})
    shape = (3, config.data.image_size, config.data.image_size)
    layers = layer_table(build_model(config), shape)
    return Architecture(
        **dict(_variant(config, shape, own.blocks_per_stage, own.dilation_stage3)),
        input_shape=shape,
        output_shape=layers[-1].output_shape,
        channels=own.channels,
        parameters_by_formula=count_parameters_by_formula(own.channels, own.blocks_per_stage),
        layers=layers,
        variants=[_variant(config, shape, b, d) for b in blocks for d in dilations],
    )


def _variant(config: Config, shape: tuple[int, int, int], blocks: int, dilation: int) -> Variant:
    model = build_model(config, blocks, dilation)
    macs = [row.macs for row in layer_table(model, shape) if row.macs]
    return Variant(
        blocks_per_stage=blocks,
        dilation_stage3=dilation,
        parameters=count_parameters(model),
        tensors=len(list(model.parameters())),
        receptive_field=receptive_field(blocks, dilation),
        # A layer works once forward, once for the gradient of its weights and once for that of
        # its input; nobody asks for the gradient of the image.
        gflop=2 * (3 * sum(macs) - macs[0]) / 1e9,
    )


class InitialLoss(Record):
    """First batch through the untrained network, for the configured seed and others."""

    stage: ClassVar[str] = "check_initial_loss"
    batch_shape: tuple[int, ...]
    logits_shape: tuple[int, ...]
    classes: int
    loss: float  # nats
    grad_norm: float
    gradients: dict[str, float]  # tensor -> L2 norm of its gradient
    losses: tuple[float, ...]  # one per initialisation, seeds 0, 1, 2 …

    def facts(self) -> dict[str, Any]:
        """Return the fields, without what there is of each tensor, and what follows from them.

        ``theory``: ln K; ``coherent``: the mean is close to it, and this loss to the others'.
        """
        mean, sd = statistics.fmean(self.losses), statistics.stdev(self.losses)
        theory, norms = math.log(self.classes), self.gradients
        near = abs(mean - theory) <= LIMIT_BIAS and abs(self.loss - mean) <= LIMIT_SD * sd
        return self.model_dump(mode="json", exclude={"gradients", "losses"}) | {
            "theory": theory,
            "n_seeds": len(self.losses),
            "mean": mean,
            "sd": sd,
            "coherent": near,
            "limit_sd": LIMIT_SD,
            "limit_bias": LIMIT_BIAS,
            "reached": sum(norm > 0 and math.isfinite(norm) for norm in norms.values()),
            "tensors": len(norms),
            "faint": [name for name, norm in norms.items() if norm < FAINT * self.grad_norm],
        }


def check_initial_loss(config: Config, dataset: EuroSAT) -> InitialLoss:
    """Send the first training batch of epoch 0, augmented, through untrained networks."""
    runtime = Runtime.of(config)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True)
    images, labels = next(loader.epoch(0))

    def first_pass(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
        """Send the batch through a network drawn from a seed: network, logits, loss (nats)."""
        set_seed(seed)
        model = runtime.place(build_model(config)).train()
        with runtime.autocast():
            logits = model(images).float()
        return model, logits, F.cross_entropy(logits, labels)

    model, logits, loss = first_pass(config.seed)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    with torch.no_grad():
        losses = [float(first_pass(seed)[2]) for seed in range(config.initial_loss.n_seeds)]
    return InitialLoss(
        batch_shape=images.shape,
        logits_shape=logits.shape,
        classes=len(dataset.classes),
        loss=float(loss.detach()),
        grad_norm=float(torch.nn.utils.get_total_norm(gradients.values())),
        gradients={name: float(gradient.norm()) for name, gradient in gradients.items()},
        losses=losses,
    )


class Overfit(Record):
    """Training loss and accuracy of each epoch over the same few images."""

    stage: ClassVar[str] = "overfit_small"
    size: int  # images
    lr: float
    weight_decay: float
    blocks_per_stage: int
    dilation_stage3: int
    target_loss: float
    max_epochs: int
    losses: tuple[float, ...]  # nats, before the epoch's last update
    accuracies: tuple[float, ...]

    def facts(self) -> dict[str, Any]:
        """Return the fields, the curve reduced to its ends."""
        return self.model_dump(exclude={"losses", "accuracies"}) | {
            "epochs": len(self.losses),
            "first_loss": self.losses[0],
            "last_loss": self.losses[-1],
            "last_accuracy": self.accuracies[-1],
            "reached": self.losses[-1] < self.target_loss,
        }

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curve, epoch by epoch."""
        columns = {"train/loss": self.losses, "train/accuracy": self.accuracies}
        series = {tag: list(enumerate(values, start=1)) for tag, values in columns.items()}
        return {f"{self.size}_images": Run(series)}


def overfit_small(config: Config, dataset: EuroSAT) -> Overfit:
    """Train on a few images of the train split, without augmentation, until they are known.

    Raises:
        UserError: the loss stopped being finite.
    """
    settings, few = config.overfit, few_images(dataset.train, config.overfit.size)
    with progress("Petit échantillon", total=settings.epochs, unit="époques") as bar:
        _, losses, accuracies = learn_by_heart(
            config, few, config.seed, lambda loss: bar.advance(note=f"perte {loss:.4f}")
        )
    return Overfit(
        **settings.model_dump(include={"size", "lr", "weight_decay", "target_loss"}),
        **config.model.model_dump(include={"blocks_per_stage", "dilation_stage3"}),
        max_epochs=settings.epochs,
        losses=losses,
        accuracies=accuracies,
    )


def few_images(split: Split, size: int, number: int = 0) -> Split:
    """Draw a few images, always the same; other numbers give other images, as far as they go."""
    order = np.random.default_rng(0).permutation(len(split))
    index = np.sort(order.take(range(number * size, (number + 1) * size), mode="wrap"))
    return Split(split.images[index], split.labels[index], tuple(split.names[i] for i in index))


def learn_by_heart(
    config: Config, few: Split, seed: int, on_epoch: Callable[[float], None] = lambda loss: None
) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    """Train a new network on a few images, in the same order at each epoch, until it knows them.

    Returns the network, and loss (nats) and accuracy of each epoch; ``on_epoch`` gets each loss.

    Raises:
        UserError: the loss stopped being finite.
    """
    settings, runtime = config.overfit, Runtime.of(config)
    set_seed(seed)
    model = runtime.place(build_model(config))
    optimizer = make_optimizer(model, settings.lr, settings.weight_decay)
    step, batches, curve = TrainStep(model, optimizer, runtime), list(make_loader(config, few)), []
    for _ in range(settings.epochs):
        try:
            means = train_epoch(step, batches)
        except Divergence as error:
            raise UserError(f"overfit_small diverged ({error}); lower overfit.lr") from None
        curve.append((means.loss, means.accuracy))
        on_epoch(means.loss)
        if means.loss < settings.target_loss:
            break
    losses, accuracies = zip(*curve, strict=True)
    return model, losses, accuracies


class Memory(Record):
    """One network that learnt a few images: its training curve, and what it knows of others."""

    losses: tuple[float, ...]  # nats, one per epoch
    known: float  # accuracy on these images at the end
    validation_accuracy: float


class ShuffledLabels(Record):
    """Pairs of trainings, with true and shuffled labels, each of other images and weights."""

    stage: ClassVar[str] = "shuffled_labels"
    true: tuple[Memory, ...]
    shuffled: tuple[Memory, ...]

    def facts(self) -> dict[str, Any]:
        """Return means over the pairs, and whether the true labels win a sign test."""
        true, shuffled = ([m.validation_accuracy for m in k] for k in (self.true, self.shuffled))
        gaps = np.subtract(true, shuffled)
        wins, tossed = int((gaps > 0).sum()), int((gaps != 0).sum())
        p_value = binomtest(wins, tossed, alternative="greater").pvalue if tossed else 1.0
        return {
            "informative": bool(p_value < ALPHA),
            "shuffled_known": statistics.fmean(m.known for m in self.shuffled),
            "true_accuracy": statistics.fmean(true),
            "shuffled_accuracy": statistics.fmean(shuffled),
        }


def learn_shuffled_labels(config: Config, dataset: EuroSAT) -> ShuffledLabels:
    """Learn a few images by heart, then once more with their labels permuted, for several draws.

    The first draw with its true labels is the training of ``overfit_small``.

    Raises:
        UserError: the loss stopped being finite.
    """
    true, shuffled, pairs = [], [], config.controls.pairs
    with progress("Étiquettes mélangées", total=pairs, unit="tirages") as bar:
        for number in range(pairs):
            few = few_images(dataset.train, config.overfit.size, number)
            seed = config.seed + number
            dealt = replace(few, labels=np.random.default_rng(seed).permutation(few.labels))
            true.append(_learn(config, dataset, few, seed))
            shuffled.append(_learn(config, dataset, dealt, seed))
            bar.advance()
    return ShuffledLabels(true=true, shuffled=shuffled)


def _learn(config: Config, dataset: EuroSAT, few: Split, seed: int) -> Memory:
    model, losses, accuracies = learn_by_heart(config, few, seed)
    loader = make_loader(config, dataset.validation, config.controls.validation_images)
    logits, labels = predict(model, loader, Runtime.of(config))
    right = float((logits.argmax(1) == labels).double().mean())
    return Memory(losses=losses, known=accuracies[-1], validation_accuracy=right)


class Sanity(Record):
    """Three short trainings of the configured network, along the path of every training."""

    stage: ClassVar[str] = "check_training"
    validation_images: int
    repeatable: bool  # the second training gives the same bits
    prior_accuracy: float  # the most frequent class of these validation images
    blind_accuracy: float  # trained and scored on black images
    seen_accuracy: float  # trained and scored on the images

    def facts(self) -> dict[str, Any]:
        """Return the fields, and whether images beat the best constant answer (binomial test)."""
        n, best = self.validation_images, self.prior_accuracy
        p_value = binomtest(round(self.seen_accuracy * n), n, best, "greater").pvalue
        return super().facts() | {"uses_images": bool(p_value < ALPHA)}


def check_training(config: Config, dataset: EuroSAT) -> Sanity:
    """Train twice on the images and once on black ones, a few steps each, and compare.

    Raises:
        UserError: a short training diverged.
    """
    controls, labels, trained = config.controls, dataset.validation.labels, []
    labels = labels[subset(len(labels), controls.validation_images)]
    with progress("Contrôles", total=3, unit="entraînements") as bar:
        for shown in (dataset, dataset, _blacken(dataset)):
            trained.append(_train_briefly(config, shown))
            bar.advance()
    (seen, weights), (again, others), (blind, _) = trained
    return Sanity(
        validation_images=len(labels),
        repeatable=seen.epochs == again.epochs and all(map(torch.equal, weights, others)),
        prior_accuracy=float(np.bincount(labels).max() / len(labels)),
        blind_accuracy=blind.last.val_accuracy,
        seen_accuracy=seen.last.val_accuracy,
    )


def _train_briefly(config: Config, dataset: EuroSAT) -> tuple[Fit, list[Tensor]]:
    """Train for ``controls.steps``; return the training, its times left out, and its weights."""
    controls, shape = config.controls, {"blocks_per_stage", "dilation_stage3"}
    train = {"lr": controls.lr, "weight_decay": 0.0, "keep": "best", "max_steps": controls.steps}
    train |= {"max_epochs": controls.steps} | config.model.model_dump(include=shape)
    short = {f"train.{name}": value for name, value in train.items()} | {
        "data.train_limit": controls.steps * config.data.batch_size,
        "data.validation_limit": controls.validation_images,
    }
    with tempfile.TemporaryDirectory() as folder:
        done = fit(override(config, short), dataset, Path(folder), Path(folder, "run"))
        if done.diverged:
            raise UserError(f"check_training: {done.diverged}; lower controls.lr")
        weights = load_checkpoint(Path(folder, WEIGHTS))["model"]
    epochs = [record.model_copy(update={"seconds": 0.0}) for record in done.epochs]
    return done.model_copy(update={"epochs": epochs}), list(weights.values())


def _blacken(dataset: EuroSAT) -> EuroSAT:
    """Replace all images of train and validation by black ones; labels stay."""
    train, validation = (
        replace(split, images=np.zeros(split.images.shape, np.uint8))  # untouched: no memory
        for split in (dataset.train, dataset.validation)
    )
    return replace(dataset, train=train, validation=validation)
