"""Scores of a checkpoint, its predictions, its calibration; the test is opened once for each."""

from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss

from eurosat_lib.checkpoint import describe_task, load_checkpoint
from eurosat_lib.classifier import Classifier
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.errors import UserError
from eurosat_lib.files import replacing
from eurosat_lib.loaders import subset
from eurosat_lib.model import count_parameters
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Record, Values
from eurosat_lib.stats import Bounds, class_scores, mean_interval, newcombe, wilson
from eurosat_lib.train import Hyperparameters
from eurosat_lib.transforms import SymmetricAverage

FILE = "predictions.npz"  # in the folder of the stage
BINS = 15  # of confidence, of equal width, as in Guo et al. 2017, arXiv:1706.04599
TEMPERATURES = (0.05, 20.0)  # tried
WORST, CASE = 12, ["name", "truth", "prediction", "confidence"]  # errors shown, what of each
# What a checkpoint holds beside its weights.
NEEDED = dict(task=dict, hyperparameters=dict, data_fingerprint=str, epoch=int, seed=int)


@dataclass(frozen=True)
class Predictions:
    """What a network says of the N test and M validation images, in file order."""

    names: np.ndarray  # str (N,), files of the test images
    labels: np.ndarray  # int64 (N,), true classes
    logits: np.ndarray  # float32 (N, K)
    val_labels: np.ndarray  # int64 (M,)
    val_logits: np.ndarray  # float32 (M, K)

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """Softmax of the test logits divided by a temperature, float64 (N, K)."""
        return softmax(self.logits.astype(np.float64) / temperature, axis=1)

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
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, folder: Path) -> "Predictions":
        """Read the arrays of a folder; UserError if the file is missing or damaged."""
        path = folder / FILE
        try:
            with np.load(path) as arrays:
                return cls(**arrays)
        except Exception as error:  # NumPy raises whatever it meets
            kind = f"missing or damaged ({type(error).__name__})"
            raise UserError(f"{path}: {kind}; delete its folder, evaluate again") from None

    def table(self, classes: tuple[str, ...]) -> pd.DataFrame:
        """Lay out the columns of ``predictions.csv``, one row per test image."""
        names, shares, each = np.array(classes), self.probabilities(), np.arange(len(self.labels))
        columns = {"name": self.names, "truth": names[self.labels]}
        columns |= {"prediction": names[self.predicted]}
        columns |= {"correct": (self.predicted == self.labels).astype(int)}
        columns |= {"confidence": shares[each, self.predicted]}
        columns |= {"probability_of_truth": shares[each, self.labels]}
        return pd.DataFrame(columns).join(pd.DataFrame(shares, columns=names).add_prefix("p_"))


class Evaluation(Record, stage="evaluate"):
    """Scores of one checkpoint on validation and test."""

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
    macro_f1: float
    macro_f1_interval: Bounds
    per_class: list[Values]  # see stats.class_scores
    confusion: list[list[int]]  # rows: truth, columns: prediction
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
        return wilson(self.correct, self.n)

    @property
    def gap_interval(self) -> Bounds:
        """Interval of test minus validation accuracy (Newcombe 1998, method 10)."""
        return newcombe(self.correct, self.n, self.correct_validation, self.n_validation)

    def confusions(self) -> list[tuple[str, str, int]]:
        """List (truth, prediction, images) of the errors, the most frequent first."""
        names, pairs = self.classes, permutations(range(len(self.classes)), 2)
        found = [(names[i], names[j], self.confusion[i][j]) for i, j in pairs]
        return sorted((one for one in found if one[2]), key=lambda one: -one[2])

    def facts(self) -> dict:
        """Return the scores; matrix and per-class table stay out."""
        (low, high), (gap_low, gap_high) = self.interval, self.gap_interval
        found = self.model_dump(mode="json", exclude={"confusion", "per_class", "stored"})
        found |= {"accuracy": self.accuracy, "low": low, "high": high}
        found |= {"val_accuracy": self.val_accuracy, "gap": self.accuracy - self.val_accuracy}
        found |= {"gap_low": gap_low, "gap_high": gap_high}
        for end, pick in (("worst", min), ("best", max)):
            held = [one for one in self.per_class if one["support"]]  # as in the macro-F1
            score = pick(one["f1"] for one in held)
            names = [one["name"] for one in held if one["f1"] == score]
            found |= {f"{end}_class": ", ".join(names), f"{end}_f1": score}
        return found

    def files(self) -> dict[str, Any]:
        """Publish the facts and the scores of each class in ``metrics.json``, of its split."""
        name = self.stage.replace("evaluate", "metrics")
        return {f"{name}.json": self.facts() | {"per_class": self.per_class}}


class SpatialEvaluation(Evaluation, stage="evaluate_spatial"):
    """Scores of the spatial training's checkpoint on the spatial splits."""


