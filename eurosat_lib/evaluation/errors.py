"""What the kept predictions say of the errors: calibration, risk, look-alikes, doubtful labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.metrics import confusion_matrix

from eurosat_lib.evaluation.calibration import (
    Reliability,
    fit_temperature,
    reliability,
    tempered,
)
from eurosat_lib.evaluation.confusions import Families, families
from eurosat_lib.evaluation.intervals import mean_interval
from eurosat_lib.evaluation.predictions import Predictions
from eurosat_lib.evaluation.selection import KEPT, Selection, select
from eurosat_lib.record import Record

WORST = 12  # errors shown


class ErrorCase(Record):
    """One test image that the network gets wrong."""

    name: str
    truth: int
    prediction: int
    confidence: float
    doubtful: bool  # its label is suspected


class Errors(Record):
    """The errors of one checkpoint on the test split, from its kept predictions."""

    stage: ClassVar[str] = "analyse_errors"

    checkpoint_sha256: str
    classes: tuple[str, ...]
    level: float
    temperature: float  # fitted on validation
    before: Reliability
    after: Reliability  # probabilities at that temperature
    gain_interval: tuple[float, float]  # of the fall of the log loss, nats
    selection: Selection
    look_alikes: Families
    n: int
    worst: tuple[ErrorCase, ...]  # the most confident first
    doubtful: tuple[int, ...]  # labels suspected, per class of the label
    doubtful_names: tuple[str, ...]

    def facts(self) -> dict:
        """Return calibration, risk, look-alikes and doubtful labels as plain values."""
        cal = {
            f"{score}_{when}": getattr(found, score)
            for when, found in (("before", self.before), ("after", self.after))
            for score in ("nll", "brier", "ece", "ece_calibrated", "excess", "excess_interval")
        }
        low, high = self.selection.kept_interval(self.level)
        return cal | {
            "n": self.n,
            "errors": self.look_alikes.errors,
            "confidence_level": self.level,
            "temperature": self.temperature,
            "gain": self.before.nll - self.after.nll,
            "gain_interval": self.gain_interval,
            "miscalibrated_before": self.before.miscalibrated,
            "miscalibrated_after": self.after.miscalibrated,
            "aurc": self.selection.aurc,
            "aurc_ideal": self.selection.aurc_ideal,
            "auroc": self.selection.auroc,
            "kept": KEPT,
            "kept_risk": self.selection.kept_errors / self.selection.kept,
            "kept_interval": (low, high),
            "look_alikes": self.look_alikes.facts(),
            "doubtful": sum(self.doubtful),
            "doubtful_shown": sum(case.doubtful for case in self.worst),
            "shown": len(self.worst),
        }


def analyse(found: Predictions, classes: tuple[str, ...], level: float, digest: str) -> Errors:
    """Analyse kept predictions; no image is looked at again.

    Args:
        found: logits and labels of test and validation.
        classes: names, in the order of the labels.
        level: of the intervals, in (0, 1).
        digest: SHA-256 of the checkpoint.
    """
    temperature = fit_temperature(found.val_logits, found.val_labels)
    plain, cooled = found.probabilities, tempered(found.logits, temperature)
    rows = np.arange(len(found.labels))
    gains = np.log(cooled[rows, found.labels].clip(1e-300)) - np.log(
        plain[rows, found.labels].clip(1e-300)
    )
    right = found.predicted == found.labels
    matrix = confusion_matrix(found.labels, found.predicted, labels=range(len(classes)))
    doubtful = doubtful_labels(found.labels, plain)
    return Errors(
        checkpoint_sha256=digest,
        classes=classes,
        level=level,
        temperature=temperature,
        before=reliability(plain, found.labels, level),
        after=reliability(cooled, found.labels, level),
        gain_interval=mean_interval(gains, level),
        selection=select(plain.max(1), right),
        look_alikes=families(matrix, classes, level),
        n=len(right),
        worst=_worst(found, plain, doubtful),
        doubtful=tuple(np.bincount(found.labels[doubtful], minlength=len(classes)).tolist()),
        doubtful_names=tuple(found.names[doubtful].tolist()),
    )


def doubtful_labels(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Find labels that confident learning suspects (Northcutt et al. 2021, arXiv:1911.00068).

    Args:
        labels: int64 (N,).
        probabilities: float (N, K), from a network that was not trained on these images.

    Returns:
        int64 (M,), positions, the least plausible label first.
    """
    from cleanlab.filter import find_label_issues  # slow to import

    present = np.unique(labels)  # every class must have an image
    place = np.searchsorted(present, labels)
    shares = probabilities[:, present]
    shares = shares / shares.sum(1, keepdims=True).clip(1e-300)
    found = find_label_issues(place, shares, return_indices_ranked_by="self_confidence", n_jobs=1)
    return np.asarray(found, dtype=np.int64)


def _worst(
    found: Predictions, probabilities: np.ndarray, doubtful: np.ndarray
) -> tuple[ErrorCase, ...]:
    confidence, suspects = probabilities.max(1), set(doubtful.tolist())
    wrong = np.flatnonzero(found.predicted != found.labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    return tuple(
        ErrorCase(
            name=str(found.names[i]),
            truth=int(found.labels[i]),
            prediction=int(found.predicted[i]),
            confidence=float(confidence[i]),
            doubtful=int(i) in suspects,
        )
        for i in order
    )
