"""Checks before any search: batches, the network on paper, its first loss, a few images by heart.

The controls say what an honest training must not be able to do: learn shuffled labels in a way
that helps, learn from black images, give other bits the second time.
"""

from __future__ import annotations

import copy
import math
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.config import Config, override
from eurosat_lib.data import SPLITS, EuroSAT, Split
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import BatchLoader, get_dataloaders, make_loader, subset
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
from eurosat_lib.train import (
    WEIGHTS,
    Divergence,
    EpochRecord,
    TrainStep,
    fit,
    predict,
    train_epoch,
)

LIMIT_SD = 3.0  # the configured seed may lie this many standard deviations from the mean
# The mean over seeds may lie this far from ln K, in nats: logits of standard deviation s raise the
# expected loss by about s^2 / 2 (second-order expansion of log-sum-exp), so 0.1 allows s = 0.45.
LIMIT_BIAS = 0.1
CONFIDENCE = 0.99  # level of the tests of a mean against theory
ALPHA = 0.05  # of the tests that images, or their labels, help
SAME = 1e-9  # losses or accuracies that differ by less have no spread to test with
KNOWN = 0.9  # share of the images of a draw that must be right to call them learnt by heart
EPOCHS = "epochs"  # beside the weights of a short training: the figures of its epochs
LIMIT_BLIND = 0.05  # share by which the loss without images may exceed that of the class shares


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

    @property
    def coherent(self) -> bool:
        """Tell whether a batch has the shape that ``meta`` announces."""
        return self.batch_shape[1:] == self.input_shape

    def facts(self) -> dict[str, Any]:
        """Return the fields and the verdict."""
        return self.model_dump(mode="json") | {"coherent": self.coherent}


def verify_pipeline(config: Config) -> Pipeline:
    """Draw batches from train and validation, and check shapes, ranges, order."""
    *loaders, meta = get_dataloaders(config)
    train, validation, _ = loaders
    (images, labels), other, again = (next(train.epoch(epoch)) for epoch in (0, 1, 0))
    orders = [torch.cat([y for _, y in validation.epoch(epoch)]) for epoch in (0, 1)]
    low, high, mean, sd = _value_statistics(validation)
    ends = (np.array([[0.0], [1.0]]) - train.preprocess.mean) / train.preprocess.std
    return Pipeline(
        batch_shape=tuple(images.shape),
        batch_dtype=str(images.dtype).removeprefix("torch."),
        labels_shape=tuple(labels.shape),
        labels_dtype=str(labels.dtype).removeprefix("torch."),
        label_min=int(train.labels.min()),
        label_max=int(train.labels.max()),
        **meta,
        batch_size=config.data.batch_size,
        batches={name: len(loader) for name, loader in zip(SPLITS, loaders, strict=True)},
        used={name: loader.num_images for name, loader in zip(SPLITS, loaders, strict=True)},
        value_min=low,
        value_max=high,
        value_mean=mean,
        value_sd=sd,
        possible_min=float(ends.min()),
        possible_max=float(ends.max()),
        reshuffled=not torch.equal(images, other[0]),
        repeatable=torch.equal(images, again[0]),
        fixed_order=torch.equal(*orders),
    )


def _value_statistics(loader: BatchLoader) -> tuple[float, float, tuple, tuple]:
    """Return smallest and largest value, mean and standard deviation per channel."""
    ends, sums = [], []
    for images, _ in loader.epoch(0):
        values = images.cpu().double()
        ends += [float(values.min()), float(values.max())]
        sums.append(torch.stack([v.sum((0, 2, 3)) for v in (values, values**2)]))
    mean, squares = sum(sums) / (values[0, 0].numel() * loader.num_images)
    return min(ends), max(ends), tuple(mean.tolist()), tuple((squares - mean**2).sqrt().tolist())


