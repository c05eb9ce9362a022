"""Scores of a checkpoint: the test split is opened once for each, and all images count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import make_loader, subset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation.calibration import nll
from eurosat_lib.evaluation.predictions import Predictions
from eurosat_lib.evaluation.result import Evaluation
from eurosat_lib.evaluation.scores import class_scores
from eurosat_lib.model import DilatedCNN, count_parameters
from eurosat_lib.runtime import Runtime
from eurosat_lib.training.checkpoint import check_task, describe_task, load_checkpoint
from eurosat_lib.training.records import Hyperparameters
from eurosat_lib.training.steps import predict


def evaluate_checkpoint(
    config: Config,
    dataset: EuroSAT,
    path: Path,
    digest: str,
    folder: Path | None = None,
    see: Callable[[nn.Module], nn.Module] = lambda model: model,
) -> Evaluation:
    """Score a checkpoint on all test images, and on validation for the comparison.

    Args:
        config: sizes, preprocessing, device.
        dataset: its test and validation splits are used.
        path: checkpoint written by a training of this project.
        digest: SHA-256 of the file.
        folder: keeps the predictions of each image; ``None``: they are not kept.
        see: wraps the network in the way it looks at an image, for instance in several views.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    model, content, runtime = open_checkpoint(config, dataset, path)
    found = _predict(config, dataset, see(model), runtime)
    if folder:
        found.save(folder)
    return Evaluation(
        checkpoint=path.name,
        checkpoint_sha256=digest,
        hyperparameters=Hyperparameters(**content["hyperparameters"]),
        epoch=content["epoch"],
        seed=content["seed"],
        parameters=count_parameters(model),
        **_scores(found, dataset.classes, config.evaluate.confidence),
        stored=folder.name if folder else "",
    )


def _scores(found: Predictions, classes: tuple[str, ...], level: float) -> dict[str, Any]:
    return {
        "classes": classes,
        "n": len(found.labels),
        "correct": int((found.predicted == found.labels).sum()),
        "n_validation": len(found.val_labels),
        "correct_validation": int((found.val_logits.argmax(1) == found.val_labels).sum()),
        "loss": nll(found.logits, found.labels),
        "loss_validation": nll(found.val_logits, found.val_labels),
        "confidence_level": level,
        **class_scores(found.labels, found.predicted, classes, level),
    }


def open_checkpoint(
    config: Config, dataset: EuroSAT, path: Path
) -> tuple[DilatedCNN, dict, Runtime]:
    """Load a checkpoint that fits the configuration and the data, its network on the device.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    content, runtime = load_checkpoint(path), Runtime.of(config)
    _check(config, dataset, path, content)
    return load_model(config, content, runtime, str(path)), content, runtime


def _predict(config: Config, dataset: EuroSAT, model: nn.Module, runtime: Runtime) -> Predictions:
    arrays = []
    for split, limit in (
        (dataset.test, config.data.test_limit),
        (dataset.validation, config.data.validation_limit),
    ):
        logits, labels = predict(model, make_loader(config, split, limit), runtime)
        names = [split.names[i] for i in subset(len(split.labels), limit)]
        arrays += [np.array(names), labels.numpy(), logits.numpy()]
    return Predictions(*arrays)


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