class Errors(Record, stage="analyse_errors"):
    """The errors of one checkpoint on the test split, from its kept predictions.

    ``before`` and ``after`` a division of the logits by the temperature: see :func:`reliability`.
    """

    temperature: float  # fitted on validation
    before: Values
    after: Values
    worst: tuple[dict[str, Any], ...]  # the surest first

    def facts(self) -> dict:
        """Return what the text says of the calibration."""
        own = ("ece", "excess", "excess_interval")
        before = {f"{name}_before": self.before[name] for name in own}
        return before | {"ece_after": self.after["ece"], "temperature": self.temperature}


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean log loss, in nats, of logits (N, K) divided by a temperature."""
    scores = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())


def evaluate_checkpoint(
    config: Config, dataset: EuroSAT, path: Path, digest: str, folder: Path
) -> Evaluation:
    """Score a checkpoint, of this SHA-256, on test and validation; predictions go to a folder."""
    network, content = open_checkpoint(config, dataset, path)
    own, data, test = config.evaluate, config.data, dataset.test
    if own.views > 1:
        network = replace(network, model=SymmetricAverage(network.model))
    arrays = [np.array(test.names)[subset(len(test), data.test_limit)]]
    for split, limit in ((test, data.test_limit), (dataset.validation, data.validation_limit)):
        index = subset(len(split), limit)
        arrays += [split.labels[index], network.logits(split.images[index])]
    found = Predictions(*arrays)
    found.save(folder)
    return Evaluation(
        checkpoint=path.name,
        checkpoint_sha256=digest,
        **{key: content[key] for key in ("hyperparameters", "epoch", "seed")},
        parameters=count_parameters(network.model),
        classes=dataset.classes,
        n=len(found.labels),
        correct=(found.predicted == found.labels).sum(),
        n_validation=len(found.val_labels),
        correct_validation=found.right_on_validation.sum(),
        loss=nll(found.logits, found.labels),
        loss_validation=nll(found.val_logits, found.val_labels),
        **class_scores(found.labels, found.predicted, dataset.classes),
        stored=folder.name,
    )


def right_on_validation(config: Config, dataset: EuroSAT, path: Path) -> np.ndarray:
    """Tell which validation images a checkpoint gets right, bool (M,); test stays closed."""
    network, split = open_checkpoint(config, dataset, path)[0], dataset.validation
    index = subset(len(split), config.data.validation_limit)
    return network.logits(split.images[index]).argmax(1) == split.labels[index]


def open_checkpoint(config: Config, dataset: EuroSAT, path: Path) -> tuple[Classifier, dict]:
    """Load network and content of a checkpoint; UserError if it fits not configuration or data."""
    content = load_checkpoint(path)
    missing = [name for name, kind in NEEDED.items() if not isinstance(content.get(name), kind)]
    if missing:
        raise UserError(f"{path}: incomplete checkpoint, without {', '.join(missing)}")
    there = content["task"] | {"images": content["data_fingerprint"][:12]}
    here = describe_task(config, dataset.classes) | {"images": dataset.fingerprint[:12]}
    others = [name for name in here if there.get(name) != here[name]]
    if others:
        said = "; ".join(f"{one} is {there.get(one)} there and {here[one]} here" for one in others)
        raise UserError(f"{path}: trained on other images or settings: {said}")
    return Classifier.load(path, Runtime.of(config), config.data.batch_size), content


def analyse(found: Predictions, own: Evaluation) -> Errors:
    """Analyse the kept predictions of an evaluation; no image is looked at again."""
    temperature = fit_temperature(found.val_logits, found.val_labels)
    wrong = found.table(own.classes).query("correct == 0")
    worst = wrong.sort_values("confidence", ascending=False, kind="stable")[CASE].head(WORST)
    return Errors(
        temperature=temperature,
        before=reliability(found.probabilities(), found.labels),
        after=reliability(found.probabilities(temperature), found.labels),
        worst=worst.to_dict("records"),
    )


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Measure the calibration of probabilities (N, K): log loss, Brier score (in [0, 2]).

    Of the most probable class: ``excess``, mean confidence - accuracy, and its interval; ``bins``
    of confidence, (low, high], those with images: place, images, right answers, mean confidence;
    ``ece``, the mean gap of confidence and accuracy per bin, weighed by its images.
    """
    of_truth = probabilities[np.arange(len(labels)), labels]
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    excess, classes = confidence - correct, range(probabilities.shape[1])
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    images, right = (np.bincount(one, minlength=BINS) for one in (place, place[correct]))
    means = np.bincount(place, confidence, BINS) / np.maximum(images, 1)
    bins = pd.DataFrame({"n": images, "correct": right, "confidence": means})
    return {
        "nll": float(-np.log(of_truth.clip(1e-300)).mean()),
        "brier": brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False),
        "ece": float(np.abs(excess @ np.eye(BINS)[place]).sum() / len(labels)),
        "excess": float(excess.mean()),
        "excess_interval": mean_interval(excess),
        "bins": bins[bins["n"] > 0].rename_axis("place").reset_index().to_dict("records"),
    }


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature of least log loss (Guo et al. 2017), within ``TEMPERATURES``."""

    def loss(log_temperature: float) -> float:
        """Mean negative log-likelihood, in nats."""
        return nll(logits, labels, np.exp(log_temperature))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))
