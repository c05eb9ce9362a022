"""What a network says of each image, kept as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from eurosat_lib.errors import UserError

FILE = "predictions.npz"  # in the folder of the stage
DIGITS = 6  # of a probability in the CSV file


@dataclass(frozen=True)
class Predictions:
    """Logits of the test and validation images, in file order.

    Attributes:
        names: str (N,), file names of the test images.
        labels: int64 (N,), their true classes.
        logits: float32 (N, K).
        val_names: str (M,), file names of the validation images.
        val_labels: int64 (M,).
        val_logits: float32 (M, K).
    """

    names: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    val_names: np.ndarray
    val_labels: np.ndarray
    val_logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the test logits, float64 (N, K)."""
        return softmax(self.logits.astype(np.float64), axis=1)

    @property
    def predicted(self) -> np.ndarray:
        """Predicted classes of the test images, int64 (N,)."""
        return self.logits.argmax(1)

    def save(self, folder: Path) -> None:
        """Write all arrays to a folder; the file is whole or absent."""
        partial = folder / f".{os.getpid()}.{FILE}"
        np.savez(partial, **{field.name: getattr(self, field.name) for field in fields(self)})
        os.replace(partial, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Predictions:
        """Read the arrays of a folder.

        Raises:
            UserError: the file is missing or damaged.
        """
        try:
            with np.load(folder / FILE) as file:
                return cls(**{field.name: file[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError) as error:
            kind = type(error).__name__
            raise UserError(
                f"{folder / FILE}: missing or damaged ({kind}); delete its folder, evaluate again"
            ) from None

    def rows(self, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Give one row per test image, for ``predictions.csv``."""
        probabilities, predicted = self.probabilities, self.predicted
        columns = (self.names, self.labels, predicted, probabilities)
        for name, truth, guess, shares in zip(*columns, strict=True):
            yield {
                "name": str(name),
                "truth": classes[truth],
                "prediction": classes[guess],
                "correct": int(truth == guess),
                "confidence": round(float(shares[guess]), DIGITS),
                "probability_of_truth": round(float(shares[truth]), DIGITS),
                **{
                    f"p_{c}": round(float(p), DIGITS) for c, p in zip(classes, shares, strict=True)
                },
            }
