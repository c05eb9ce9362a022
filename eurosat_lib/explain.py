"""The network looked at again, on validation: where its evidence lies, what changes its answers.

The test split stays closed: what runs the network again does so on validation.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from torch import Tensor

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.evaluation import Predictions
from eurosat_lib.loaders import subset
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Record
from eurosat_lib.stats import paired_difference, wilson
from eurosat_lib.train import predict
from eurosat_lib.transforms import get_preprocess_transforms, symmetric_views

DIGITS = 3  # of a map
SEED = 0  # of the noise
VEIL = 255 * np.array([0.75, 0.80, 0.85], np.float32)  # colour of haze: bright, a little blue
VIEWS = tuple(
    f"{90 * turns}°{', miroir' if flipped else ''}" for flipped in (0, 1) for turns in range(4)
)
ORDER = (0, 5, 6, 3, 4, 7, 2, 1)  # of VIEWS, turned to the left, among symmetric_views


class Explanation(Record):
    """One validation image and the map of its predicted class."""

    name: str
    index: int  # in the validation split
    truth: int
    prediction: int
    confidence: float
    heat: tuple[tuple[float, ...], ...]  # rows of the last feature map, in [0, 1], its maximum 1


class Explanations(Record):
    """For each class a right and a wrong image, the most confident of each."""

    stage: ClassVar[str] = "explain_predictions"

    checkpoint_sha256: str
    classes: tuple[str, ...]
    right: tuple[Explanation | None, ...]  # per true class; None without such an image
    wrong: tuple[Explanation | None, ...]

    def facts(self) -> dict:
        """Return how many classes have a right and a wrong image to show."""
        return {
            name: sum(c is not None for c in getattr(self, name)) for name in ("right", "wrong")
        }


def gradcam(model: DilatedCNN, images: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM of the last stage (Selvaraju et al. 2017, arXiv:1610.02391).

    The feature maps are summed with the mean gradient of the target's logit as weights, and
    negative values are cut.

    Args:
        model: in evaluation mode.
        images: float32 (N, 3, S, S), normalised, on the model's device.
        targets: int64 (N,), classes to explain.

    Returns:
        float32 (N, h, w) on the CPU, in [0, 1]: each map divided by its maximum, 0 if it has none.
    """
    kept: list[Tensor] = []
    handle = model.stages.register_forward_hook(lambda _, __, output: kept.append(output))
    try:
        with torch.enable_grad():
            chosen = model(images).gather(1, targets[:, None]).sum()
            gradient = torch.autograd.grad(chosen, kept[0])[0]  # (N, C, h, w)
    finally:
        handle.remove()
    heat = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1).relu().detach().float().cpu()
    return heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12)


def explain(
    config: Config, dataset: EuroSAT, model: DilatedCNN, found: Predictions, digest: str
) -> Explanations:
    """Explain, per class, the most confident right and the most confident wrong answer.

    Args:
        config: sizes, preprocessing.
        dataset: its validation split is used.
        model: in evaluation mode, on its device.
        found: what the model says of the validation images of the run.
        digest: SHA-256 of the checkpoint.
    """
    guesses = found.val_logits.argmax(1)
    confidence = softmax(found.val_logits.astype(np.float64), axis=1).max(1)
    shown = _choose(guesses, found.val_labels, confidence, len(dataset.classes))
    rows = [row for row in shown if row is not None]
    place = subset(len(dataset.validation), config.data.validation_limit)[rows]
    device = next(model.parameters()).device
    images = torch.from_numpy(np.ascontiguousarray(dataset.validation.images[place]))
    batch = get_preprocess_transforms(config)(images.to(device))
    heat = gradcam(model, batch, torch.from_numpy(guesses[rows]).to(device))
    cases = {
        row: Explanation(
            name=str(found.val_names[row]),
            index=int(index),
            truth=int(found.val_labels[row]),
            prediction=int(guesses[row]),
            confidence=float(confidence[row]),
            heat=tuple(map(tuple, one.tolist())),
        )
        for row, index, one in zip(rows, place, heat.numpy().round(DIGITS), strict=True)
    }
    drawn, count = tuple(cases.get(row) for row in shown), len(dataset.classes)
    return Explanations(
        checkpoint_sha256=digest,
        classes=dataset.classes,
        right=drawn[:count],
        wrong=drawn[count:],
    )


