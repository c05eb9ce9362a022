"""Publish results to a run's folders, under the names that the course fixes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from eurosat_lib import grid, lr_finder
from eurosat_lib.checks import Overfit, ShuffledLabels
from eurosat_lib.config import Config, override, save_config_snapshot
from eurosat_lib.data.audit import Overlaps
from eurosat_lib.evaluation import Evaluation, Predictions
from eurosat_lib.evaluation.predictions import FILE as PREDICTIONS
from eurosat_lib.recipe import Recipes
from eurosat_lib.record import Record
from eurosat_lib.spatial import SpatialEvaluation, SpatialTraining
from eurosat_lib.stages import events, files
from eurosat_lib.stages.events import content_key
from eurosat_lib.stages.sealed import copy_kept, is_there, keep_sealed
from eurosat_lib.tracking import keep_only, training_series, write_run
from eurosat_lib.training.final import Training
from eurosat_lib.training.records import Fit

R = TypeVar("R", bound=Record)
SPATIAL_CHECKPOINT = "best_spatial.ckpt"
TRIALS_CSV = {
    "grid_search": "grid_search_results.csv",
    "refined_grid_search": "refined_grid_search_results.csv",
    "compare_finalists": "finalists.csv",
}


def publish(config: Config, result: Record, provenance: dict, scope: dict) -> None:
    """Write a result with the configuration it was asked for, its facts, and its stage's files."""
    keep_sealed(config, result)
    settings = config.model_dump(mode="json", exclude={"paths": {"root"}})
    tree = {"scope": scope, "provenance": provenance, "config": settings}
    tree |= {"result": result.model_dump(mode="json")}
    files.write_json(result_path(config, result.stage), tree)
    facts = config.paths.artifacts / "facts.json"
    with files.locked(facts.with_name(".facts.lock")):
        files.write_json(facts, (files.read_json(facts) or {}) | {result.stage: result.facts()})
    if isinstance(result, Overlaps):
        _overlaps(config, result)
    elif isinstance(result, lr_finder.LRFinder):
        _lr_finder(config, result)
    elif isinstance(result, grid.GridSearch):
        _trials(config, result.stage, result.trials, result.seeds)
    elif isinstance(result, grid.Finalists):
        fits = [fit for finalist in result.finalists for fit in finalist.again.fits]
        _trials(config, result.stage, fits, len(result.leader.fits))
    elif isinstance(result, Training):
        _training(config, result, config.paths.stages / provenance["folder"])
    elif isinstance(result, Evaluation):
        _evaluation(config, result)
    elif isinstance(result, SpatialTraining):
        _spatial_training(config, result, config.paths.stages / provenance["folder"])
    elif isinstance(result, SpatialEvaluation):
        _spatial_evaluation(config, result)
    elif isinstance(result, Recipes):
        _recipes(config, result)
    elif isinstance(result, Overfit):
        events.overfit(config.paths.runs / result.stage, result)
    elif isinstance(result, ShuffledLabels):
        events.shuffled(config.paths.runs / result.stage, result)


def result_path(config: Config, stage: str) -> Path:
    """Return the place of a stage's published result."""
    return config.paths.artifacts / "results" / f"{stage}.json"


def published(config: Config, kind: type[R], scope: dict[str, Any]) -> R | None:
    """Load the published result of a stage; ``None`` if there is none for this scope."""
    tree = files.read_json(result_path(config, kind.stage))
    if not tree or tree.get("scope") != scope:
        return None
    try:
        return kind.model_validate(tree["result"])
    except (ValidationError, KeyError):
        return None


def trials(config: Config, stage: str, fits: Sequence[Fit]) -> None:
    """Write the rows of the trials finished so far."""
    files.write_csv(config.paths.artifacts / TRIALS_CSV[stage], grid.csv_rows(fits))


def fit_run(config: Config, stage: str, fit: Fit, name: str = "") -> None:
    """Write the TensorBoard run of a finished training, with its hyperparameters and metrics."""
    write_run(
        config.paths.runs / stage / (name or fit.hyperparameters.name),
        content_key(fit),
        training_series(record.model_dump() for record in fit.epochs),
        hparams=fit.hyperparameters.model_dump() | {"seed": fit.seed},
        metrics={
            "hparam/score": fit.score,
            "hparam/best_val_accuracy": fit.best.val_accuracy if fit.epochs else 0.0,
        },
        seconds=dict(enumerate(accumulate(record.seconds for record in fit.epochs), start=1)),
    )


def _overlaps(config: Config, result: Overlaps) -> None:
    path = config.paths.artifacts / "overlaps.csv"
    if result.pairs:
        files.write_csv(path, result.csv_rows())
    else:
        path.unlink(missing_ok=True)


def _lr_finder(config: Config, result: lr_finder.LRFinder) -> None:
    files.write_csv(config.paths.artifacts / "lr_finder.csv", lr_finder.csv_rows(result))
    events.sweeps(config.paths.runs / "lr_finder", result)


def _trials(config: Config, stage: str, fits: Sequence[Fit], seeds: int) -> None:
    trials(config, stage, fits)
    named = {grid.run_name(fit, seeds): fit for fit in fits}
    keep_only(config.paths.runs / stage, named)
    for name, fit in named.items():
        fit_run(config, stage, fit, name)


def _training(config: Config, result: Training, folder: Path) -> None:
    artifacts, hyper = config.paths.artifacts, result.fit.hyperparameters
    files.write_csv(
        artifacts / "history.csv", [record.model_dump() for record in result.fit.epochs]
    )
    copy_kept(config, folder / "best.ckpt", artifacts / "best.ckpt")
    keep_only(config.paths.runs / result.stage, [hyper.name])
    fit_run(config, result.stage, result.fit)
    chosen = override(config, {f"train.{k}": v for k, v in hyper.model_dump().items()})
    for place in (artifacts, config.paths.runs / result.stage / hyper.name):
        save_config_snapshot(chosen, place)


def _spatial_training(config: Config, result: SpatialTraining, folder: Path) -> None:
    artifacts, name = config.paths.artifacts, result.fit.hyperparameters.name
    rows = [record.model_dump() for record in result.fit.epochs]
    files.write_csv(artifacts / "history_spatial.csv", rows)
    copy_kept(config, folder / "best.ckpt", artifacts / SPATIAL_CHECKPOINT)
    keep_only(config.paths.runs / result.stage, [name])
    fit_run(config, result.stage, result.fit)
    save_config_snapshot(config, config.paths.runs / result.stage / name)


def _spatial_evaluation(config: Config, result: SpatialEvaluation) -> None:
    files.write_json(config.paths.artifacts / "metrics_spatial.json", result.facts())


def _recipes(config: Config, result: Recipes) -> None:
    rows = [
        {"recipe": result.name, "seed": run.fit.seed} | record.model_dump()
        for run in result.runs
        for record in run.fit.epochs
    ]
    files.write_csv(config.paths.artifacts / "recipe.csv", rows)


def _evaluation(config: Config, result: Evaluation) -> None:
    artifacts = config.paths.artifacts
    metrics = result.facts() | {"per_class": result.class_facts()}
    files.write_json(artifacts / "metrics.json", metrics)
    folder, target = config.paths.stages / result.stored, artifacts / "predictions.csv"
    if config.paths.sealed and target.is_file():
        return  # another machine's logits may answer otherwise
    if is_there(config, folder / PREDICTIONS):
        files.write_csv(target, list(Predictions.load(folder).rows(result.classes)))
