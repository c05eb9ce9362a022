"""Search stages: the grid, the refined grid, the comparisons of their curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from eurosat_lib import grid
from eurosat_lib.config import Config
from eurosat_lib.config.searches import Grid as GridSettings
from eurosat_lib.config.searches import RefinedGrid as RefinedSettings
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.lr_finder import LRFinder, grid_rates
from eurosat_lib.progress import Bar, progress
from eurosat_lib.stages import cache, publish
from eurosat_lib.stages.choice import chosen_lr
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
    found, picked = latest(config, LRFinder), chosen_lr(config)
    choice = picked.lr if picked else found.choice if found else None
    points = grid.grid_points(config, grid_rates(config, choice))
    origin = "chosen_lr" if picked else "lr_finder" if choice else "fallback"
    return _plans(config, points, config.grid), "config" if config.grid.lr else origin


def refined_plans(config: Config) -> tuple[list[Plan], str]:
    """List the trials of the refined grid, and where its center comes from."""
    found = latest(config, grid.Grid)
    center = found.best.hyperparameters if found else fallback_point(config)
    points = grid.refined_points(config, center)
    origin = "grid_search" if found else "fallback"
    return _plans(config, points, config.refined_grid), origin


def is_kept(config: Config, plan: Plan) -> bool:
    """Tell whether a trial was trained before, in any grid."""
    return (trial_folder(config, plan) / "result.json").is_file()


def trial_folder(config: Config, plan: Plan) -> Path:
    """Return the folder of a trial: its result and the weights of its best epoch."""
    key = _trial_key(config, load_dataset(config), plan)
    return cache.stage_folder(config, "trial", key)


def seeded(config: Config, first: int = 0, count: int | None = None) -> list[Config]:
    """Return copies of a configuration with the run's seed plus ``first``, and the next ones.

    Args:
        config: whose ``seed`` is counted from.
        first: offset of the first seed.
        count: how many; ``grid.seeds`` if not given.
    """
    seeds = range(config.seed + first, config.seed + first + (count or config.grid.seeds))
    return [config.model_copy(update={"seed": seed}) for seed in seeds]


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
        raise UserError(
            "no grid to compare: run grid_search first (notebook 05_grid)",
            "Aucune grille à comparer\u00a0: exécuter d’abord le notebook 05_grid.",
        )
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
    trials = [(own, plan) for plan in plans for own in seeded(config)]

    def compute(_: Path) -> S:
        """Run all trials."""
        fits = run_trials(kind.stage, trials, config.grid.seeds)
        if not any(fit.epochs for fit in fits):
            raise UserError(
                f"{kind.stage}: every trial diverged; lower the learning rates",
                "Tous les essais de la grille ont divergé\u00a0: choisir des LR plus petits "
                "(paramètre grid_lr du notebook 05_grid).",
            )
        return kind(trials=fits, epochs=plans[0].epochs, origin=origin)

    labels, keys = {"origin": origin}, trial_keys(trials)
    return run_stage(config, kind, "training.fit", FITTING, compute, labels, trials=keys)


def run_trials(stage: str, trials: Sequence[tuple[Config, Plan]], seeds: int) -> tuple[Fit, ...]:
    """Train points with the seeds of their configurations; what was trained before is loaded.

    Args:
        stage: name of the folder below ``runs/`` and of the table of trials.
        trials: configuration, with the seed of the trial, and plan; at least one.
        seeds: per point; among several, runs are named by their seed too.
    """
    config, fits = trials[0][0], []
    total = sum(plan.epochs * (plan.train_limit or 0) for _, plan in trials)
    label = stage.replace("_", " ").capitalize()
    with progress(label, total=total, unit="images") as bar:
        for own, plan in trials:
            fits.append(run_trial(own, plan, stage, bar, seeds))
            publish.trials(config, stage, fits)
    return tuple(fits)


def run_trial(config: Config, plan: Plan, stage: str, bar: Bar, seeds: int = 1) -> Fit:
    """Train one point, or load it if it was trained before, in this grid or another."""
    dataset, start, point = load_dataset(config), bar.done, plan.hyperparameters.name
    name = point + (f"_seed{config.seed}" if seeds > 1 else "")
    count = f"trial {start // (plan.epochs * (plan.train_limit or 1)) + 1}"

    def compute(folder: Path) -> Fit:
        """Train one point, showing the progress."""
        return fit(
            config,
            dataset,
            plan,
            folder,
            config.paths.runs / stage / name,
            on_batch=lambda images: bar.advance(images, note=f"{count}, {name}"),
        )

    result, _ = cache.cached(config, Fit, "trial", _trial_key(config, dataset, plan), compute)
    expected = plan.epochs * result.train_images
    bar.advance(start + expected - bar.done, note=f"{count}, val {result.score:.1%}")
    publish.fit_run(config, stage, result, name)
    return result


def trial_keys(trials: Sequence[tuple[Config, Plan]]) -> list[str]:
    """Return the key of each trial, for the key of a stage made of them."""
    return [_trial_key(own, load_dataset(own), plan) for own, plan in trials]


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
            "weights": plan.keep_best,
            "images": min(
                plan.train_limit or len(dataset.train.labels), len(dataset.train.labels)
            ),
        },
    )
