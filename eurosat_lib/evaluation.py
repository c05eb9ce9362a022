"""Scores of a checkpoint, its predictions, its calibration; the test is opened once for each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss

from eurosat_lib.checkpoint import check_task, describe_task, load_checkpoint
from eurosat_lib.classifier import Classifier
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.errors import UserError
from eurosat_lib.files import replacing
from eurosat_lib.loaders import make_loader, subset
from eurosat_lib.model import count_parameters
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Record
from eurosat_lib.stats import Bounds, ClassScore, class_scores, mean_interval, newcombe, wilson
from eurosat_lib.train import Hyperparameters, predict
from eurosat_lib.transforms import SymmetricAverage

FILE = "predictions.npz"  # in the folder of the stage
# What NumPy raises for a file that is missing, empty, cut short or overwritten.
DAMAGE = (OSError, EOFError, ValueError, KeyError, BadZipFile, NotImplementedError)
BINS = 15  # of confidence, of equal width, as in Guo et al. 2017, arXiv:1706.04599
TEMPERATURES = (0.05, 20.0)  # tried
WORST, CASE = 12, ["name", "truth", "prediction", "confidence"]  # errors shown, what of each
TINY = 1e-300  # probability below which its logarithm is cut


@dataclass(frozen=True)
class Predictions:
    """What a network says of the N test and M validation images, in file order."""

    names: np.ndarray  # str (N,), files of the test images
    labels: np.ndarray  # int64 (N,), true classes
    logits: np.ndarray  # float32 (N, K)
    val_labels: np.ndarray  # int64 (M,)
    val_logits: np.ndarray  # float32 (M, K)

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the test logits, float64 (N, K)."""
        return softmax(self.logits.astype(np.float64), axis=1)

    @property
    def predicted(self) -> np.ndarray:
        """Predicted classes of the test images, int64 (N,)."""
        return self.logits.argmax(1)

    @property
    def right_on_validation(self) -> np.ndarray:
        """Whether the network is right, for each validation image, bool (M,)."""
        return self.val_logits.argmax(1) == self.val_labels

    def save(self, folder: Path) -> None:
        """Write all arrays to a folder; the file is whole or absent."""
        with replacing(folder / FILE) as partial, open(partial, "wb") as file:
            np.savez(file, **asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Predictions:
        """Read the arrays of a folder.

        Raises:
            UserError: the file is missing or damaged.
        """
        try:
            with np.load(folder / FILE) as file:
                return cls(**{field.name: file[field.name] for field in fields(cls)})
        except DAMAGE as error:
            kind = type(error).__name__
            raise UserError(
                f"{folder / FILE}: missing or damaged ({kind}); delete its folder, evaluate again"
            ) from None

    def table(self, classes: tuple[str, ...]) -> pd.DataFrame:
        """Lay out the columns of ``predictions.csv``, one row per test image."""
        shares, each = self.probabilities, np.arange(len(self.labels))
        table = pd.DataFrame(
            {
                "name": self.names,
                "truth": np.array(classes)[self.labels],
                "prediction": np.array(classes)[self.predicted],
                "correct": (self.predicted == self.labels).astype(int),
                "confidence": shares[each, self.predicted],
                "probability_of_truth": shares[each, self.labels],
            }
        )
        table[[f"p_{name}" for name in classes]] = shares
        return table


class Evaluation(Record):
    """Scores of one checkpoint on validation and test."""

    stage: ClassVar[str] = "evaluate"
    file: ClassVar[str] = "metrics.json"
    checkpoint: str
    checkpoint_sha256: str
    hyperparameters: Hyperparameters
    epoch: int
    seed: int
    parameters: int
    classes: tuple[str, ...]
    n: int
    correct: int
    n_validation: int
    correct_validation: int
    loss: float  # nats, mean over test images
    loss_validation: float
    confidence_level: float
    macro_f1: float
    macro_f1_interval: Bounds
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows: truth, columns: prediction
    stored: str = ""  # folder of the stages' cache that holds the predictions

    @property
    def accuracy(self) -> float:
        """Share of right answers on the test split."""
        return self.correct / self.n

    @property
    def val_accuracy(self) -> float:
        """Share of right answers on the validation split."""
        return self.correct_validation / self.n_validation

    @property
    def interval(self) -> Bounds:
        """Wilson interval of the test accuracy."""
        return wilson(self.correct, self.n, self.confidence_level)

    @property
    def gap_interval(self) -> Bounds:
        """Interval of test minus validation accuracy (Newcombe 1998, method 10)."""
        counts = (self.correct, self.n, self.correct_validation, self.n_validation)
        return newcombe(*counts, self.confidence_level)

    def confusions(self) -> list[tuple[str, str, int]]:
        """List (truth, prediction, images) of the errors, the most frequent first."""
        names, pairs = self.classes, permutations(range(len(self.classes)), 2)
        found = [(names[i], names[j], self.confusion[i][j]) for i, j in pairs]
        return sorted((one for one in found if one[2]), key=lambda one: -one[2])

    def facts(self) -> dict:
        """Return the scores; matrix and per-class table stay out."""
        (low, high), (gap_low, gap_high) = self.interval, self.gap_interval
        worst, best = (pick(self.per_class, key=lambda one: one.f1) for pick in (min, max))
        hidden = {"confusion", "per_class", "stored"}
        return self.model_dump(mode="json", exclude=hidden) | {
            "accuracy": self.accuracy,
            "low": low,
            "high": high,
            "val_accuracy": self.val_accuracy,
            "gap": self.accuracy - self.val_accuracy,
            "gap_low": gap_low,
            "gap_high": gap_high,
            "worst_class": worst.name,
            "worst_f1": worst.f1,
            "best_class": best.name,
            "best_f1": best.f1,
        }

    def json_files(self) -> dict[str, Any]:
        """Publish the facts and the scores of each class, with their intervals."""
        kinds = ("precision", "recall", "f1")
        rows = [score.model_dump() for score in self.per_class]
        for row, score in zip(rows, self.per_class, strict=True):
            row |= {f"{k}_interval": score.interval(k, self.confidence_level) for k in kinds}
        return {self.file: self.facts() | {"per_class": rows}}


class SpatialEvaluation(Evaluation):
    """Scores of the spatial training's checkpoint on the spatial splits."""

    stage: ClassVar[str] = "evaluate_spatial"
    file: ClassVar[str] = "metrics_spatial.json"


class Reliability(Record):
    """Calibration of one set of probabilities."""

    nll: float  # nats, mean over images
    brier: float  # mean over images of the squared distance to the one-hot label, in [0, 2]
    ece: float  # expected calibration error, in [0, 1]
    excess: float  # mean confidence - accuracy
    excess_interval: Bounds
    # For each bin that has images: its place, from 0, images, right answers, mean confidence.
    bins: tuple[dict[str, Any], ...]


class Errors(Record):
    """The errors of one checkpoint on the test split, from its kept predictions."""

    stage: ClassVar[str] = "analyse_errors"
    level: float
    temperature: float  # fitted on validation
    before: Reliability
    after: Reliability  # probabilities at that temperature
    worst: tuple[dict[str, Any], ...]  # the surest first

    def facts(self) -> dict:
        """Return what the text says of the calibration."""
        return {
            "ece_before": self.before.ece,
            "ece_after": self.after.ece,
            "excess_before": self.before.excess,
            "excess_interval_before": self.before.excess_interval,
            "temperature": self.temperature,
        }


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean log loss, in nats, of logits (N, K) divided by a temperature."""
    scores = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())


def evaluate_checkpoint(
    config: Config, dataset: EuroSAT, path: Path, digest: str, folder: Path
) -> Evaluation:
    """Score a checkpoint on all test images, and on validation for the comparison.

    The folder keeps the predictions of each image; the digest is the SHA-256 of the file.
    """
    network, content = open_checkpoint(config, dataset, path)
    model, arrays = network.model, []
    seen = SymmetricAverage(model) if config.evaluate.views > 1 else model
    for split, limit in (
        (dataset.test, config.data.test_limit),
        (dataset.validation, config.data.validation_limit),
    ):
        logits, labels = predict(seen, make_loader(config, split, limit), network.runtime)
        arrays += [labels.numpy(), logits.numpy()]
    names = np.array(dataset.test.names)[subset(len(dataset.test), config.data.test_limit)]
    found, level = Predictions(names, *arrays), config.evaluate.confidence
    found.save(folder)
    return Evaluation(
        checkpoint=path.name,
        checkpoint_sha256=digest,
        **{key: content[key] for key in ("hyperparameters", "epoch", "seed")},
        parameters=count_parameters(model),
        classes=dataset.classes,
        n=len(found.labels),
        correct=int((found.predicted == found.labels).sum()),
        n_validation=len(found.val_labels),
        correct_validation=int(found.right_on_validation.sum()),
        loss=nll(found.logits, found.labels),
        loss_validation=nll(found.val_logits, found.val_labels),
        confidence_level=level,
        **class_scores(found.labels, found.predicted, dataset.classes, level),
        stored=folder.name,
    )


def right_on_validation(config: Config, dataset: EuroSAT, path: Path) -> np.ndarray:
    """Tell which validation images a checkpoint gets right, bool (M,); test stays closed."""
    network, _ = open_checkpoint(config, dataset, path)
    loader = make_loader(config, dataset.validation, config.data.validation_limit)
    logits, labels = predict(network.model, loader, network.runtime)
    return (logits.argmax(1) == labels).numpy()


def open_checkpoint(config: Config, dataset: EuroSAT, path: Path) -> tuple[Classifier, dict]:
    """Load a checkpoint that fits the configuration and the data: its network, its content.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    content = load_checkpoint(path)
    check_task(path, content, describe_task(config, dataset.classes))
    missing = {"model", "hyperparameters", "data_fingerprint", "epoch", "seed"} - set(content)
    if missing:
        raise UserError(f"{path}: incomplete checkpoint, without {', '.join(sorted(missing))}")
    there, here = str(content["data_fingerprint"])[:12], dataset.fingerprint[:12]
    if there != here:
        raise UserError(f"{path}: trained on other images: data {there} there and {here} here")
    return Classifier.of(path, content, Runtime.of(config), config.data.batch_size), content


def analyse(found: Predictions, own: Evaluation) -> Errors:
    """Analyse the kept predictions of an evaluation; no image is looked at again."""
    temperature, level = fit_temperature(found.val_logits, found.val_labels), own.confidence_level
    plain = found.probabilities
    scaled = softmax(found.logits.astype(np.float64) / temperature, axis=1)
    wrong = found.table(own.classes).query("correct == 0")
    worst = wrong.sort_values("confidence", ascending=False, kind="stable")[CASE].head(WORST)
    return Errors(
        level=level,
        temperature=temperature,
        before=reliability(plain, found.labels, level),
        after=reliability(scaled, found.labels, level),
        worst=worst.to_dict("records"),
    )


def reliability(probabilities: np.ndarray, labels: np.ndarray, level: float) -> Reliability:
    """Measure the calibration of the most probable class of probabilities (N, K).

    The expected calibration error is the gap of confidence and accuracy per bin, weighed by its
    images; a bin is (low, high].
    """
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    excess, classes = confidence - correct, range(probabilities.shape[1])
    of_truth = probabilities[np.arange(len(labels)), labels]
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    images, right = (np.bincount(one, minlength=BINS) for one in (place, place[correct]))
    means = np.bincount(place, confidence, BINS) / np.maximum(images, 1)
    bins = pd.DataFrame({"n": images, "correct": right, "confidence": means})
    return Reliability(
        nll=float(-np.log(of_truth.clip(TINY)).mean()),
        brier=float(brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False)),
        ece=float(np.abs(excess @ np.eye(BINS)[place]).sum() / len(labels)),
        excess=float(excess.mean()),
        excess_interval=mean_interval(excess, level),
        bins=bins[bins["n"] > 0].rename_axis("place").reset_index().to_dict("records"),
    )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature of least log loss (Guo et al. 2017): above 1, it lowers confidence.

    The logits (N, K) are those of images that trained nothing.
    """
    bounds = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log_t: nll(logits, labels, np.exp(log_t)), bounds=bounds, method="bounded"
    )
    return float(np.exp(found.x))
