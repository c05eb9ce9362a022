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
TINY = 1e-300  # probability below which its logarithm is cut
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

    def facts(self) -> dict:
        """Return what the text says; miscalibrated: more than chance gives a calibrated one."""
        own = self.model_dump(include={"ece", "ece_calibrated", "excess", "excess_interval"})
        return own | {"miscalibrated": self.ece > self.ece_calibrated}


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
    within: int  # errors between two classes of one family
    share: float  # of the errors; 0 if there are none
    interval: Bounds  # Wilson's, of this share
    chance: float  # share, if wrong answers fell anywhere; 0 without errors

    def facts(self) -> dict:
        """Return the share, its interval, and what chance would give."""
        low, high = self.interval
        return self.model_dump(exclude={"errors", "interval"}) | {"low": low, "high": high}


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

    def facts(self) -> dict:
        """Return calibration, risk, confusable classes and suspected labels as plain values."""
        own = self.selection
        return {
            **{f"{name}_before": value for name, value in self.before.facts().items()},
            **{f"{name}_after": value for name, value in self.after.facts().items()},
            "n": self.n,
            "errors": self.look_alikes.errors,
            "confidence_level": self.level,
            "temperature": self.temperature,
            "gain": self.before.nll - self.after.nll,
            "gain_interval": self.gain_interval,
            "kept": KEPT,
            "kept_risk": own.kept_errors / own.kept,
            "kept_interval": own.kept_interval(self.level),
            "look_alikes": self.look_alikes.facts(),
            "doubtful": sum(self.doubtful),
            "shown": len(self.worst),
        }


def analyse(found: Predictions, classes: tuple[str, ...], level: float, digest: str) -> Errors:
    """Analyse kept predictions of a checkpoint (its SHA-256); no image is looked at again."""
    temperature = fit_temperature(found.val_logits, found.val_labels)
    plain = found.probabilities
    scaled = softmax(found.logits.astype(np.float64) / temperature, axis=1)
    rows = np.arange(len(found.labels))
    before, after = (np.log(p[rows, found.labels].clip(TINY)) for p in (plain, scaled))
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
        selection=select(plain.max(1), found.right),
        look_alikes=families(matrix, classes, level),
        n=len(found.labels),
        worst=_worst(found, plain.max(1), issues),
        doubtful=tuple(np.bincount(found.labels[issues], minlength=len(classes)).tolist()),
    )


def _worst(found: Predictions, confidence: np.ndarray, issues: np.ndarray) -> list[ErrorCase]:
    wrong = np.flatnonzero(found.predicted != found.labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    columns = (found.names, found.labels, found.predicted, confidence)
    cases = zip(*(c[order].tolist() for c in columns), np.isin(order, issues), strict=True)
    return [ErrorCase(**dict(zip(ErrorCase.model_fields, case, strict=True))) for case in cases]


def reliability(probabilities: np.ndarray, labels: np.ndarray, level: float) -> Reliability:
    """Measure the calibration of the most probable class of probabilities (N, K)."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    excess, classes = confidence - correct, range(probabilities.shape[1])
    of_truth = probabilities[np.arange(len(labels)), labels]
    place = _place(confidence)
    counts = np.bincount(place, minlength=BINS)
    means = np.bincount(place, confidence, BINS) / np.maximum(counts, 1)
    bins = zip(counts, np.bincount(place, correct, BINS), means, strict=True)
    return Reliability(
        nll=float(-np.log(of_truth.clip(TINY)).mean()),
        brier=float(brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False)),
        ece=float(ece(confidence, correct[None])[0]),
        ece_calibrated=calibrated_ece(confidence, level),
        excess=float(excess.mean()),
        excess_interval=mean_interval(excess, level),
        bins=tuple(
            Bin(low=k / BINS, high=(k + 1) / BINS, n=n, correct=hits, confidence=mean)
            for k, (n, hits, mean) in enumerate(bins)
        ),
    )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature of least log loss (Guo et al. 2017): above 1, it lowers confidence.

    The logits (N, K) are those of images that trained nothing.
    """
    found = minimize_scalar(
        lambda log_t: nll(logits, labels, np.exp(log_t)), bounds=np.log(RANGE), method="bounded"
    )
    return float(np.exp(found.x))


def ece(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Expected calibration error: gap of confidence and accuracy per bin, weighed by its images.

    Of a confidence (N,) and M cases of right answers at once, (M, N) -> (M,).
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


def select(confidence: np.ndarray, correct: np.ndarray) -> Selection:
    """Compute the curve of risk against coverage of N images.

    At equal confidence, images count as their mean: their order does not matter.
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
        coverage=(answered[shown] / n).tolist(),
        risk=risk[shown].tolist(),
        ideal=ideal[shown].tolist(),
        aurc=risk.mean(),
        aurc_ideal=ideal.mean(),
        error_rate=1 - correct.mean(),
        auroc=roc_auc_score(correct, confidence) if mixed else None,
        kept=kept,
        kept_errors=round(float(errors[:kept].sum())),
    )


def families(confusion: np.ndarray, classes: tuple[str, ...], level: float) -> Families:
    """Count the errors within each family of :data:`FAMILIES` that has two classes here.

    The confusion matrix (K, K) has a row per true class.
    """
    wrong = confusion * (1 - np.eye(len(classes), dtype=int))
    found, total = [], int(wrong.sum())
    for name, members in FAMILIES.items():
        index = [classes.index(member) for member in members if member in classes]
        if len(index) > 1:
            rows = wrong[index]
            family = Family(
                name=name,
                classes=tuple(classes[i] for i in index),
                errors=rows[:, index].sum(),
                expected=rows.sum() * (len(index) - 1) / (len(classes) - 1),
            )
            found.append(family)
    within = sum(family.errors for family in found)
    return Families(
        families=tuple(found),
        errors=total,
        within=within,
        share=within / max(total, 1),
        interval=wilson(within, total, level),
        chance=sum(family.expected for family in found) / max(total, 1),
    )


def label_issues(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Find labels that confident learning suspects (Northcutt et al. 2021, arXiv:1911.00068).

    From probabilities (N, K) of a network that was not trained on these images; returns their
    positions, the least plausible label first.
    """
    from cleanlab.filter import find_label_issues  # slow to import

    present = np.unique(labels)  # every class must have an image
    shares = probabilities[:, present]
    shares = shares / shares.sum(1, keepdims=True).clip(TINY)
    options = {"return_indices_ranked_by": "self_confidence", "n_jobs": 1}
    found = find_label_issues(np.searchsorted(present, labels), shares, **options)
    return np.asarray(found, dtype=np.int64)
