"""What a model that learns nothing, or next to nothing, would score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.loaders import subset
from eurosat_lib.stages import Record

PIXELS = 4  # side, in pixels, of the thumbnails given to the second linear model
BLOCK = 1024  # images averaged together: bounds memory


class Baselines(Record):
    """Accuracies in [0, 1]; the linear models are scored on validation only."""

    stage: ClassVar[str] = "compute_baselines"
    majority_class: str
    majority_count: int
    train_images: int
    majority_validation: float
    majority_test: float
    uniform: float
    color_validation: float  # logistic regression on the mean and sd of each channel
    thumbnail_validation: float  # logistic regression on the 4x4 thumbnail
    linear_train_images: int
    validation_images: int

    def facts(self) -> dict[str, Any]:
        """Return the fields and what follows from them."""
        return super().facts() | {
            "majority_share": self.majority_count / self.train_images,
            "best_linear": max(self.color_validation, self.thumbnail_validation),
            "pixels": PIXELS,
        }


def compute_baselines(config: Config, dataset: EuroSAT) -> Baselines:
    """Score the majority class, uniform guessing, and two linear models."""
    train, validation, test = dataset.train, dataset.validation, dataset.test
    majority = int(np.bincount(train.labels).argmax())
    kept = subset(len(train), config.data.train_limit)
    images, labels = train.images[kept], train.labels[kept]

    def linear(features: Callable[[np.ndarray], np.ndarray]) -> float:
        """Score a logistic regression on features (N, F) of the images, in [0, 1]."""
        model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
        model.fit(features(images), labels)
        return float(model.score(features(validation.images), validation.labels))

    return Baselines(
        majority_class=dataset.classes[majority],
        majority_count=int((train.labels == majority).sum()),
        train_images=len(train),
        majority_validation=float((validation.labels == majority).mean()),
        majority_test=float((test.labels == majority).mean()),
        uniform=1 / len(dataset.classes),
        color_validation=linear(color_statistics),
        thumbnail_validation=linear(thumbnails),
        linear_train_images=len(labels),
        validation_images=len(validation),
    )


def color_statistics(images: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation per channel: uint8 (N, 3, H, W) -> float64 (N, 6)."""
    blocks = (images[i : i + BLOCK] for i in range(0, len(images), BLOCK))
    return np.concatenate([np.hstack([b.mean((2, 3)), b.std((2, 3))]) for b in blocks])


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Average over square blocks: uint8 (N, 3, H, W) -> float64 (N, 3 x 4 x 4)."""
    count, channels, height, width = images.shape
    blocks = (count, channels, PIXELS, height // PIXELS, PIXELS, width // PIXELS)
    return images.reshape(blocks).mean((3, 5)).reshape(count, -1)
