"""Search stages: the grid, the refined grid, the comparisons of their curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from eurosat_lib import grid
from eurosat_lib.config import Config
from eurosat_lib.config.schema import Grid as GridSettings
from eurosat_lib.config.schema import RefinedGrid as RefinedSettings
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.lr_finder import LRFinder, grid_rates
from eurosat_lib.progress import Bar, progress
from eurosat_lib.stages import cache, publish
from eurosat_lib.stages.core import FITTING, fallback_point, latest, run_stage
from eurosat_lib.training import Fit, Hyperparameters, Plan, fit

S = TypeVar("S", bound=grid.GridSearch)


def grid_search(config: Config) -> grid.Grid:
    """Train every point of the grid for a few epochs; finished trials are not run again."""
    plans, origin = grid_plans(config)
    return _search(config, grid.Grid, plans, origin)


def refined_grid_search(config: Config) -> grid.RefinedGrid:
    """Train a finer grid of learning rate and weight decay around the grid's best point."""
    plans, origin = refined_plans(config)
    return _search(config, grid.RefinedGrid, plans, origin)


def grid_plans(config: Config) -> tuple[list[Plan], str]:
    """List the trials of the grid, and where their learning rates come from."""
    found = latest(config, LRFinder)
    choice = found.choice if found else None
    points = grid.grid_points(config, grid_rates(config, choice))
    origin = "config" if config.grid.lr else "lr_finder" if choice else "fallback"
    return _plans(config, points, config.grid), origin


def refined_plans(config: Config) -> tuple[list[Plan], str]:
    """List the trials of the refined grid, and where its center comes from."""
    found = latest(config, grid.Grid)
    center = found.best.hyperparameters if found else fallback_point(config)
    points = grid.refined_points(config, center)
    origin = "grid_search" if found else "fallback"
    return _plans(config, points, config.refined_grid), origin


def is_kept(config: Config, plan: Plan) -> bool:
    """Tell whether a trial was trained before, in any grid."""
    key = _trial_key(config, load_dataset(config), plan)
    return (cache.stage_folder(config, "trial", key) / "result.json").is_file()


def _plans(
    config: Config,
    points: Sequence[Hyperparameters],
    settings: GridSettings | RefinedSettings,
) -> list[Plan]:
    total = len(load_dataset(config).train.labels)
    images = min(settings.train_limit or config.data.train_limit or total, total)
    return [Plan(point, settings.epochs, images) for point in points]


def compare_curves(config: Config) -> grid.Comparisons:
    """Pick the trials that differ from the best in one factor only, in the grid.

    Without a grid, the refined grid serves: it varies learning rate and weight decay only.

    Raises:
        UserError: there is neither.
    """
    found = latest(config, grid.Grid) or latest(config, grid.RefinedGrid)
    if found is None:
        raise UserError("no grid to compare: run grid_search first (notebook 05_grid)")
    return run_stage(
        config,
        grid.Comparisons,
        "grid.comparisons",
        (),
        lambda _: grid.compare(found),
        source=found.stage,
        trials=[fit.model_dump(mode="json") for fit in found.trials],
    )


def _search(config: Config, kind: type[S], plans: Sequence[Plan], origin: str) -> S:
    dataset = load_dataset(config)
    epochs = plans[0].epochs

    def compute(_: Path) -> S:
        label = kind.stage.replace("_", " ").capitalize()
        total = sum(plan.epochs * (plan.train_limit or 0) for plan in plans)
        with progress(label, total=total, unit="images") as bar:
            fits = grid.run_trials(
                plans,
                lambda plan: run_trial(config, dataset, plan, kind.stage, bar),
                lambda done: publish.trials(config, kind.stage, done),
            )
        if not any(fit.epochs for fit in fits):
            raise UserError(f"{kind.stage}: every trial diverged; lower the learning rates")
        return kind(trials=fits, epochs=epochs, origin=origin)

    keys = [_trial_key(config, dataset, plan) for plan in plans]
    labels = {"origin": origin}
    return run_stage(config, kind, "training.fit", FITTING, compute, labels, trials=keys)


def run_trial(config: Config, dataset: EuroSAT, plan: Plan, stage: str, bar: Bar) -> Fit:
    """Train one point, or load it if it was trained before, in this grid or another."""
    start, name = bar.done, plan.hyperparameters.name
    run_folder = config.paths.runs / stage / name
    count = f"trial {start // (plan.epochs * (plan.train_limit or 1)) + 1}"

    def compute(folder: Path) -> Fit:
        return fit(
            config,
            dataset,
            plan,
            folder,
            run_folder,
            on_batch=lambda images: bar.advance(images, note=f"{count}, {name}"),
        )

    key = _trial_key(config, dataset, plan)
    result, _ = cache.cached(config, Fit, "trial", key, compute)
    expected = plan.epochs * result.train_images
    bar.advance(start + expected - bar.done, note=f"{count}, val {result.score:.1%}")
    publish.fit_run(config, stage, result)
    return result


def _trial_key(config: Config, dataset: EuroSAT, plan: Plan) -> str:
    return cache.stage_key(
        config,
        "trial",
        "eurosat_lib.training.fit",
        FITTING,
        dataset.fingerprint,
        {
            "point": plan.hyperparameters.model_dump(),
            "epochs": plan.epochs,
            "images": min(
                plan.train_limit or len(dataset.train.labels), len(dataset.train.labels)
            ),
        },
    )
