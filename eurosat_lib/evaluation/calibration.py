"""Does the confidence mean what it says? Log loss, Brier score, calibration, temperature."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from eurosat_lib.evaluation.intervals import mean_interval, wilson
from eurosat_lib.record import Record

BINS = 15  # of equal width, as in Guo et al. 2017, arXiv:1706.04599
DRAWS = 1000  # for the ECE of a calibrated network
SEED = 0
RANGE = (0.05, 20.0)  # temperatures tried


class Bin(Record):
    """Images whose confidence lies in one interval."""

    low: float  # confidence, excluded
    high: float  # included
    n: int
    correct: int
    confidence: float  # mean; 0 for an empty bin

    @property
    def accuracy(self) -> float:
        """Share of right answers; 0 for an empty bin."""
        return self.correct / max(self.n, 1)

    def interval(self, level: float) -> tuple[float, float]:
        """Wilson interval of the accuracy."""
        return wilson(self.correct, self.n, level)


class Reliability(Record):
    """Calibration of one set of probabilities."""

    nll: float  # nats, mean over images
    brier: float  # mean over images of the squared distance to the one-hot label, in [0, 2]
    ece: float  # expected calibration error, in [0, 1]
    ece_calibrated: float  # what a calibrated network stays below, at the level of confidence
    excess: float  # mean confidence - accuracy
    excess_interval: tuple[float, float]
    bins: tuple[Bin, ...]

    @property
    def miscalibrated(self) -> bool:
        """Tell whether the ECE is larger than chance gives to a calibrated network."""
        return self.ece > self.ece_calibrated


def reliability(probabilities: np.ndarray, labels: np.ndarray, level: float) -> Reliability:
    """Measure the calibration of the most probable class.

    Args:
        probabilities: float (N, K), rows of sum 1.
        labels: int64 (N,).
        level: of the intervals, in (0, 1).
    """
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    excess = confidence - correct
    truth = np.eye(probabilities.shape[1])[labels]
    return Reliability(
        nll=float(-np.log(probabilities[truth == 1].clip(1e-300)).mean()),
        brier=float(((probabilities - truth) ** 2).sum(1).mean()),
        ece=float(ece(confidence, correct[None])[0]),
        ece_calibrated=calibrated_ece(confidence, level),
        excess=float(excess.mean()),
        excess_interval=mean_interval(excess, level),
        bins=_bins(confidence, correct),
    )


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean log loss, in nats, of logits (N, K) divided by a temperature."""
    scores = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature of least log loss (Guo et al. 2017): above 1, it lowers confidence.

    Args:
        logits: float (N, K), of images that trained nothing.
        labels: int64 (N,).
    """
    found = minimize_scalar(
        lambda log_t: nll(logits, labels, np.exp(log_t)), bounds=np.log(RANGE), method="bounded"
    )
    return float(np.exp(found.x))


def tempered(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities of logits divided by a temperature, float64 (N, K)."""
    return softmax(logits.astype(np.float64) / temperature, axis=1)


def ece(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Expected calibration error: gap of confidence and accuracy per bin, weighed by its images.

    Args:
        confidence: float (N,), in [0, 1].
        correct: bool or float (M, N), M cases at once.

    Returns:
        float (M,).
    """
    member = np.eye(BINS)[_place(confidence)]  # (N, BINS)
    return np.abs((confidence - correct) @ member).sum(1) / len(confidence)


def calibrated_ece(confidence: np.ndarray, level: float) -> float:
    """Quantile of the ECE of a network that is right as often as it says.

    Its answers are drawn from its own confidence (consistency resampling: Bröcker & Smith 2007,
    Weather and Forecasting 22, doi:10.1175/WAF993.1).
    """
    generator = np.random.default_rng(SEED)
    values = np.concatenate(
        [
            ece(confidence, generator.random((100, len(confidence))) < confidence)
            for _ in range(DRAWS // 100)
        ]
    )
    return float(np.quantile(values, level))


def _place(confidence: np.ndarray) -> np.ndarray:
    """Bin of each confidence: (low, high]; 0 goes to the first."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _bins(confidence: np.ndarray, correct: np.ndarray) -> tuple[Bin, ...]:
    place = _place(confidence)
    counts = np.bincount(place, minlength=BINS)
    hits = np.bincount(place, correct, BINS)
    sums = np.bincount(place, confidence, BINS)
    return tuple(
        Bin(
            low=k / BINS,
            high=(k + 1) / BINS,
            n=int(counts[k]),
            correct=int(hits[k]),
            confidence=float(sums[k] / max(counts[k], 1)),
        )
        for k in range(BINS)
    )
