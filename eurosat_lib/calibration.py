"""What the kept predictions say of the errors: calibration, risk, confusable classes, labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, confusion_matrix, roc_auc_score

from eurosat_lib.evaluation import Predictions, nll
from eurosat_lib.stages import Record
from eurosat_lib.stats import Bounds, mean_interval, wilson

BINS = 15  # of equal width, as in Guo et al. 2017, arXiv:1706.04599
DRAWS = 1000  # for the ECE of a calibrated network
SEED = 0
RANGE = (0.05, 20.0)  # temperatures tried
POINTS = 101  # of the curve of risk
KEPT = 0.8  # coverage whose risk is quoted
WORST = 12  # errors shown
# Classes that look alike from above, named before any result: plants in rows or meadows, ribbons,
# roofs, dark smooth areas.
FAMILIES: dict[str, tuple[str, ...]] = {
    "végétation": ("AnnualCrop", "HerbaceousVegetation", "Pasture", "PermanentCrop"),
    "rubans": ("Highway", "River"),
    "bâti": ("Industrial", "Residential"),
    "surfaces sombres": ("Forest", "SeaLake"),
}


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

    def interval(self, level: float) -> Bounds:
        """Wilson interval of the accuracy."""
        return wilson(self.correct, self.n, level)


class Reliability(Record):
    """Calibration of one set of probabilities."""

    nll: float  # nats, mean over images
    brier: float  # mean over images of the squared distance to the one-hot label, in [0, 2]
    ece: float  # expected calibration error, in [0, 1]
    ece_calibrated: float  # what a calibrated network stays below, at the level of confidence
    excess: float  # mean confidence - accuracy
    excess_interval: Bounds
    bins: tuple[Bin, ...]

    @property
    def miscalibrated(self) -> bool:
        """Tell whether the ECE is larger than chance gives to a calibrated network."""
        return self.ece > self.ece_calibrated


class Selection(Record):
    """Risk (share of errors among the images answered) against coverage (share answered)."""

    coverage: tuple[float, ...]  # rising, the last is 1
    risk: tuple[float, ...]
    ideal: tuple[float, ...]  # all errors left out first
    aurc: float  # mean risk over all coverages (Geifman & El-Yaniv 2017, arXiv:1705.08500)
    aurc_ideal: float
    error_rate: float  # the AURC of leaving images out by chance
    auroc: float | None  # of confidence, to tell right from wrong; None without errors
    kept: int  # images answered at the coverage quoted
    kept_errors: int

    def kept_interval(self, level: float) -> Bounds:
        """Wilson interval of the risk at the coverage quoted."""
        return wilson(self.kept_errors, self.kept, level)


class Family(Record):
    """Classes expected to be taken for each other, and the errors among them."""

    name: str
    classes: tuple[str, ...]
    errors: int  # both classes in the family
    expected: float  # errors, if a wrong answer were any other class with equal chance


class Families(Record):
    """How far the errors stay within the families."""

    families: tuple[Family, ...]
    errors: int  # of all kinds
    level: float

    @property
    def within(self) -> int:
        """Errors between two classes of one family."""
        return sum(family.errors for family in self.families)

    @property
    def chance(self) -> float:
        """Share of the errors within the families if wrong answers fell anywhere; 0 if none."""
        return sum(family.expected for family in self.families) / max(self.errors, 1)

    @property
    def interval(self) -> Bounds:
        """Wilson interval of the share of errors within the families."""
        return wilson(self.within, self.errors, self.level)

    def facts(self) -> dict:
        """Return the share, its interval, and what chance would give."""
        low, high = self.interval
        return {
            "within": self.within,
            "share": self.within / max(self.errors, 1),
            "low": low,
            "high": high,
            "chance": self.chance,
            "families": [family.model_dump() for family in self.families],
        }


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
    gain_interval: Bounds  # of the fall of the log loss, nats
    selection: Selection
    look_alikes: Families
    n: int
    worst: tuple[ErrorCase, ...]  # the most confident first
    doubtful: tuple[int, ...]  # labels suspected, per class of the label
    doubtful_names: tuple[str, ...]

    def facts(self) -> dict:
        """Return calibration, risk, confusable classes and suspected labels as plain values."""
        own, scores = self.selection, [name for name in Reliability.model_fields if name != "bins"]
        found = {
            f"{name}_{when}": getattr(one, name)
            for when, one in (("before", self.before), ("after", self.after))
            for name in (*scores, "miscalibrated")
        }
        return found | {
            "n": self.n,
            "errors": self.look_alikes.errors,
            "confidence_level": self.level,
            "temperature": self.temperature,
            "gain": self.before.nll - self.after.nll,
            "gain_interval": self.gain_interval,
            "aurc": own.aurc,
            "aurc_ideal": own.aurc_ideal,
            "auroc": own.auroc,
            "kept": KEPT,
            "kept_risk": own.kept_errors / own.kept,
            "kept_interval": own.kept_interval(self.level),
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
    plain = found.probabilities
    scaled = softmax(found.logits.astype(np.float64) / temperature, axis=1)
    rows = np.arange(len(found.labels))
    before, after = (np.log(p[rows, found.labels].clip(1e-300)) for p in (plain, scaled))
    matrix = confusion_matrix(found.labels, found.predicted, labels=range(len(classes)))
    issues = label_issues(found.labels, plain)
    return Errors(
        checkpoint_sha256=digest,
        classes=classes,
        level=level,
        temperature=temperature,
        before=reliability(plain, found.labels, level),
        after=reliability(scaled, found.labels, level),
        gain_interval=mean_interval(after - before, level),
        selection=select(plain.max(1), found.predicted == found.labels),
        look_alikes=families(matrix, classes, level),
        n=len(found.labels),
        worst=_worst(found, plain.max(1), set(issues.tolist())),
        doubtful=tuple(np.bincount(found.labels[issues], minlength=len(classes)).tolist()),
        doubtful_names=tuple(found.names[issues].tolist()),
    )


def _worst(found: Predictions, confidence: np.ndarray, issues: set[int]) -> tuple[ErrorCase, ...]:
    wrong = np.flatnonzero(found.predicted != found.labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    return tuple(
        ErrorCase(
            name=str(found.names[i]),
            truth=int(found.labels[i]),
            prediction=int(found.predicted[i]),
            confidence=float(confidence[i]),
            doubtful=int(i) in issues,
        )
        for i in order
    )


def reliability(probabilities: np.ndarray, labels: np.ndarray, level: float) -> Reliability:
    """Measure the calibration of the most probable class.

    Args:
        probabilities: float (N, K), rows of sum 1.
        labels: int64 (N,).
        level: of the intervals, in (0, 1).
    """
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    excess, classes = confidence - correct, range(probabilities.shape[1])
    of_truth = probabilities[np.arange(len(labels)), labels]
    return Reliability(
        nll=float(-np.log(of_truth.clip(1e-300)).mean()),
        brier=float(brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False)),
        ece=float(ece(confidence, correct[None])[0]),
        ece_calibrated=calibrated_ece(confidence, level),
        excess=float(excess.mean()),
        excess_interval=mean_interval(excess, level),
        bins=_bins(confidence, correct),
    )


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
    generator, shape = np.random.default_rng(SEED), (100, len(confidence))
    draws = (generator.random(shape) < confidence for _ in range(DRAWS // 100))
    return float(np.quantile(np.concatenate([ece(confidence, drawn) for drawn in draws]), level))


def _place(confidence: np.ndarray) -> np.ndarray:
    """Bin of each confidence: (low, high]; 0 goes to the first."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _bins(confidence: np.ndarray, correct: np.ndarray) -> tuple[Bin, ...]:
    place = _place(confidence)
    counts = np.bincount(place, minlength=BINS)
    hits = np.bincount(place, correct, BINS)
    means = np.bincount(place, confidence, BINS) / np.maximum(counts, 1)
    return tuple(
        Bin(
            low=k / BINS, high=(k + 1) / BINS, n=int(n), correct=int(right), confidence=float(mean)
        )
        for k, (n, right, mean) in enumerate(zip(counts, hits, means, strict=True))
    )