class Variant(Record):
    """One choice of the two hyperparameters: each number by formula, and counted."""

    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    parameters_by_formula: int
    tensors: int
    receptive_field: int  # input pixels, by formula
    gflop_forward: float  # one image, 2 operations a multiply-accumulate, by formula
    gflop_forward_counted: float
    gflop: float  # forward and backward, one image, by formula
    gflop_counted: float


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

    @property
    def current(self) -> Variant:
        """Return the configured variant."""
        own = (self.blocks_per_stage, self.dilation_stage3)
        shapes = [(v.blocks_per_stage, v.dilation_stage3) for v in self.variants]
        return self.variants[shapes.index(own)]

    def facts(self) -> dict[str, Any]:
        """Return the numbers of the network; the layer table stays out."""
        derived = {name: getattr(self.current, name) for name in ("receptive_field", "gflop")}
        return self.model_dump(mode="json", exclude={"layers"}) | derived


def test_model(config: Config) -> Architecture:
    """Build the configured network and its variants, and count."""
    own, grid = config.model, config.grid
    blocks = sorted({own.blocks_per_stage, *grid.blocks_per_stage})
    dilations = sorted({own.dilation_stage3, *grid.dilation_stage3})
    shape = (3, config.data.image_size, config.data.image_size)
    layers = tuple(layer_table(build_model(config), shape))
    found = _variant(config, shape, own.blocks_per_stage, own.dilation_stage3)
    same = ("blocks_per_stage", "dilation_stage3", "parameters", "parameters_by_formula")
    return Architecture(
        input_shape=shape,
        output_shape=layers[-1].output_shape,
        channels=own.channels,
        **found.model_dump(include={*same, "tensors"}),
        layers=layers,
        variants=tuple(_variant(config, shape, b, d) for b in blocks for d in dilations),
    )


test_model.__test__ = False  # the course's name for the stage; pytest must not collect it


def _variant(config: Config, shape: tuple[int, int, int], blocks: int, dilation: int) -> Variant:
    model = build_model(config, blocks, dilation)
    macs = [row.macs for row in layer_table(model, shape) if row.macs]
    # A layer works once forward, once for the gradient of its weights and once for that of its
    # input; nobody asks for the gradient of the image.
    on_paper = 2 * sum(macs), 2 * (3 * sum(macs) - macs[0])
    forward, training = count_flop(model, shape)
    return Variant(
        blocks_per_stage=blocks,
        dilation_stage3=dilation,
        parameters=count_parameters(model),
        parameters_by_formula=count_parameters_by_formula(config.model.channels, blocks),
        tensors=len(list(model.parameters())),
        receptive_field=receptive_field(blocks, dilation),
        gflop_forward=on_paper[0] / 1e9,
        gflop_forward_counted=forward / 1e9,
        gflop=on_paper[1] / 1e9,
        gflop_counted=training / 1e9,
    )


