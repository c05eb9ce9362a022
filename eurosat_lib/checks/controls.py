"""The controls themselves, on any network and any labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss
from torch import Tensor, nn

from eurosat_lib.data import EuroSAT, Split
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime


class Independence(Record):
    """Largest change of a logit when the first image of a batch becomes its negative."""

    others: float  # logits of the other images, evaluation mode
    own: float  # logits of that image, evaluation mode
    training: float  # logits of the other images, training mode: BatchNorm mixes them


@torch.no_grad()
def batch_independence(model: nn.Module, images: Tensor, runtime: Runtime) -> Independence:
    """Change the first image of a batch, and see which logits move.

    Args:
        model: left as it is.
        images: float32 (B, 3, S, S), normalised, B at least 2.
        runtime: device and precision.
    """
    model = copy.deepcopy(model)  # training mode moves BatchNorm's buffers
    changed = images.clone()
    changed[0] = -images[0]

    def moved() -> Tensor:
        with runtime.autocast():
            return (model(changed).float() - model(images).float()).abs().amax(1)

    model.eval()
    evaluated = moved()
    model.train()
    return Independence(
        others=float(evaluated[1:].max()),
        own=float(evaluated[0]),
        training=float(moved()[1:].max()),
    )


def blacken(dataset: EuroSAT) -> EuroSAT:
    """Replace all images of train and validation by black ones; labels stay."""
    return replace(dataset, train=_black(dataset.train), validation=_black(dataset.validation))


def _black(split: Split) -> Split:
    none = np.zeros((1, 1, 1, 1), np.uint8)
    return replace(split, images=np.broadcast_to(none, split.images.shape))  # takes no memory


def count_differences(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor]
) -> tuple[int, int]:
    """Compare tensors of the same names and shapes, value by value, to the bit.

    Returns:
        Values that differ (NaN differs from all), values compared.
    """
    differing = sum(int((value != second[name]).sum()) for name, value in first.items())
    return differing, sum(value.numel() for value in first.values())


def score_shares(train: np.ndarray, validation: np.ndarray) -> tuple[float, float]:
    """Score what is known without any image: the class shares.

    Args:
        train: int64 (N,), labels whose shares are predicted for every image.
        validation: int64 (M,), labels to score them on.

    Returns:
        Cross-entropy in nats, and the largest accuracy of a constant answer.
    """
    nothing = np.zeros((len(train), 1))
    shares = DummyClassifier(strategy="prior").fit(nothing, train)
    told = shares.predict_proba(np.zeros((len(validation), 1)))
    largest = np.bincount(validation).max() / len(validation)
    return float(log_loss(validation, told, labels=shares.classes_)), float(largest)
