"""How the answers change with orientation and light faults, on validation images.

The test split stays closed: what runs the network again does so on validation.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import subset
from eurosat_lib.evaluation.corruptions import CORRUPTIONS, VIEWS, views
from eurosat_lib.evaluation.intervals import paired_difference, wilson
from eurosat_lib.model import DilatedCNN
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime
from eurosat_lib.training.steps import predict
from eurosat_lib.transforms import get_preprocess_transforms


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
    index = subset(len(dataset.validation.labels), config.evaluate.robustness_images)
    images = np.ascontiguousarray(dataset.validation.images[index])
    labels = torch.from_numpy(dataset.validation.labels[index].astype(np.int64))

    def logits(changed: torch.Tensor) -> torch.Tensor:
        return predict(model, _batches(config, changed, labels, runtime), runtime)[0]

    seen = [logits(view) for view in views(torch.from_numpy(images))]
    plain, truth = seen[0].argmax(1), labels
    answers = torch.stack([found.argmax(1) for found in seen])
    trials = [_trial("view", k, answers[k], plain, truth) for k in range(len(seen))]
    average = torch.stack([found.double().softmax(1) for found in seen]).mean(0).argmax(1)
    trials.append(_trial("average", len(seen), average, plain, truth))
    for kind, (change, strengths, _) in CORRUPTIONS.items():
        for strength in strengths:
            found = logits(torch.from_numpy(change(images, strength))).argmax(1)
            trials.append(_trial(kind, strength, found, plain, truth))
    return Robustness(
        checkpoint_sha256=digest,
        n=len(labels),
        correct=int((plain == truth).sum()),
        stable=int((answers == plain).all(0).sum()),
        level=config.evaluate.confidence,
        trials=tuple(trials),
    )


def _batches(config: Config, images: torch.Tensor, labels: torch.Tensor, runtime: Runtime):
    prepare = get_preprocess_transforms(config)
    for part in torch.arange(len(labels)).split(config.data.batch_size):
        batch = prepare(images[part].to(runtime.device))
        yield batch.contiguous(memory_format=torch.channels_last), labels[part]


def _trial(
    kind: str, strength: float, answers: torch.Tensor, plain: torch.Tensor, truth: torch.Tensor
) -> Trial:
    right, before = answers == truth, plain == truth
    return Trial(
        kind=kind,
        strength=strength,
        correct=int(right.sum()),
        lost=int((before & ~right).sum()),
        gained=int((right & ~before).sum()),
        same=int((answers == plain).sum()),
    )
