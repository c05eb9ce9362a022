"""What a model that learns nothing, or next to nothing, would score."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.dummy import DummyClassifier
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
    uniform_validation_sd: float  # standard deviation of the accuracy of uniform guessing
    uniform_test_sd: float
    color_validation: float  # logistic regression on the mean and sd of each channel
    thumbnail_validation: float  # logistic regression on the 4x4 thumbnail
    linear_train_images: int
    validation_images: int

    @property
    def majority_share(self) -> float:
        """Share of the majority class in the training split."""
        return self.majority_count / self.train_images

    @property
    def best_linear(self) -> float:
        """Return the higher validation accuracy of the two linear models."""
        return max(self.color_validation, self.thumbnail_validation)

    def facts(self) -> dict:
        """Return the fields and what follows from them."""
        return self.model_dump() | {
            "majority_share": self.majority_share,
            "best_linear": self.best_linear,
        }


def compute_baselines(config: Config, dataset: EuroSAT) -> Baselines:
    """Score the majority class, uniform guessing, and two linear models."""
    train, validation, test = dataset.train, dataset.validation, dataset.test
    constant = DummyClassifier(strategy="most_frequent").fit(train.names, train.labels)
    majority, uniform = int(constant.predict(train.names[:1])[0]), 1 / len(dataset.classes)
    kept = subset(len(train.labels), config.data.train_limit)
    images, labels = train.images[kept], train.labels[kept]

    def linear(features) -> float:
        """Fit a logistic regression on some features; return its validation accuracy."""
        model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
        model.fit(features(images), labels)
        return float(model.score(features(validation.images), validation.labels))

    return Baselines(
        majority_class=dataset.classes[majority],
        majority_count=int((train.labels == majority).sum()),
        train_images=len(train.labels),
        majority_validation=float(constant.score(validation.names, validation.labels)),
        majority_test=float(constant.score(test.names, test.labels)),
        uniform=uniform,
        uniform_validation_sd=_binomial_sd(uniform, len(validation.labels)),
        uniform_test_sd=_binomial_sd(uniform, len(test.labels)),
        color_validation=linear(color_statistics),
        thumbnail_validation=linear(thumbnails),
        linear_train_images=len(labels),
        validation_images=len(validation.labels),
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


def _binomial_sd(probability: float, count: int) -> float:
    return float(np.sqrt(probability * (1 - probability) / count))
