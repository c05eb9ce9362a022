"""Checks before any search: baselines, a batch, the network on paper, its loss, a small overfit.

And controls, what no honest training can do: learn from shuffled labels or from black images,
give other bits the second time.
"""

import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib import model as networks
from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.config import Config, override
from eurosat_lib.data import SPLITS, EuroSAT, Split, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import get_dataloaders, make_loader, subset
from eurosat_lib.model import build_model
from eurosat_lib.optimizers import make_optimizer
from eurosat_lib.progress import progress
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.stages import Record, Values, stage
from eurosat_lib.stats import wilson
from eurosat_lib.tracking import Run
from eurosat_lib.train import WEIGHTS, Divergence, TrainStep, fit, predict, train_epoch
from eurosat_lib.trainings import BATCHES, IMAGES, LIMITS, NETWORK, TRAINING

BLOCK = 1024  # images averaged together: bounds memory
LIMIT_SD = 3.0  # the configured seed may lie this many standard deviations from the mean
# The mean over seeds may lie this far from ln K, in nats: logits of standard deviation s raise the
# expected loss by about s^2 / 2 (second-order expansion of log-sum-exp), so 0.1 allows s = 0.45.
LIMIT_BIAS = 0.1
FAINT = 1e-3  # a gradient below this share of the total norm is rounding
ALPHA = 0.05  # of the tests that images, or their labels, help
LEARNT = ("checks", *TRAINING.rooms)  # what learns
FEW = (*IMAGES, "seed", "data.batch_size", "model", "overfit")  # and reads, for a few images
Layers = list[networks.LayerRow]
Curve = tuple[float, ...]  # loss, nats, or accuracy of each epoch


class Findings(Record):
    """What a check found, by name, as answers read it."""

    found: Values

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        return self.found


class Baselines(Findings, stage="compute_baselines"):
    """Accuracies in [0, 1] to beat; the linear model is scored on validation only."""


@stage(Baselines, "checks", "loaders", "stats", reads=("data.train_limit",))
def compute_baselines(config: Config) -> Baselines:
    """Score the majority class, uniform guessing, and a linear model of the colours."""
    dataset = load_dataset(config)
    train, validation, test = dataset.train, dataset.validation, dataset.test
    majority = int(np.bincount(train.labels).argmax())
    kept = subset(len(train), config.data.train_limit)
    model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
    model.fit(color_statistics(train.images[kept]), train.labels[kept])
    score = model.score(color_statistics(validation.images), validation.labels)
    low, high = wilson(round(score * len(validation)), len(validation))
    found = {
        "majority_class": dataset.classes[majority],
        "majority_count": int((train.labels == majority).sum()),
        "majority_share": float((train.labels == majority).mean()),
        "majority_validation": float((validation.labels == majority).mean()),
        "majority_test": float((test.labels == majority).mean()),
        "uniform": 1 / len(dataset.classes),
        "best_linear": float(score),
        "linear": {"low": low, "high": high},
        "linear_train_images": len(kept),
    }
    return Baselines(found=found)


