"""Checks before any search: batches, the network on paper, its first loss, a small overfit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib.config import Config
from eurosat_lib.data import SPLITS, EuroSAT, Split
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import BatchLoader, get_dataloaders, make_loader
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
from eurosat_lib.train import Divergence, TrainStep, train_epoch

LIMIT_SD = 3.0  # the configured seed may lie this many standard deviations from the mean
# The mean over seeds may lie this far from ln K, in nats: logits of standard deviation s raise the
# expected loss by about s^2 / 2 (second-order expansion of log-sum-exp), so 0.1 allows s = 0.45.
LIMIT_BIAS = 0.1
FAINT = 1e-3  # a gradient below this share of the total norm is rounding


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
    num_classes: int
    batch_size: int
    batches: dict[str, int]  # split -> batches of one pass
    used: dict[str, int]  # split -> images of one pass
    value_min: float  # over all validation images, after preprocessing
    value_max: float
    value_mean: tuple[float, ...]  # per channel
    value_sd: tuple[float, ...]
    possible_min: float  # of any uint8 image
    possible_max: float
    reshuffled: bool  # two epochs of train come in different orders
    repeatable: bool  # the same epoch twice gives the same bits
    fixed_order: bool  # validation comes twice in the same order

    def facts(self) -> dict[str, Any]:
        """Return the fields, and whether a batch has the shape that ``meta`` announces."""
        return super().facts() | {"coherent": self.batch_shape[1:] == self.input_shape}


def verify_pipeline(config: Config) -> Pipeline:
    """Draw batches from train and validation, and check shapes, ranges, order."""
    *loaders, meta = get_dataloaders(config)
    train, validation, _ = loaders
    (images, labels), other, again = (next(train.epoch(epoch)) for epoch in (0, 1, 0))
    orders = [torch.cat([y for _, y in validation.epoch(epoch)]) for epoch in (0, 1)]
    ends = (np.array([[0.0], [1.0]]) - train.preprocess.mean) / train.preprocess.std
    return Pipeline(
        batch_shape=images.shape,
        batch_dtype=str(images.dtype).removeprefix("torch."),
        labels_shape=labels.shape,
        labels_dtype=str(labels.dtype).removeprefix("torch."),
        label_min=int(train.labels.min()),
        label_max=int(train.labels.max()),
        **meta,
        batch_size=config.data.batch_size,
        batches={name: len(loader) for name, loader in zip(SPLITS, loaders, strict=True)},
        used={name: loader.num_images for name, loader in zip(SPLITS, loaders, strict=True)},
        **_value_statistics(validation),
        possible_min=float(ends.min()),
        possible_max=float(ends.max()),
        reshuffled=not torch.equal(images, other[0]),
        repeatable=torch.equal(images, again[0]),
        fixed_order=torch.equal(*orders),
    )


def _value_statistics(loader: BatchLoader) -> dict[str, Any]:
    ends, sums = [], []
    for images, _ in loader.epoch(0):
        values = images.cpu().double()
        ends += [float(values.min()), float(values.max())]
        sums.append(torch.stack([v.sum((0, 2, 3)) for v in (values, values**2)]))
    mean, squares = sum(sums) / (values[0, 0].numel() * loader.num_images)
    sd = (squares - mean**2).sqrt()
    moments = {"value_mean": mean.tolist(), "value_sd": sd.tolist()}
    return {"value_min": min(ends), "value_max": max(ends), **moments}


class Variant(Record):
    """What one choice of the two hyperparameters means."""

    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    tensors: int
    receptive_field: int  # input pixels
    gflop: float  # forward and backward, one image, 2 operations a multiply-accumulate


class Architecture(Record):
    """The configured network, layer by layer, and its variants of the grid."""

    stage: ClassVar[str] = "test_model"
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, ...]
    channels: tuple[int, int, int]
    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    parameters_by_formula: int
    tensors: int
    layers: tuple[LayerRow, ...]
    variants: tuple[Variant, ...]

    def facts(self) -> dict[str, Any]:
        """Return the numbers of the network; the layer table stays out."""
        reach = receptive_field(self.blocks_per_stage, self.dilation_stage3)
        return self.model_dump(mode="json", exclude={"layers"}) | {"receptive_field": reach}


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
    current = _variant(config, shape, own.blocks_per_stage, own.dilation_stage3)
    return Architecture(
        input_shape=shape,
        output_shape=layers[-1].output_shape,
        channels=own.channels,
        **current.model_dump(exclude={"receptive_field", "gflop"}),
        parameters_by_formula=count_parameters_by_formula(own.channels, own.blocks_per_stage),
        layers=layers,
        variants=[_variant(config, shape, b, d) for b in blocks for d in dilations],
    )


test_model.__test__ = False  # the course's name for the stage; pytest must not collect it


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


class LayerGradient(Record):
    """Norm (L2) of the gradient of one tensor after the first backward pass."""

    name: str
    norm: float


class InitialLoss(Record):
    """First batch through the untrained network, for the configured seed and others."""

    stage: ClassVar[str] = "check_initial_loss"
    batch_shape: tuple[int, ...]
    logits_shape: tuple[int, ...]
    classes: int
    loss: float  # nats
    grad_norm: float
    gradients: tuple[LayerGradient, ...]
    losses: tuple[float, ...]  # one per initialisation, seeds 0, 1, 2 …
    excesses: tuple[float, ...]  # nats: half the variance of an image's logits, of the same

    @property
    def theory(self) -> float:
        """Loss of a network that gives every class the same probability: ln K, in nats."""
        return math.log(self.classes)

    def facts(self) -> dict[str, Any]:
        """Return the fields, without what there is of each layer, and what follows from them.

        To second order the cross-entropy of logits l of variance s² is ln K + mean(l) - l_label +
        s² / 2, and the middle vanishes on average over random weights: ``expected``. ``unbiased``:
        the mean is close to ln K; ``coherent``: so it is, and this loss is close to the others'.
        """
        mean, sd = statistics.fmean(self.losses), statistics.stdev(self.losses)
        unbiased = abs(mean - self.theory) <= LIMIT_BIAS
        return self.model_dump(mode="json", exclude={"gradients", "losses", "excesses"}) | {
            "theory": self.theory,
            "gap": self.loss - self.theory,
            "expected": self.theory + statistics.fmean(self.excesses),
            "n_seeds": len(self.losses),
            "mean": mean,
            "sd": sd,
            "unbiased": unbiased,
            "coherent": unbiased and abs(self.loss - mean) <= LIMIT_SD * sd,
            "limit_sd": LIMIT_SD,
            "limit_bias": LIMIT_BIAS,
            "reached": sum(g.norm > 0 and math.isfinite(g.norm) for g in self.gradients),
            "tensors": len(self.gradients),
            "faint": [g.name for g in self.gradients if g.norm < FAINT * self.grad_norm],
        }


def check_initial_loss(config: Config, dataset: EuroSAT) -> InitialLoss:
    """Send the first training batch through untrained networks.

    The batch is that of epoch 0 under ``config.seed``, augmented as for training; the network is
    in training mode, as at the first step.
    """
    runtime = Runtime.of(config)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True)
    images, labels = next(loader.epoch(0))

    def first_pass(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
        """Send the batch through a network drawn from a seed: network, logits, loss."""
        set_seed(seed)
        model = runtime.place(build_model(config)).train()
        with runtime.autocast():
            logits = model(images).float()
        return model, logits, F.cross_entropy(logits, labels)

    model, logits, loss = first_pass(config.seed)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    with torch.no_grad():
        others = [first_pass(seed)[1:] for seed in range(config.initial_loss.n_seeds)]
    return InitialLoss(
        batch_shape=images.shape,
        logits_shape=logits.shape,
        classes=len(dataset.classes),
        loss=float(loss.detach()),
        grad_norm=float(torch.nn.utils.get_total_norm(gradients.values())),
        gradients=[LayerGradient(name=k, norm=float(g.norm())) for k, g in gradients.items()],
        losses=[float(one) for _, one in others],
        excesses=[float(one.var(1, unbiased=False).mean()) / 2 for one, _ in others],
    )


class Overfit(Record):
    """Training loss and accuracy of each epoch over the same few images."""

    stage: ClassVar[str] = "overfit_small"
    size: int  # images
    lr: float
    weight_decay: float
    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
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
        """Publish the curve."""
        return {f"{self.size}_images": learning_run(self.losses, self.accuracies)}


def learning_run(losses: Sequence[float], accuracies: Sequence[float]) -> Run:
    """Return the TensorBoard run of a training without validation, epoch by epoch."""
    columns = {"train/loss": losses, "train/accuracy": accuracies}
    return Run({tag: list(enumerate(values, start=1)) for tag, values in columns.items()})


def overfit_small(config: Config, dataset: EuroSAT) -> Overfit:
    """Train on a few images of the train split, without augmentation, until they are known.

    Raises:
        UserError: the loss stopped being finite.
    """
    settings, few = config.overfit, few_images(dataset.train, config.overfit.size)
    with progress("Petit échantillon", total=settings.epochs, unit="époques") as bar:
        model, losses, accuracies = learn_by_heart(
            config, few, config.seed, lambda loss: bar.advance(note=f"perte {loss:.4f}")
        )
    return Overfit(
        **settings.model_dump(include={"size", "lr", "weight_decay", "target_loss"}),
        **config.model.model_dump(include={"blocks_per_stage", "dilation_stage3"}),
        max_epochs=settings.epochs,
        parameters=count_parameters(model),
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