def select(confidence: np.ndarray, correct: np.ndarray) -> Selection:
    """Compute the curve of risk against coverage.

    Args:
        confidence: float (N,); at equal confidence, images count as their mean.
        correct: bool (N,).
    """
    n, answered = len(correct), np.arange(1, len(correct) + 1)
    _, group = np.unique(-confidence, return_inverse=True)
    errors = (np.bincount(group, ~correct) / np.bincount(group))[np.sort(group)]
    risk = np.cumsum(errors) / answered
    ideal = np.cumsum(np.sort(~correct)) / answered
    shown = np.unique(np.linspace(1, n, min(POINTS, n)).round().astype(int)) - 1
    kept = max(1, round(KEPT * n))
    mixed = 0 < correct.sum() < n
    return Selection(
        coverage=tuple((answered[shown] / n).tolist()),
        risk=tuple(risk[shown].tolist()),
        ideal=tuple(ideal[shown].tolist()),
        aurc=float(risk.mean()),
        aurc_ideal=float(ideal.mean()),
        error_rate=float(1 - correct.mean()),
        auroc=float(roc_auc_score(correct, confidence)) if mixed else None,
        kept=kept,
        kept_errors=round(float(errors[:kept].sum())),
    )


def families(confusion: np.ndarray, classes: tuple[str, ...], level: float) -> Families:
    """Count the errors within each family of :data:`FAMILIES` that has two classes here.

    Args:
        confusion: int (K, K), images by true class (rows) and prediction.
        classes: their K names.
        level: of the interval, in (0, 1).
    """
    wrong = confusion * (1 - np.eye(len(classes), dtype=int))
    found = []
    for name, members in FAMILIES.items():
        index = [classes.index(member) for member in members if member in classes]
        rows = wrong[index]
        family = Family(
            name=name,
            classes=tuple(classes[i] for i in index),
            errors=int(rows[:, index].sum()),
            expected=float(rows.sum() * (len(index) - 1) / (len(classes) - 1)),
        )
        found += [family] if len(index) > 1 else []
    return Families(families=tuple(found), errors=int(wrong.sum()), level=level)


def label_issues(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
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
