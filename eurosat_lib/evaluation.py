"""Scores of a checkpoint: the test split is opened once for each, and all images count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
from scipy.special import log_softmax, softmax

from eurosat_lib.checkpoint import check_task, describe_task, load_checkpoint
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.errors import UserError
from eurosat_lib.files import replacing
from eurosat_lib.loaders import make_loader, subset
from eurosat_lib.model import DilatedCNN, count_parameters
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Record
from eurosat_lib.stats import Bounds, ClassScore, class_scores, newcombe, wilson
from eurosat_lib.train import Hyperparameters, predict
from eurosat_lib.transforms import SymmetricAverage

FILE = "predictions.npz"  # in the folder of the stage
DIGITS = 6  # of a probability in the CSV file
# What NumPy raises for a file that is missing, empty, cut short or overwritten.
DAMAGE = (OSError, EOFError, ValueError, KeyError, BadZipFile, NotImplementedError)


@dataclass(frozen=True)
class Predictions:
    """What a network says of the N test and M validation images, in file order."""

    names: np.ndarray  # str (N,), files of the test images
    labels: np.ndarray  # int64 (N,), true classes
    logits: np.ndarray  # float32 (N, K)
    val_names: np.ndarray  # str (M,)
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
    def right(self) -> np.ndarray:
        """Whether the network is right, for each test image, bool (N,)."""
        return self.predicted == self.labels

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

    def rows(self, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Give one row per test image, for ``predictions.csv``."""
        columns = (self.names, self.labels, self.predicted, self.probabilities.round(DIGITS))
        for name, truth, guess, shares in zip(*(c.tolist() for c in columns), strict=True):
            yield {
                "name": name,
                "truth": classes[truth],
                "prediction": classes[guess],
                "correct": int(truth == guess),
                "confidence": shares[guess],
                "probability_of_truth": shares[truth],
                **{f"p_{c}": share for c, share in zip(classes, shares, strict=True)},
            }


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
            "errors": self.n - self.correct,
            "worst_class": worst.name,
            "worst_f1": worst.f1,
            "best_class": best.name,
            "best_f1": best.f1,
            "confusions": self.confusions()[:5],
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


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean log loss, in nats, of logits (N, K) divided by a temperature."""
    scores = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())


def evaluate_checkpoint(
    config: Config, dataset: EuroSAT, path: Path, digest: str, folder: Path | None = None
) -> Evaluation:
    """Score a checkpoint on all test images, and on validation for the comparison.

    The folder keeps the predictions of each image; the digest is the SHA-256 of the file.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    model, content, runtime = open_checkpoint(config, dataset, path)
    seen, arrays = SymmetricAverage(model) if config.evaluate.views > 1 else model, []
    for split, limit in (
        (dataset.test, config.data.test_limit),
        (dataset.validation, config.data.validation_limit),
    ):
        logits, labels = predict(seen, make_loader(config, split, limit), runtime)
        names = [split.names[i] for i in subset(len(split.labels), limit)]
        arrays += [np.array(names), labels.numpy(), logits.numpy()]
    found, level = Predictions(*arrays), config.evaluate.confidence
    if folder:
        found.save(folder)
    return Evaluation(
        checkpoint=path.name,
        checkpoint_sha256=digest,
        **{key: content[key] for key in ("hyperparameters", "epoch", "seed")},
        parameters=count_parameters(model),
        classes=dataset.classes,
        n=len(found.labels),
        correct=int(found.right.sum()),
        n_validation=len(found.val_labels),
        correct_validation=int(found.right_on_validation.sum()),
        loss=nll(found.logits, found.labels),
        loss_validation=nll(found.val_logits, found.val_labels),
        confidence_level=level,
        **class_scores(found.labels, found.predicted, dataset.classes, level),
        stored=folder.name if folder else "",
    )


def right_on_validation(config: Config, dataset: EuroSAT, path: Path) -> np.ndarray:
    """Tell which validation images a checkpoint gets right, bool (M,); test stays closed.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    model, _, runtime = open_checkpoint(config, dataset, path)
    loader = make_loader(config, dataset.validation, config.data.validation_limit)
    logits, labels = predict(model, loader, runtime)
    return (logits.argmax(1) == labels).numpy()


def open_checkpoint(
    config: Config, dataset: EuroSAT, path: Path
) -> tuple[DilatedCNN, dict, Runtime]:
    """Load a checkpoint that fits the configuration and the data, its network on the device.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    content, runtime = load_checkpoint(path), Runtime.of(config)
    check_task(path, content, describe_task(config, dataset.classes))
    missing = {"model", "hyperparameters", "data_fingerprint", "epoch", "seed"} - set(content)
    if missing:
        raise UserError(f"{path}: incomplete checkpoint, without {', '.join(sorted(missing))}")
    there, here = str(content["data_fingerprint"])[:12], dataset.fingerprint[:12]
    if there != here:
        raise UserError(f"{path}: trained on other images: data {there} there and {here} here")
    try:
        point = Hyperparameters(**content["hyperparameters"])
        shape = (config.model.channels, point.blocks_per_stage, point.dilation_stage3)
        model = DilatedCNN(*shape)
        model.load_state_dict(content["model"])
    except Exception as error:  # whatever a damaged field leads to
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: its weights do not fit the network it names: {reason}") from None
    return runtime.place(model).eval(), content, runtime
