"""Where in the image the evidence lies: Grad-CAM, on right and wrong validation images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import subset
from eurosat_lib.evaluation.predictions import Predictions
from eurosat_lib.model import DilatedCNN
from eurosat_lib.record import Record
from eurosat_lib.transforms import get_preprocess_transforms

DIGITS = 3  # of a map


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
            "right": sum(case is not None for case in self.right),
            "wrong": sum(case is not None for case in self.wrong),
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
            logits = model(images)
            chosen = logits.gather(1, targets[:, None]).sum()
            gradient = torch.autograd.grad(chosen, kept[0])[0]  # (N, C, h, w)
    finally:
        handle.remove()
    weights = gradient.mean((2, 3), keepdim=True)
    heat = (weights * kept[0]).sum(1).relu().detach().float().cpu()
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
    place = subset(len(dataset.validation.labels), config.data.validation_limit)[rows]
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
    drawn = tuple(None if row is None else cases[row] for row in shown)
    count = len(dataset.classes)
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
            best = fitting[confidence[fitting].argmax()] if len(fitting) else None
            shown.append(None if best is None else int(best))
    return shown
