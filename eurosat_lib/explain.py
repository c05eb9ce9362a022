"""The network looked at again: where its evidence lies, what changes its answers.

Both on validation: the test split stays closed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from torch import Tensor

from eurosat_lib.classifier import Classifier
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.evaluation import Predictions
from eurosat_lib.loaders import subset
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Record
from eurosat_lib.stats import paired_difference, wilson
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
        cases = {"right": self.right, "wrong": self.wrong}
        return {name: sum(case is not None for case in found) for name, found in cases.items()}


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

    ``found`` holds what the model, in evaluation mode, says of the validation images of the run.
    """
    labels, guesses = found.val_labels, found.val_logits.argmax(1)
    confidence = softmax(found.val_logits.astype(np.float64), axis=1).max(1)
    shown: list[int | None] = []
    for fitting in (labels == guesses, labels != guesses):
        for truth in range(len(dataset.classes)):
            rows = np.flatnonzero(fitting & (labels == truth))
            shown.append(int(rows[confidence[rows].argmax()]) if len(rows) else None)
    rows = [row for row in shown if row is not None]
    place = subset(len(dataset.validation), config.data.validation_limit)[rows]
    device = next(model.parameters()).device
    images = torch.from_numpy(np.ascontiguousarray(dataset.validation.images[place]))
    batch = get_preprocess_transforms(config)(images.to(device))
    heat = gradcam(model, batch, torch.from_numpy(guesses[rows]).to(device))
    cases = {
        row: Explanation(
            name=found.val_names[row],
            index=index,
            truth=labels[row],
            prediction=guesses[row],
            confidence=confidence[row],
            heat=one.tolist(),
        )
        for row, index, one in zip(rows, place, heat.numpy().round(DIGITS), strict=True)
    }
    drawn, count = [cases.get(row) for row in shown], len(dataset.classes)
    own = {"checkpoint_sha256": digest, "classes": dataset.classes}
    return Explanations(right=drawn[:count], wrong=drawn[count:], **own)


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
    found = []
    for image in images.transpose(0, 2, 3, 1):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(buffer)))
    return np.stack(found).transpose(0, 3, 1, 2)


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
        light = [self.of(kind)[0] for kind in CORRUPTIONS]
        return {
            "n": self.n,
            "stable": self.stable / self.n,
            "worst_view": VIEWS[int(turned.strength)],
            "worst_view_change": self.change(turned, len(VIEWS) - 1),
            "faults": len(faults),
            "worst_fault": worst.kind,
            "worst_change": self.change(worst, len(faults)),
            "light_harmful": [t.kind for t in light if self.change(t, len(faults))[2] < 0],
        }


def measure(
    config: Config, dataset: EuroSAT, model: DilatedCNN, runtime: Runtime, digest: str
) -> Robustness:
    """Run a network in evaluation mode on changed validation images; the digest is its file's."""
    index = subset(len(dataset.validation), config.evaluate.robustness_images)
    images = np.ascontiguousarray(dataset.validation.images[index])
    labels = dataset.validation.labels[index]
    prepare = get_preprocess_transforms(config)
    network = Classifier(model, prepare, dataset.classes, runtime, config.data.batch_size)
    turned = symmetric_views(torch.from_numpy(images))
    seen = np.stack([network.logits(turned[place].numpy()) for place in ORDER])  # (8, N, K)
    answers, plain = seen.argmax(2), seen[0].argmax(1)
    average = torch.from_numpy(seen).double().softmax(2).mean(0).argmax(1).numpy()
    changed = [*(("view", k, answer) for k, answer in enumerate(answers)), ("average", 8, average)]
    for kind, (change, strengths, _) in CORRUPTIONS.items():
        for strength in strengths:
            changed.append((kind, strength, network.logits(change(images, strength)).argmax(1)))
    right, trials = plain == labels, []
    for kind, strength, found in changed:
        now = found == labels
        trial = Trial(
            kind=kind,
            strength=strength,
            correct=int(now.sum()),
            lost=int((right & ~now).sum()),
            gained=int((now & ~right).sum()),
            same=int((found == plain).sum()),
        )
        trials.append(trial)
    return Robustness(
        checkpoint_sha256=digest,
        n=len(labels),
        correct=int(right.sum()),
        stable=int((answers == plain).all(0).sum()),
        level=config.evaluate.confidence,
        trials=tuple(trials),
    )