def color_statistics(images: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation per channel: uint8 (N, 3, H, W) -> float64 (N, 6)."""
    blocks = (images[i : i + BLOCK] for i in range(0, len(images), BLOCK))
    return np.concatenate([np.hstack([b.mean((2, 3)), b.std((2, 3))]) for b in blocks])


class Pipeline(Findings, stage="verify_pipeline"):
    """What the loaders deliver."""


@stage(Pipeline, "checks", "transforms", "loaders", reads=(*BATCHES, *LIMITS))
def verify_pipeline(config: Config) -> Pipeline:
    """Draw batches from train and validation, and check shapes, ranges, order."""
    *loaders, meta = get_dataloaders(config)
    train, validation, _ = loaders
    images, labels = next(train.epoch(0))
    other, again = next(train.epoch(1)), next(train.epoch(0))
    ends = [torch.aminmax(shown) for shown, _ in validation.epoch(0)]
    found = {
        "batch_shape": list(images.shape),
        "batch_dtype": str(images.dtype).removeprefix("torch."),
        "labels_shape": list(labels.shape),
        "labels_dtype": str(labels.dtype).removeprefix("torch."),
        "label_min": int(train.labels.min()),
        "label_max": int(train.labels.max()),
        "input_shape": list(meta["input_shape"]),
        "coherent": tuple(images.shape[1:]) == meta["input_shape"],
        # split -> images of one pass
        "used": {name: loader.num_images for name, loader in zip(SPLITS, loaders, strict=True)},
        # over all validation images, after preprocessing
        "value_min": min(float(low) for low, _ in ends),
        "value_max": max(float(high) for _, high in ends),
        "reshuffled": not torch.equal(images, other[0]),
        "repeatable": torch.equal(images, again[0]),
    }
    return Pipeline(found=found)


class Architecture(Findings, stage="test_model"):
    """The configured network, layer by layer, and its ``variants`` of the grid."""

    layers: Layers


class FinalArchitecture(Architecture, stage="final_architecture"):
    """The network that is trained in the end."""


@stage(Architecture, "checks", "model", reads=("data.image_size", "model", "grid"))
def test_model(config: Config) -> Architecture:
    """Build the configured network and its variants, and count."""
    own, grid = config.model, config.grid
    blocks = sorted({own.blocks_per_stage, *grid.blocks_per_stage})
    dilations = sorted({own.dilation_stage3, *grid.dilation_stage3})
    found, layers = _variant(config, own.blocks_per_stage, own.dilation_stage3)
    found |= {
        "input_shape": [3, config.data.image_size, config.data.image_size],
        "output_shape": list(layers[-1].output_shape),
        "channels": list(own.channels),
        "variants": [_variant(config, b, d)[0] for b in blocks for d in dilations],
    }
    return Architecture(found=found, layers=layers)


def _variant(config: Config, blocks: int, dilation: int) -> tuple[dict[str, Any], Layers]:
    """Describe one choice of the two hyperparameters, and list its layers."""
    model = build_model(config, blocks, dilation)
    layers = networks.layer_table(model, (3, config.data.image_size, config.data.image_size))
    macs = [row.macs for row in layers if row.macs]
    found = {
        "blocks_per_stage": blocks,
        "dilation_stage3": dilation,
        "parameters": networks.count_parameters(model),
        "tensors": len(list(model.parameters())),
        "receptive_field": networks.receptive_field(blocks, dilation),  # input pixels
        # For one image, two operations a multiply-accumulate. A layer works once forward, once for
        # the gradient of its weights, once for that of its input; nobody asks for the image's.
        "gflop": 2 * (3 * sum(macs) - macs[0]) / 1e9,
    }
    return found, layers


class InitialLoss(Findings, stage="check_initial_loss"):
    """First batch through the untrained network, for the configured seed and others."""


@stage(InitialLoss, *LEARNT, reads=(*BATCHES, "model", "initial_loss"))
def check_initial_loss(config: Config) -> InitialLoss:
    """Send the first training batch of epoch 0, augmented, through untrained networks.

    The random generators are seeded anew.
    """
    runtime, dataset = Runtime.of(config), load_dataset(config)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True)
    images, labels = next(loader.epoch(0))

    def first_pass(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
        """Draw the weights of a seed; give it the batch."""
        set_seed(seed)
        model = runtime.place(build_model(config)).train()
        with runtime.autocast():
            logits = model(images).float()
        return model, logits, F.cross_entropy(logits, labels)

    model, logits, loss = first_pass(config.seed)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    norms = {name: float(gradient.norm()) for name, gradient in gradients.items()}
    total = float(torch.nn.utils.get_total_norm(gradients.values()))
    with torch.no_grad():
        losses = [float(first_pass(seed)[2]) for seed in range(config.initial_loss.n_seeds)]
    found = judge_loss(float(loss.detach()), losses, len(dataset.classes)) | {
        "batch_shape": list(images.shape),
        "logits_shape": list(logits.shape),
        "grad_norm": total,
        "tensors": len(norms),
        "reached": sum(norm > 0 and math.isfinite(norm) for norm in norms.values()),
        "faint": [name for name, norm in norms.items() if norm < FAINT * total],
    }
    return InitialLoss(found=found)


def judge_loss(loss: float, others: Sequence[float], classes: int) -> dict[str, Any]:
    """Set a first loss (nats) beside those of other seeds, and beside ``theory``, ln K.

    ``coherent``: the others' mean is close to ln K, and this loss to the others'.
    """
    theory, mean, sd = math.log(classes), statistics.fmean(others), statistics.stdev(others)
    coherent = abs(mean - theory) <= LIMIT_BIAS and abs(loss - mean) <= LIMIT_SD * sd
    found = {"classes": classes, "loss": loss, "theory": theory, "mean": mean, "sd": sd}
    found |= {"limit_sd": LIMIT_SD, "limit_bias": LIMIT_BIAS, "n_seeds": len(others)}
    return found | {"coherent": coherent}


class Overfit(Findings, stage="overfit_small"):
    """Training loss and accuracy of each epoch over the same few images."""

    losses: Curve  # before the epoch's last update
    accuracies: Curve

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curve, epoch by epoch."""
        series = {"train/loss": self.losses, "train/accuracy": self.accuracies}
        return {f"{self.found['size']}_images": Run(series)}


@stage(Overfit, *LEARNT, reads=FEW)
def overfit_small(config: Config) -> Overfit:
    """Train on a few images of the train split, without augmentation, until they are known."""
    settings, few = config.overfit, few_images(config)
    with progress("Petit échantillon", total=settings.epochs, unit="époques") as bar:
        _, losses, accuracies = learn_by_heart(config, few, config.seed, bar.update)
    found = {
        **settings.model_dump(include={"size", "lr", "weight_decay", "target_loss"}),
        **config.model.model_dump(include=NETWORK),
        "max_epochs": settings.epochs,
        "epochs": len(losses),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "last_accuracy": accuracies[-1],
        "reached": losses[-1] < settings.target_loss,
    }
    return Overfit(found=found, losses=losses, accuracies=accuracies)


def few_images(config: Config, number: int = 0) -> Split:
    """Draw ``overfit.size`` training images; other numbers give others, as far as they go."""
    split, size = load_dataset(config).train, config.overfit.size
    order = np.random.default_rng(0).permutation(len(split))
    index = np.sort(order.take(range(number * size, (number + 1) * size), mode="wrap"))
    return Split(split.images[index], split.labels[index], tuple(split.names[i] for i in index))


def learn_by_heart(
    config: Config, few: Split, seed: int, on_epoch: Callable[[], Any] = lambda: None
) -> tuple[nn.Module, Curve, Curve]:
    """Train a new network on a few images, in the same order at each epoch, until it knows them.

    Returns it, and the loss and accuracy of each epoch; refuses a loss that is not finite. The
    random generators are seeded anew.
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
        on_epoch()
        if means.loss < settings.target_loss:
            break
    losses, accuracies = zip(*curve, strict=True)
    return model, losses, accuracies


class ShuffledLabels(Findings, stage="shuffled_labels"):
    """Pairs of trainings, with true and shuffled labels, each of other images and weights."""

    true: tuple[Curve, ...]  # losses of each training
    shuffled: tuple[Curve, ...]


@stage(ShuffledLabels, *LEARNT, reads=(*FEW, "controls"))
def shuffled_labels(config: Config) -> ShuffledLabels:
    """Learn a few images by heart, then with their labels permuted, for several draws."""
    true, shuffled, pairs = [], [], config.controls.pairs
    with progress("Étiquettes mélangées", total=pairs, unit="tirages") as bar:
        for number in range(pairs):
            few, seed = few_images(config, number), config.seed + number
            dealt = replace(few, labels=np.random.default_rng(seed).permutation(few.labels))
            true.append(_learn(config, few, seed))
            shuffled.append(_learn(config, dealt, seed))
            bar.update()
    curves, _, accuracies = zip(*true, strict=True)
    shuffled_curves, known, shuffled_accuracies = zip(*shuffled, strict=True)
    gaps = np.subtract(accuracies, shuffled_accuracies)
    found = {
        "true_accuracy": statistics.fmean(accuracies),
        "shuffled_accuracy": statistics.fmean(shuffled_accuracies),
        "shuffled_known": statistics.fmean(known),
        "informative": more_than((gaps > 0).sum(), (gaps != 0).sum(), 0.5),  # a sign test
    }
    return ShuffledLabels(found=found, true=curves, shuffled=shuffled_curves)


def _learn(config: Config, few: Split, seed: int) -> tuple[Curve, float, float]:
    """Return the losses, and the accuracies on these images and on those of validation."""
    model, losses, accuracies = learn_by_heart(config, few, seed)
    part, limit = load_dataset(config).validation, config.controls.validation_images
    logits, labels = predict(model, make_loader(config, part, limit), Runtime.of(config))
    return losses, accuracies[-1], float((logits.argmax(1) == labels).double().mean())


def more_than(successes: int, n: int, chance: float) -> bool:
    """Tell whether that many are more than by chance (one-sided binomial test)."""
    return bool(n and binomtest(int(successes), int(n), chance, "greater").pvalue < ALPHA)


class Sanity(Findings, stage="check_training"):
    """Three short trainings of the configured network, along the path of every training."""


@stage(Sanity, *LEARNT, reads=(*BATCHES, "model", "train", "controls"))
def check_training(config: Config) -> Sanity:
    """Train twice on the images and once on black ones, a few steps each, and compare.

    ``uses_images``: the images beat the best constant answer. ``repeatable``: the same bits.
    """
    dataset, trained = load_dataset(config), []
    labels = dataset.validation.labels
    labels = labels[subset(len(labels), config.controls.validation_images)]
    with progress("Contrôles", total=3, unit="entraînements") as bar:
        for shown in (dataset, dataset, _blacken(dataset)):
            trained.append(_train_briefly(config, shown))
            bar.update()
    (seen, weights), (_, again), (blind, _) = trained
    constant, n = float(np.bincount(labels).max() / len(labels)), len(labels)
    found = {"validation_images": n, "blind_accuracy": blind, "seen_accuracy": seen}
    found["uses_images"] = more_than(round(seen * n), n, constant)
    return Sanity(found=found | {"repeatable": all(map(torch.equal, weights, again))})


def _train_briefly(config: Config, dataset: EuroSAT) -> tuple[float, list[Tensor]]:
    """Train for ``controls.steps``; return the validation accuracy, and the weights."""
    controls, steps = config.controls, config.controls.steps
    own = {"lr": controls.lr, "weight_decay": 0.0, "max_steps": steps, "max_epochs": steps}
    train = config.model.model_dump(include=NETWORK) | own | {"keep": "best"}
    limits = {"train_limit": steps * config.data.batch_size}
    limits |= {"validation_limit": controls.validation_images}
    with tempfile.TemporaryDirectory() as folder:
        short = override(config, {"train": train, "data": limits})
        done = fit(short, dataset, Path(folder), Path(folder, "run"))
        if done.diverged:
            raise UserError(f"check_training: {done.diverged}; lower controls.lr")
        weights = load_checkpoint(Path(folder, WEIGHTS))["model"]
    return done.last.val_accuracy, list(weights.values())


def _blacken(dataset: EuroSAT) -> EuroSAT:
    """Replace all images of train and validation by black ones; labels stay."""
    train, validation = (
        replace(split, images=np.zeros(split.images.shape, np.uint8))  # untouched: no memory
        for split in (dataset.train, dataset.validation)
    )
    return replace(dataset, train=train, validation=validation)
