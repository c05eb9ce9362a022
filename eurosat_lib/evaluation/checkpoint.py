"""Evaluation on the test split: opened once per checkpoint, counted over all images."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import make_loader, subset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation.intervals import newcombe, wilson
from eurosat_lib.evaluation.scores import ClassScore, class_scores
from eurosat_lib.model import DilatedCNN, count_parameters
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime
from eurosat_lib.training.checkpoint import check_task, describe_task, load_checkpoint
from eurosat_lib.training.records import Hyperparameters
from eurosat_lib.training.steps import predict


class Prediction(Record):
    """One test image: file name, true and predicted class, probability given to each."""

    name: str
    truth: int
    prediction: int
    confidence: float
    probability_of_truth: float


class Evaluation(Record):
    """Scores of one checkpoint on validation and test."""

    stage: ClassVar[str] = "evaluate"

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
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows: truth, columns: prediction
    predictions: tuple[Prediction, ...]

    @property
    def accuracy(self) -> float:
        """Share of right answers on the test split."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the test accuracy."""
        return wilson(self.correct, self.n, self.confidence_level)

    @property
    def gap_interval(self) -> tuple[float, float]:
        """Interval of test minus validation accuracy (Newcombe 1998, method 10)."""
        return newcombe(
            self.correct, self.n, self.correct_validation, self.n_validation, self.confidence_level
        )

    def confusions(self) -> list[tuple[str, str, int]]:
        """List (truth, prediction, images) of the errors, the most frequent first."""
        matrix = np.array(self.confusion)
        np.fill_diagonal(matrix, 0)
        pairs = [
            (self.classes[i], self.classes[j], int(matrix[i, j]))
            for i, j in zip(*np.nonzero(matrix), strict=True)
        ]
        return sorted(pairs, key=lambda pair: -pair[2])

    def facts(self) -> dict:
        """Return the scores; matrix, predictions and per-class table stay out."""
        low, high = self.interval
        gap_low, gap_high = self.gap_interval
        validation = self.correct_validation / self.n_validation
        worst = min(self.per_class, key=lambda score: score.f1)
        best = max(self.per_class, key=lambda score: score.f1)
        hidden = {"confusion", "predictions", "per_class"}
        return self.model_dump(mode="json", exclude=hidden) | {
            "accuracy": self.accuracy,
            "low": low,
            "high": high,
            "val_accuracy": validation,
            "gap": self.accuracy - validation,
            "gap_low": gap_low,
            "gap_high": gap_high,
            "errors": self.n - self.correct,
            "worst_class": worst.name,
            "worst_f1": worst.f1,
            "best_class": best.name,
            "best_f1": best.f1,
            "confusions": self.confusions()[:5],
        }


def evaluate_checkpoint(config: Config, dataset: EuroSAT, path: Path, digest: str) -> Evaluation:
    """Score a checkpoint on all test images, and on validation for the comparison.

    Args:
        config: sizes, preprocessing, device.
        dataset: its test and validation splits are used.
        path: checkpoint written by a training of this project.
        digest: SHA-256 of the file.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    content, runtime = load_checkpoint(path), Runtime.of(config)
    _check(config, dataset, path, content)
    model = load_model(config, content, runtime, str(path))
    test = make_loader(config, dataset.test, config.data.test_limit)
    logits, labels = predict(model, test, runtime)
    validation = make_loader(config, dataset.validation, config.data.validation_limit)
    val_logits, val_labels = predict(model, validation, runtime)
    kept = subset(len(dataset.test.labels), config.data.test_limit)
    return Evaluation(
        checkpoint=path.name,
        checkpoint_sha256=digest,
        hyperparameters=Hyperparameters(**content["hyperparameters"]),
        epoch=content["epoch"],
        seed=content["seed"],
        parameters=count_parameters(model),
        classes=dataset.classes,
        n=len(labels),
        correct=int((logits.argmax(1) == labels).sum()),
        n_validation=len(val_labels),
        correct_validation=int((val_logits.argmax(1) == val_labels).sum()),
        loss=float(F.cross_entropy(logits.double(), labels)),
        loss_validation=float(F.cross_entropy(val_logits.double(), val_labels)),
        confidence_level=config.evaluate.confidence,
        **class_scores(labels.numpy(), logits.argmax(1).numpy(), dataset.classes),
        predictions=_predictions(logits, labels, [dataset.test.names[i] for i in kept]),
    )


def _check(config: Config, dataset: EuroSAT, path: Path, content: dict) -> None:
    check_task(path, content, describe_task(config, dataset.classes))
    missing = {"model", "hyperparameters", "data_fingerprint", "epoch", "seed"} - set(content)
    if missing:
        raise UserError(f"{path}: incomplete checkpoint, without {', '.join(sorted(missing))}")
    if content["data_fingerprint"] != dataset.fingerprint:
        there, here = content["data_fingerprint"][:12], dataset.fingerprint[:12]
        raise UserError(f"{path}: trained on other images: data {there} there and {here} here")


def load_model(
    config: Config, content: dict, runtime: Runtime, where: str = "checkpoint"
) -> DilatedCNN:
    """Rebuild the network of a checkpoint, in evaluation mode, on the device.

    Args:
        config: widths of the network.
        content: of the checkpoint.
        runtime: device.
        where: names the checkpoint in an error.

    Raises:
        UserError: its weights are not those of the network that it names.
    """
    hyper = content["hyperparameters"]
    model = DilatedCNN(config.model.channels, hyper["blocks_per_stage"], hyper["dilation_stage3"])
    try:
        model.load_state_dict(content["model"])
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"{where}: its weights do not fit the network it names: {reason}"
        ) from None
    return runtime.place(model).eval()


def _predictions(
    logits: torch.Tensor, labels: torch.Tensor, names: list[str]
) -> tuple[Prediction, ...]:
    probabilities = logits.double().softmax(1)
    confidence, predicted = probabilities.max(1)
    truth = probabilities.gather(1, labels[:, None])[:, 0]
    columns = (names, labels.tolist(), predicted.tolist(), confidence.tolist(), truth.tolist())
    return tuple(
        Prediction(name=n, truth=y, prediction=p, confidence=c, probability_of_truth=t)
        for n, y, p, c, t in zip(*columns, strict=True)
    )
