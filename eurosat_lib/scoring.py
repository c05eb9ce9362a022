"""Checkpoints on the test split: scored once each, every opening noted, predictions kept."""

from __future__ import annotations

import os
from pathlib import Path

from eurosat_lib.checkpoint import load_checkpoint, sha256
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import explained
from eurosat_lib.evaluation import Evaluation, Predictions, evaluate_checkpoint
from eurosat_lib.files import locked, read_csv, write_csv
from eurosat_lib.stages import Code, Kept, keep
from eurosat_lib.train import WEIGHTS
from eurosat_lib.trainings import IMAGES

SCORING = (
    *(*IMAGES, "data.batch_size", "data.validation_limit", "data.test_limit"),
    *("model.channels", "evaluate.confidence", "evaluate.views"),
)
SCORING_ROOMS = ("model", "transforms", "loaders", "stats", "evaluation")


def checkpoint_path(config: Config) -> Path:
    """Return the checkpoint to evaluate: the one that the configuration names, or the run's."""
    path = Path(config.evaluate.checkpoint or config.paths.artifacts / WEIGHTS).expanduser()
    return path if path.is_absolute() else Path(config.paths.root) / path


def score_checkpoint(
    config: Config, path: Path, role: str = "final", label: str = ""
) -> Kept[Evaluation]:
    """Score any checkpoint on the test split, and note the opening; nothing else is published.

    Args:
        config: sizes, preprocessing, device, views.
        path: of the checkpoint.
        role: what it is: the run's own (final), a given one, of a finalist, a further seed, the
            spatial split, a recipe.
        label: what the log calls it; its hyperparameters if not given.
    """
    dataset = load_dataset(config)
    with explained(_unusable(config, path)):
        load_checkpoint(path)  # refuses a missing or damaged file before anything else
        digest = sha256(path)
        kept = keep(
            config,
            Evaluation,
            "evaluate",
            Code(SCORING_ROOMS, SCORING),
            {"checkpoint": digest},
            lambda own, folder: evaluate_checkpoint(own, dataset, path, digest, folder),
        )
    if role == "final" and config.evaluate.checkpoint:
        role = "given"
    log_opening(config, kept, role, label)
    return kept


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


def log_opening(config: Config, kept: Kept[Evaluation], role: str, label: str = "") -> None:
    """Note in ``test_openings.csv`` when the test split was opened for a checkpoint, once each."""
    path, result = config.paths.artifacts / "test_openings.csv", kept.result
    row = {
        "opened": kept.provenance["started"],
        "role": role,
        "checkpoint": result.checkpoint,
        "configuration": label or result.hyperparameters.name,
        "split": config.data.split,
        "views": str(config.evaluate.views),
        "seed": str(result.seed),
        "epoch": str(result.epoch),
        "sha256": result.checkpoint_sha256,
        "images": str(result.n),
    }
    with locked(path.with_name(".test_openings.lock")):
        rows = [{key: old.get(key, "") for key in row} for old in read_csv(path)]
        if row not in rows:
            write_csv(path, [*rows, row])


def kept_predictions(config: Config, found: Evaluation) -> Predictions:
    """Load what the network said of each image when the test split was opened."""
    with explained(
        "Les prédictions gardées manquent ou sont abîmées\u00a0: supprimer le dossier indiqué "
        "ci-dessous, puis réexécuter le notebook 07_eval."
    ):
        return Predictions.load(config.paths.stages / found.stored)
