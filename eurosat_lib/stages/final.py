"""Final stages: the full training, and the evaluation of its checkpoint on the test split."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.errors import UserError, explained
from eurosat_lib.evaluation import Evaluation, evaluate_checkpoint
from eurosat_lib.grid import Grid, RefinedGrid
from eurosat_lib.progress import progress
from eurosat_lib.recipe import evaluate_views
from eurosat_lib.stages import openings
from eurosat_lib.stages.cache import may_compute
from eurosat_lib.stages.core import (
    FITTING,
    IMAGES,
    fallback_point,
    keep_stage,
    latest,
    run_stage,
    scope,
)
from eurosat_lib.stages.finalists import current_finalists
from eurosat_lib.stages.publish import publish
from eurosat_lib.training import Plan, fit
from eurosat_lib.training.checkpoint import load_checkpoint, sha256
from eurosat_lib.training.final import Training, choose_hyperparameters

FINAL = (*FITTING, "train.max_epochs", "train.max_steps")
SCORING = (
    *IMAGES,
    "data.batch_size",
    "data.validation_limit",
    "data.test_limit",
    "model.channels",
    "evaluate.confidence",
)


def train(config: Config) -> Training:
    """Train the final network and keep the checkpoint of its best validation accuracy.

    Raises:
        UserError: the loss stopped being finite in the first epoch.
    """
    dataset = load_dataset(config)
    plan, origin = final_plan(config)
    return run_stage(
        config,
        Training,
        "training.fit",
        FINAL,
        lambda folder: _train(config, dataset, plan, origin, folder),
        labels={"origin": origin},
        hyperparameters=plan.hyperparameters.model_dump(),
        images=plan.train_limit,
    )


def final_plan(config: Config) -> tuple[Plan, dict[str, str]]:
    """Return what the final training trains, and where each hyperparameter comes from."""
    found = (latest(config, Grid), latest(config, RefinedGrid))
    finalists = current_finalists(config)
    searches = [(search.stage, search.best) for search in found if search]
    if finalists:
        searches = [(finalists.stage, finalists.leader)]
    hyper, origin = choose_hyperparameters(config, fallback_point(config), searches)
    settings, total = config.train, len(load_dataset(config).train.labels)
    images = min(config.data.train_limit or total, total)
    return Plan(hyper, settings.max_epochs, images, settings.max_steps, keep_best=True), origin


def _train(
    config: Config, dataset: EuroSAT, plan: Plan, origin: dict[str, str], folder: Path
) -> Training:
    run_folder = config.paths.runs / Training.stage / plan.hyperparameters.name
    total = plan.epochs * (plan.train_limit or 0)
    with progress("Final training", total=total, unit="images") as bar:
        result = fit(
            config,
            dataset,
            plan,
            folder,
            run_folder,
            on_batch=bar.advance,
            on_epoch=lambda e: bar.advance(0, f"epoch {e.epoch}, val {e.val_accuracy:.1%}"),
        )
    if not result.epochs:
        raise UserError(
            f"final training diverged ({result.diverged}); lower train.lr",
            "L’entraînement final a divergé dès la première époque\u00a0: choisir un LR plus "
            "petit (paramètre lr du notebook 06_train).",
        )
    return Training(
        fit=result,
        origin=origin,
        planned_epochs=plan.epochs,
        batch_size=config.data.batch_size,
        max_steps=plan.max_steps,
    )


def evaluate(config: Config) -> Evaluation:
    """Score the checkpoint on the test split; each checkpoint opens it once.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    result, origin = score_checkpoint(config, checkpoint_path(config))
    if may_compute():
        publish(config, result, origin, scope(config))
    return result


def checkpoint_path(config: Config) -> Path:
    """Return the checkpoint to evaluate: the one that the configuration names, or the run's."""
    path = Path(config.evaluate.checkpoint or config.paths.artifacts / "best.ckpt").expanduser()
    return path if path.is_absolute() else Path(config.paths.root) / path


def train_if_missing(config: Config) -> Training | None:
    """Train if there is no checkpoint to evaluate; ``None`` if there is, or one is named.

    Raises:
        UserError: the loss stopped being finite in the first epoch.
    """
    if config.evaluate.checkpoint or checkpoint_path(config).is_file():
        return None
    return train(config)


def score_checkpoint(
    config: Config,
    path: Path,
    role: str = openings.FINAL,
    symmetries: bool = False,
    label: str = "",
) -> tuple[Evaluation, dict[str, Any]]:
    """Score any checkpoint on the test split, and note the opening; nothing else is published.

    Args:
        config: sizes, preprocessing, device.
        path: of the checkpoint.
        role: of the checkpoint, one of ``openings``.
        symmetries: average the logits over the 8 symmetries of each image.
        label: what the log calls it; its hyperparameters if not given.

    Returns:
        The scores and their provenance.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    dataset = load_dataset(config)
    score = evaluate_views if symmetries else evaluate_checkpoint
    with explained(_unusable(config, path)):
        load_checkpoint(path)  # refuses a missing or damaged file before anything else
        digest = sha256(path)
        result, origin = keep_stage(
            config,
            Evaluation,
            "recipe.views" if symmetries else "evaluation.checkpoint",
            SCORING,
            lambda folder: score(config, dataset, path, digest, folder),
            checkpoint=digest,
        )
    if may_compute():
        if role == openings.FINAL and config.evaluate.checkpoint:
            role = openings.GIVEN
        openings.log_opening(config, result, origin["started"], role, label)
    return result, origin


def _unusable(config: Config, path: Path) -> str:
    """Say in French what to do about a checkpoint that cannot be evaluated."""
    shown = os.path.relpath(path, config.paths.root)
    if not path.is_file():
        return (
            f"Le checkpoint {shown} n’existe pas\u00a0: exécuter d’abord le notebook 06_train, "
            "qui le produit."
        )
    return (
        f"Le checkpoint {shown} n’est pas utilisable ici\u00a0: relancer le notebook 06_train "
        "avec le profil, les images et les paramètres de ce notebook, ou en indiquer un autre "
        "(paramètre checkpoint)."
    )
