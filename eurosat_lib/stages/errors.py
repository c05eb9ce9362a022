"""Stages that look into the errors of the evaluated checkpoint, without opening the test again."""

from __future__ import annotations

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import (
    Errors,
    Explanations,
    Robustness,
    analyse,
    explain,
    measure,
    open_checkpoint,
)
from eurosat_lib.stages.core import run_stage
from eurosat_lib.stages.final import SCORING, checkpoint_path, score_checkpoint
from eurosat_lib.stages.logits import kept_predictions


def analyse_errors(config: Config) -> Errors:
    """Analyse the predictions that the evaluation kept: calibration, risk, doubtful labels.

    Raises:
        UserError: the checkpoint cannot be evaluated.
    """
    evaluation, _ = score_checkpoint(config, checkpoint_path(config))
    digest, level = evaluation.checkpoint_sha256, config.evaluate.confidence
    return run_stage(
        config,
        Errors,
        "evaluation.errors",
        SCORING,
        lambda _: analyse(kept_predictions(config, evaluation), evaluation.classes, level, digest),
        checkpoint=digest,
    )


def measure_robustness(config: Config) -> Robustness:
    """Turn, mirror and corrupt validation images, and count the answers that change.

    Raises:
        UserError: the checkpoint cannot be evaluated.
    """
    dataset, path = load_dataset(config), checkpoint_path(config)
    digest = score_checkpoint(config, path)[0].checkpoint_sha256

    def compute(_: object) -> Robustness:
        model, _, runtime = open_checkpoint(config, dataset, path)
        return measure(config, dataset, model, runtime, digest)

    return run_stage(
        config,
        Robustness,
        "evaluation.robustness",
        (*SCORING, "evaluate.robustness_images"),
        compute,
        checkpoint=digest,
    )


def explain_predictions(config: Config) -> Explanations:
    """Map the evidence of right and wrong answers on validation images (Grad-CAM).

    Raises:
        UserError: the checkpoint cannot be evaluated.
    """
    dataset, path = load_dataset(config), checkpoint_path(config)
    evaluation, _ = score_checkpoint(config, path)
    digest = evaluation.checkpoint_sha256

    def compute(_: object) -> Explanations:
        model, _, _ = open_checkpoint(config, dataset, path)
        return explain(config, dataset, model, kept_predictions(config, evaluation), digest)

    return run_stage(
        config, Explanations, "evaluation.gradcam", SCORING, compute, checkpoint=digest
    )
