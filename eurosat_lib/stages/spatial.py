"""The final training once more on the spatial split, its evaluation, and both side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.data.loaders import subset
from eurosat_lib.data.spatial import on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.progress import progress
from eurosat_lib.spatial import SpatialEvaluation, SpatialTraining, SplitComparison, compare
from eurosat_lib.stages import openings
from eurosat_lib.stages.cache import may_compute
from eurosat_lib.stages.core import run_stage, scope, standing
from eurosat_lib.stages.final import FINAL, evaluate, final_plan, score_checkpoint
from eurosat_lib.stages.publish import SPATIAL_CHECKPOINT, content_key, publish
from eurosat_lib.stages.withdrawal import withdraw
from eurosat_lib.training import Plan, fit

OTHER_IMAGES = ("synthetic", "split")  # kinds of absence: the run has left the real standard split
SPATIAL_FILES = (SPATIAL_CHECKPOINT, "history_spatial.csv", "metrics_spatial.json")


def train_spatial(config: Config) -> SpatialTraining:
    """Train the final configuration on the spatial split, for as many epochs.

    Nothing of the standard run is touched: the checkpoint is ``best_spatial.ckpt``.

    Raises:
        UserError: there is no spatial split here, or the loss stopped being finite at once.
    """
    cut, plan = _cut(config), spatial_plan(config)
    dataset = load_dataset(cut)
    return run_stage(
        cut,
        SpatialTraining,
        "training.fit",
        FINAL,
        lambda folder: _train(cut, dataset, plan, folder),
        hyperparameters=plan.hyperparameters.model_dump(),
        images=plan.train_limit,
    )


def spatial_plan(config: Config) -> Plan:
    """Return the run's final training, on the images of the spatial split.

    Raises:
        UserError: there is no spatial split here.
    """
    total = len(load_dataset(_cut(config)).train)
    images = min(config.data.train_limit or total, total)
    return replace(final_plan(config)[0], train_limit=images)


def evaluate_spatial(config: Config) -> SpatialEvaluation:
    """Score that checkpoint on the spatial test split, opened once for it; trains first if needed.

    Raises:
        UserError: there is no spatial split here, or the checkpoint is damaged.
    """
    fit = train_spatial(config).fit
    cut = _cut(config)
    known = standing(cut, SpatialEvaluation)
    if known and known.evaluation.epoch == fit.best.epoch:
        return known  # git holds no weights of this training
    scores, origin = score_checkpoint(
        cut, cut.paths.artifacts / SPATIAL_CHECKPOINT, openings.SPATIAL
    )
    result = SpatialEvaluation(evaluation=scores)
    if may_compute():
        publish(cut, result, origin, scope(cut))
    return result


def compare_splits(config: Config) -> SplitComparison:
    """Set the test accuracies on both splits side by side.

    Where there is no spatial split, the result says why, and holds no numbers; what the run had
    published for it is withdrawn if these were other images (the cache keeps it).

    Raises:
        UserError: the standard checkpoint is missing, damaged, or made for another configuration.
    """
    absence = spatial_absence(config)
    if absence:
        found = SplitComparison(absent=absence.kind, reason=absence.reason)
        if absence.kind in OTHER_IMAGES and may_compute():
            withdraw(config, (SpatialTraining.stage, SpatialEvaluation.stage), SPATIAL_FILES)
    else:
        standard, training = evaluate(config), train_spatial(config)
        spatial = evaluate_spatial(config).evaluation
        found = compare(standard, spatial, _common(config), len(training.fit.epochs))
    module, key = "spatial.comparison", content_key(found)
    return run_stage(config, SplitComparison, module, (), lambda _: found, content=key)


def _cut(config: Config) -> Config:
    absence = spatial_absence(config)
    if absence:
        raise UserError(f"no spatial split beside the standard one: {absence.reason}")
    return on_spatial(config)


def _train(config: Config, dataset: EuroSAT, plan: Plan, folder: Path) -> SpatialTraining:
    run_folder = config.paths.runs / SpatialTraining.stage / plan.hyperparameters.name
    total = plan.epochs * (plan.train_limit or 0)
    with progress("Final training, spatial split", total=total, unit="images") as bar:
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
            f"training on the spatial split diverged ({result.diverged})",
            "L’entraînement sur le découpage spatial a divergé\u00a0: choisir un LR plus petit.",
        )
    return SpatialTraining(
        fit=result, planned_epochs=plan.epochs, batch_size=config.data.batch_size
    )


def _common(config: Config) -> int:
    """Count the images that are in both test splits."""
    limit = config.data.test_limit
    splits = [load_dataset(c).test for c in (config, on_spatial(config))]
    first, second = ({s.names[i] for i in subset(len(s), limit)} for s in splits)
    return len(first & second)