def _choose(
    guesses: np.ndarray, labels: np.ndarray, confidence: np.ndarray, classes: int
) -> list[int | None]:
    """Return a row per class for the right answers, then for the wrong ones; None: no such."""
    shown: list[int | None] = []
    for right in (True, False):
        for truth in range(classes):
            fitting = np.flatnonzero((labels == truth) & ((guesses == truth) == right))
            best = int(fitting[confidence[fitting].argmax()]) if len(fitting) else None
            shown.append(best)
    return shown


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian of standard deviation ``sigma`` pixels; uint8 (N, 3, H, W) in and out."""
    values = gaussian_filter(images, (0, 0, sigma, sigma), output=np.float32, mode="nearest")
    return _quantise(values)


def noise(images: np.ndarray, sigma: float) -> np.ndarray:
    """Add independent Gaussian noise of standard deviation ``sigma`` (of 255)."""
    drawn = np.random.default_rng(SEED).standard_normal(images.shape, np.float32)
    return _quantise(images + sigma * drawn)


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    """Compress to JPEG of a quality in 1-100 (Pillow's scale), and back."""

    def recoded(image: np.ndarray) -> np.ndarray:
        """Compress one image, (H, W, 3)."""
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return np.stack([recoded(image.transpose(1, 2, 0)).transpose(2, 0, 1) for image in images])


def haze(images: np.ndarray, share: float) -> np.ndarray:
    """Mix with a uniform veil: (1 - share) image + share veil (Koschmieder's law, one depth)."""
    return _quantise((1 - share) * images + share * VEIL[:, None, None])


def _quantise(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)


# Our choice of light faults for tiles of 64 pixels, each from hardly seen to plain; how to write
# a strength.
CORRUPTIONS: dict[str, tuple[Callable[..., np.ndarray], tuple[float, ...], str]] = {
    "blur": (blur, (0.4, 0.7, 1.0), "σ = {} px"),
    "noise": (noise, (2.0, 4.0, 8.0), "σ = {} / 255"),
    "jpeg": (jpeg, (90, 70, 50), "qualité {}"),
    "haze": (haze, (0.05, 0.1, 0.2), "voile {}"),
}


class Trial(Record):
    """Answers under one change of the images, against those on the images as they are."""

    kind: str  # "view", "average", or a corruption
    strength: float  # of a corruption; number of the view
    correct: int
    lost: int  # right on the plain image only
    gained: int  # right on the changed image only
    same: int  # answers that the change leaves alone


class Robustness(Record):
    """Accuracy under changes that leave the class as it is."""

    stage: ClassVar[str] = "measure_robustness"

    checkpoint_sha256: str
    n: int  # validation images
    correct: int  # as they are
    stable: int  # images with the same answer in the eight views
    level: float
    trials: tuple[Trial, ...]

    def accuracy(self, trial: Trial) -> tuple[float, float, float]:
        """Accuracy of a trial, and its Wilson interval."""
        return trial.correct / self.n, *wilson(trial.correct, self.n, self.level)

    def change(self, trial: Trial, comparisons: int = 1) -> tuple[float, float, float]:
        """Change of accuracy against the plain images, and its paired interval.

        Among several comparisons, their intervals hold together (Bonferroni).
        """
        level = 1 - (1 - self.level) / comparisons
        bounds = paired_difference(trial.gained, trial.lost, self.n, level)
        return (trial.gained - trial.lost) / self.n, *bounds

    def of(self, kind: str) -> tuple[Trial, ...]:
        """List the trials of one kind, in order of strength."""
        return tuple(trial for trial in self.trials if trial.kind == kind)

    def facts(self) -> dict:
        """Return the stability over views and the largest falls of accuracy."""
        turned = min(self.of("view")[1:], key=lambda trial: trial.correct)
        faults = [trial for kind in CORRUPTIONS for trial in self.of(kind)]
        worst = min(faults, key=lambda trial: trial.correct)
        light = [trial for kind in CORRUPTIONS for trial in self.of(kind)[:1]]
        return {
            "n": self.n,
            "accuracy": self.correct / self.n,
            "stable": self.stable / self.n,
            "stable_interval": wilson(self.stable, self.n, self.level),
            "worst_view": VIEWS[int(turned.strength)],
            "worst_view_change": self.change(turned, len(VIEWS) - 1),
            "average_change": self.change(self.of("average")[0]),
            "faults": len(faults),
            "worst_fault": worst.kind,
            "worst_strength": self.of(worst.kind).index(worst),
            "worst_change": self.change(worst, len(faults)),
            "light_harmful": [t.kind for t in light if self.change(t, len(faults))[2] < 0],
        }


def measure(
    config: Config, dataset: EuroSAT, model: DilatedCNN, runtime: Runtime, digest: str
) -> Robustness:
    """Run the network on changed validation images.

    Args:
        config: sizes, preprocessing, number of images.
        dataset: its validation split is used.
        model: in evaluation mode, on the device.
        runtime: device and precision.
        digest: SHA-256 of the checkpoint.
    """
    index = subset(len(dataset.validation), config.evaluate.robustness_images)
    images = np.ascontiguousarray(dataset.validation.images[index])
    labels = torch.from_numpy(dataset.validation.labels[index].astype(np.int64))

    def logits(changed: Tensor) -> Tensor:
        return predict(model, _batches(config, changed, labels, runtime), runtime)[0]

    turned = symmetric_views(torch.from_numpy(images))
    seen = [logits(turned[place]) for place in ORDER]
    answers = torch.stack([found.argmax(1) for found in seen])
    plain = answers[0]
    average = torch.stack([found.double().softmax(1) for found in seen]).mean(0).argmax(1)
    changed = [("view", k, answer) for k, answer in enumerate(answers)]
    changed.append(("average", len(seen), average))
    for kind, (change, strengths, _) in CORRUPTIONS.items():
        for strength in strengths:
            found = logits(torch.from_numpy(change(images, strength))).argmax(1)
            changed.append((kind, strength, found))
    return Robustness(
        checkpoint_sha256=digest,
        n=len(labels),
        correct=int((plain == labels).sum()),
        stable=int((answers == plain).all(0).sum()),
        level=config.evaluate.confidence,
        trials=tuple(_trial(*case, plain, labels) for case in changed),
    )


def _batches(
    config: Config, images: Tensor, labels: Tensor, runtime: Runtime
) -> Iterator[tuple[Tensor, Tensor]]:
    prepare = get_preprocess_transforms(config)
    for part in torch.arange(len(labels)).split(config.data.batch_size):
        batch = prepare(images[part].to(runtime.device))
        yield batch.contiguous(memory_format=torch.channels_last), labels[part]


def _trial(kind: str, strength: float, answers: Tensor, plain: Tensor, truth: Tensor) -> Trial:
    right, before = answers == truth, plain == truth
    return Trial(
        kind=kind,
        strength=strength,
        correct=int(right.sum()),
        lost=int((before & ~right).sum()),
        gained=int((right & ~before).sum()),
        same=int((answers == plain).sum()),
    )