def count_flop(model: nn.Module, input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Count the floating-point operations of one image, as PyTorch dispatches them.

    Runs on the meta device: shapes only, no arithmetic. A multiply-accumulate is two operations;
    BatchNorm, ReLU and pooling are not counted (``torch.utils.flop_counter``).

    Args:
        model: the network, left as it is.
        input_shape: (channels, height, width).

    Returns:
        Operations of the forward pass, and of forward and backward pass together.
    """
    double = copy.deepcopy(model).to("meta").train()
    images = torch.empty(2, *input_shape, device="meta")  # BatchNorm wants more than one value
    with FlopCounterMode(display=False) as forward:
        outputs = double(images)
    with FlopCounterMode(display=False) as backward:
        outputs.sum().backward()
    once, back = forward.get_total_flops() // 2, backward.get_total_flops() // 2
    return once, once + back


class LayerGradient(Record):
    """Gradient of one tensor after the first backward pass."""

    name: str
    norm: float  # L2
    values: int


class InitialLoss(Record):
    """First batch through the untrained network, for the configured seed and others."""

    stage: ClassVar[str] = "check_initial_loss"

    batch_shape: tuple[int, ...]
    batch_dtype: str
    labels_shape: tuple[int, ...]
    logits_shape: tuple[int, ...]
    classes: int
    loss: float  # nats
    grad_norm: float
    gradients: tuple[LayerGradient, ...]
    losses: tuple[float, ...]  # one per initialisation, seeds 0, 1, 2 …
    excesses: tuple[float, ...]  # nats: half the variance of the logits, of the same

    @property
    def theory(self) -> float:
        """Loss of a network that gives every class the same probability: ln K, in nats."""
        return math.log(self.classes)

    @property
    def excess(self) -> float:
        """Mean over the initialisations of s² / 2, with s² the variance of an image's logits.

        To second order the cross-entropy of logits l is ln K + mean(l) - l_label + s² / 2, and
        the middle vanishes on average over random weights.
        """
        return statistics.fmean(self.excesses)

    @property
    def agrees(self) -> bool:
        """Tell whether the mean loss is compatible with ln K + s² / 2 (t test, 99 %)."""
        gaps = [a - self.theory - b for a, b in zip(self.losses, self.excesses, strict=True)]
        return _compatible_with_zero(gaps)

    @property
    def mean(self) -> float:
        """Mean loss over the initialisations, in nats."""
        return statistics.fmean(self.losses)

    @property
    def sd(self) -> float:
        """Standard deviation of the loss over the initialisations, in nats."""
        return statistics.stdev(self.losses)

    @property
    def unbiased(self) -> bool:
        """Tell whether the mean over initialisations lies within ``LIMIT_BIAS`` of ln K."""
        return abs(self.mean - self.theory) <= LIMIT_BIAS

    @property
    def coherent(self) -> bool:
        """Tell whether the initialisations agree with ln K, and this one with the others."""
        return self.unbiased and abs(self.loss - self.mean) <= LIMIT_SD * self.sd

    def facts(self) -> dict[str, Any]:
        """Return the fields, without what there is of each layer, and what follows from them."""
        derived = ("theory", "excess", "agrees", "coherent", "unbiased", "mean", "sd")
        return self.model_dump(mode="json", exclude={"gradients", "losses", "excesses"}) | {
            **{name: getattr(self, name) for name in derived},
            "gap": self.loss - self.theory,
            "expected": self.theory + self.excess,
            "n_seeds": len(self.losses),
            "limit_sd": LIMIT_SD,
            "limit_bias": LIMIT_BIAS,
            "reached": sum(g.norm > 0 and math.isfinite(g.norm) for g in self.gradients),
            "tensors": len(self.gradients),
        }


def _compatible_with_zero(gaps: Sequence[float]) -> bool:
    """Tell whether values have a mean of 0 (t test, 99 %); equal ones must be 0."""
    if statistics.stdev(gaps) < SAME:
        return abs(gaps[0]) < SAME
    return bool(stats.ttest_1samp(gaps, 0).pvalue >= 1 - CONFIDENCE)


def check_initial_loss(config: Config, dataset: EuroSAT) -> InitialLoss:
    """Send the first training batch through untrained networks.

    The batch is that of epoch 0 under ``config.seed``, augmented as for training; the network is
    in training mode, as at the first step.
    """
    runtime = Runtime.of(config)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True)
    images, labels = next(loader.epoch(0))

    def first_pass(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
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
        batch_shape=tuple(images.shape),
        batch_dtype=str(images.dtype).removeprefix("torch."),
        labels_shape=tuple(labels.shape),
        logits_shape=tuple(logits.shape),
        classes=len(dataset.classes),
        loss=float(loss.detach()),
        grad_norm=float(torch.nn.utils.get_total_norm(gradients.values())),
        gradients=tuple(
            LayerGradient(name=name, norm=float(g.norm()), values=g.numel())
            for name, g in gradients.items()
        ),
        losses=tuple(float(one) for _, one in others),
        excesses=tuple(half_variance(one) for one, _ in others),
    )


def half_variance(logits: Tensor) -> float:
    """Return half the variance over classes of logits (B, K), mean over the images, in nats."""
    return float(logits.float().var(1, unbiased=False).mean()) / 2


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

    @property
    def reached(self) -> bool:
        """Tell whether the loss fell below the target."""
        return self.losses[-1] < self.target_loss

    def facts(self) -> dict[str, Any]:
        """Return the fields, the curve reduced to its ends."""
        return self.model_dump(exclude={"losses", "accuracies"}) | {
            "epochs": len(self.losses),
            "first_loss": self.losses[0],
            "last_loss": self.losses[-1],
            "first_accuracy": self.accuracies[0],
            "last_accuracy": self.accuracies[-1],
            "reached": self.reached,
        }

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curve."""
        return {f"{self.size}_images": _curve(self.losses, self.accuracies)}


def _curve(losses: Sequence[float], accuracies: Sequence[float]) -> Run:
    columns = {"train/loss": losses, "train/accuracy": accuracies}
    return Run({tag: list(enumerate(values, start=1)) for tag, values in columns.items()})


def overfit_small(config: Config, dataset: EuroSAT) -> Overfit:
    """Train on a few images of the train split, without augmentation, until they are known.

    Raises:
        UserError: the loss stopped being finite.
    """
    settings, few = config.overfit, few_images(dataset.train, config.overfit.size)
    with progress("Overfit", total=settings.epochs, unit="epoch") as bar:
        model, losses, accuracies = overfit_subset(
            config, few, config.seed, lambda loss: bar.advance(note=f"loss {loss:.4f}")
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


def overfit_subset(
    config: Config, few: Split, seed: int, on_epoch: Callable[[float], None] = lambda loss: None
) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    """Train a new network on a few images, in the same order at each epoch, until it knows them.

    Args:
        config: network, preprocessing, device, and its section ``overfit``.
        few: images and labels.
        seed: of the weights.
        on_epoch: called with the loss after each epoch.

    Returns:
        The network, and loss (nats) and accuracy of each epoch.

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

    @property
    def at_chance(self) -> bool:
        """Tell whether accuracy after shuffling is compatible with chance, at 99 %.

        By a t test over the draws. A single draw has no spread: a binomial test then counts as
        many answers as there are classes, for images of one class tend to be answered alike.
        """
        found = [pair.shuffled for pair in self.pairs]
        if len(found) > 1:
            return _compatible_with_zero([m.validation_accuracy - m.chance for m in found])
        chance = max(found[0].chance, 1 / self.validation_images)  # 0: no answer has met its class
        classes = round(1 / chance)
        right = round(found[0].validation_accuracy * classes)
        return bool(stats.binomtest(right, classes, chance).pvalue >= 1 - CONFIDENCE)

    def facts(self) -> dict[str, Any]:
        """Return means over the pairs, and what the tests say.

        ``p_value`` is one-sided, of the sign test, ties left out: could the ``wins`` of the true
        labels come from coin tosses?
        """
        memories = {kind: [getattr(p, kind) for p in self.pairs] for kind in ("true", "shuffled")}
        scores = {kind: [m.validation_accuracy for m in own] for kind, own in memories.items()}
        gaps = np.subtract(scores["true"], scores["shuffled"])
        wins, tossed = int((gaps > 0).sum()), np.count_nonzero(gaps)
        p_value = stats.binomtest(wins, tossed, alternative="greater").pvalue if tossed else 1.0
        facts = {
            "size": self.size,
            "validation_images": self.validation_images,
            "n_pairs": len(self.pairs),
            "chance": statistics.fmean(m.chance for m in memories["shuffled"]),
            "wins": wins,
            "p_value": float(p_value),
            "informative": bool(p_value < ALPHA),
            "at_chance": self.at_chance,
        }
        for kind, own in memories.items():
            known = [memory.accuracies[-1] for memory in own]
            facts |= {
                f"{kind}_known": statistics.fmean(known),  # share of the images learnt
                f"{kind}_by_heart": sum(share >= KNOWN for share in known),  # draws
                f"{kind}_accuracy": statistics.fmean(scores[kind]),
            }
        return facts

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish a run per draw, with true and with shuffled labels."""
        return {
            f"draw{number}_{kind}": _curve(memory.losses, memory.accuracies)
            for number, pair in enumerate(self.pairs)
            for kind, memory in (("true", pair.true), ("shuffled", pair.shuffled))
        }


def learn_shuffled_labels(
    config: Config,
    dataset: EuroSAT,
    keep: Callable[[int, Callable[[], Pair]], Pair] = lambda number, make: make(),
) -> ShuffledLabels:
    """Learn a few images by heart, then once more with their labels permuted, for several draws.

    The first draw with its true labels is the training of ``overfit_small``.

    Args:
        config: network, preprocessing, device, and its sections ``overfit`` and ``controls``.
        dataset: images of its train split are learnt, those of validation score what is known.
        keep: gets the number of a draw and what makes its pair; may know the pair already.

    Raises:
        UserError: the loss stopped being finite.
    """
    controls, pairs = config.controls, []
    with progress("Shuffled labels", total=controls.pairs, unit="draw") as bar:
        for number in range(controls.pairs):
            pairs.append(keep(number, partial(_make_pair, config, dataset, number)))
            bar.advance()
    return ShuffledLabels(
        size=config.overfit.size,
        validation_images=len(subset(len(dataset.validation), controls.validation_images)),
        pairs=tuple(pairs),
    )


def _make_pair(config: Config, dataset: EuroSAT, number: int) -> Pair:
    few, seed = few_images(dataset.train, config.overfit.size, number), config.seed + number
    dealt = replace(few, labels=np.random.default_rng(seed).permutation(few.labels))
    true, shuffled = (_learn(config, dataset, images, seed) for images in (few, dealt))
    return Pair(true=true, shuffled=shuffled)


def _learn(config: Config, dataset: EuroSAT, few: Split, seed: int) -> Memory:
    model, losses, accuracies = overfit_subset(config, few, seed)
    loader = make_loader(config, dataset.validation, config.controls.validation_images)
    logits, labels = predict(model, loader, Runtime.of(config))
    predicted = logits.argmax(1)
    return Memory(
        losses=losses,
        accuracies=accuracies,
        validation_accuracy=float((predicted == labels).double().mean()),
        chance=chance_agreement(predicted, labels),
    )


def chance_agreement(predicted: Tensor, labels: Tensor) -> float:
    """Return the accuracy to expect if predictions int64 (N,) met labels (N,) at random.

    The sum over classes of (share predicted) x (share true): the agreement by chance of Cohen's
    kappa (1960).
    """
    classes = int(max(predicted.max(), labels.max())) + 1
    counts = [answers.bincount(minlength=classes).double() for answers in (predicted, labels)]
    return float((counts[0] * counts[1]).sum() / len(labels) ** 2)


class Independence(Record):
    """Largest change of a logit when the first image of a batch becomes its negative."""

    others: float  # logits of the other images, evaluation mode
    own: float  # logits of that image, evaluation mode
    training: float  # logits of the other images, training mode: BatchNorm mixes them


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

    def facts(self) -> dict[str, Any]:
        """Return the fields and the verdicts.

        ``p_value`` is one-sided, of the binomial test: do images beat the best constant answer?
        """
        mixing, n = self.independence, self.validation_images
        right = round(self.seen_accuracy * n)
        p_value = float(stats.binomtest(right, n, self.prior_accuracy, "greater").pvalue)
        return self.model_dump(mode="json") | {
            "repeatable": self.differing == 0,
            "independent": mixing.others == 0 and mixing.own > 0,
            "blind": abs(self.blind_loss / self.prior_loss - 1) <= LIMIT_BLIND,
            "p_value": p_value,
            "uses_images": p_value < ALPHA,
        }


def check_training(config: Config, dataset: EuroSAT) -> Sanity:
    """Train twice on the images and once on black ones, a few steps each, and compare.

    Raises:
        UserError: a short training diverged.
    """
    controls, trained = config.controls, []
    short = _short(config)
    with progress("Controls", total=3, unit="training") as bar:
        for shown in (dataset, dataset, blacken(dataset)):
            trained.append(_train_briefly(short, shown))
            bar.advance()
    (seen, weights), (_, again), (blind, _) = trained
    differing, compared = count_differences(weights, again)
    kept = subset(len(dataset.validation), controls.validation_images)
    labels = dataset.validation.labels[kept]
    prior_loss, prior_accuracy = score_shares(dataset.train.labels, labels)
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config))
    model.load_state_dict({k: v for k, v in weights.items() if k != EPOCHS})
    images, _ = next(make_loader(config, dataset.validation, config.data.batch_size).epoch(0))
    return Sanity(
        steps=sum(epoch.steps for epoch in seen),
        lr=controls.lr,
        validation_images=len(kept),
        compared=compared,
        differing=differing,
        independence=batch_independence(model, images, runtime),
        prior_loss=prior_loss,
        prior_accuracy=prior_accuracy,
        blind_loss=blind[-1].val_loss,
        blind_accuracy=blind[-1].val_accuracy,
        seen_loss=seen[-1].val_loss,
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


def _train_briefly(
    config: Config, dataset: EuroSAT
) -> tuple[tuple[EpochRecord, ...], dict[str, Tensor]]:
    """Train from scratch; return the epochs, and best weights, buffers and the epochs' figures."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        done = fit(config, dataset, work, work / "run")
        if done.diverged:
            raise UserError(f"check_training: {done.diverged}; lower controls.lr")
        weights = load_checkpoint(work / WEIGHTS)["model"]
    rows = [list(row.model_dump(exclude={"seconds", "side"}).values()) for row in done.epochs]
    return done.epochs, {EPOCHS: torch.tensor(rows, dtype=torch.float64), **weights}


def count_differences(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor]
) -> tuple[int, int]:
    """Compare tensors of the same names and shapes, value by value, to the bit.

    Returns:
        Values that differ (NaN differs from all), values compared.
    """
    differing = sum(int((value != second[name]).sum()) for name, value in first.items())
    return differing, sum(value.numel() for value in first.values())


def blacken(dataset: EuroSAT) -> EuroSAT:
    """Replace all images of train and validation by black ones; labels stay."""
    none = np.zeros((1, 1, 1, 1), np.uint8)  # broadcast: takes no memory
    black = {
        name: replace(split, images=np.broadcast_to(none, split.images.shape))
        for name, split in (("train", dataset.train), ("validation", dataset.validation))
    }
    return replace(dataset, **black)


def score_shares(train: np.ndarray, validation: np.ndarray) -> tuple[float, float]:
    """Score what is known without any image: the class shares.

    Args:
        train: int64 (N,), labels whose shares are predicted for every image.
        validation: int64 (M,), labels to score them on.

    Returns:
        Cross-entropy in nats, and the largest accuracy of a constant answer.
    """
    shares = DummyClassifier(strategy="prior").fit(np.zeros((len(train), 1)), train)
    told = shares.predict_proba(np.zeros((len(validation), 1)))
    largest = np.bincount(validation).max() / len(validation)
    return float(log_loss(validation, told, labels=shares.classes_)), float(largest)


def batch_independence(model: nn.Module, images: Tensor, runtime: Runtime) -> Independence:
    """Change the first image of a batch, and see which logits move.

    Args:
        model: left as it is.
        images: float32 (B, 3, S, S), normalised, B at least 2.
        runtime: device and precision.
    """
    model = copy.deepcopy(model)  # training mode moves BatchNorm's buffers
    changed, moved = images.clone(), {}
    changed[0] = -images[0]
    for training in (False, True):
        model.train(training)
        with torch.no_grad(), runtime.autocast():
            moved[training] = (model(changed).float() - model(images).float()).abs().amax(1)
    return Independence(
        others=float(moved[False][1:].max()),
        own=float(moved[False][0]),
        training=float(moved[True][1:].max()),
    )
