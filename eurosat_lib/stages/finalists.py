"""The stage of the finalists: the best points of the searches, over seeds of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.grid import Candidate, Finalist, Finalists, Grid, RefinedGrid, choose_finalists
from eurosat_lib.stages.core import FITTING, latest, run_stage
from eurosat_lib.stages.search import run_trials, seeded, trial_keys
from eurosat_lib.training import Fit, Plan

Chosen = list[tuple[str, Candidate]]


def compare_finalists(config: Config) -> Finalists:
    """Train the best points of the searches again, as long, with seeds that did not choose them.

    Raises:
        UserError: no search has been run.
    """
    chosen = _chosen(config)
    if not chosen:
        raise UserError(
            "no grid to choose from: run grid_search first (notebook 05_grid)",
            "Aucune grille où choisir des finalistes\u00a0: exécuter d’abord le notebook 05_grid.",
        )
    trials = finalist_trials(config)

    def compute(_: Path) -> Finalists:
        fits = iter(run_trials(Finalists.stage, trials, config.finalists.seeds))
        return Finalists(finalists=tuple(_finalist(config, c, fits) for c in chosen))

    searched = [(stage, point.model_dump(mode="json")) for stage, point in chosen]
    return run_stage(
        config,
        Finalists,
        "grid.finalists",
        FITTING,
        compute,
        trials=trial_keys(trials),
        chosen=searched,
    )


def finalist_trials(config: Config) -> list[tuple[Config, Plan]]:
    """List the trainings of the finalists, with their seeds; none before a search."""
    own = seeded(config, config.grid.seeds, config.finalists.seeds)
    return [
        (one, Plan(point.hyperparameters, *point.length, keep_best=True))
        for _, point in _chosen(config)
        for one in own
    ]


def current_finalists(config: Config) -> Finalists | None:
    """Return the finalists of this run's latest searches; ``None`` if these are others."""
    found = latest(config, Finalists)
    points = [point.hyperparameters for _, point in _chosen(config)]
    same = found and [f.again.hyperparameters for f in found.finalists] == points
    return found if same else None


def _chosen(config: Config) -> Chosen:
    found = (latest(config, Grid), latest(config, RefinedGrid))
    return choose_finalists([search for search in found if search], config.finalists.count)


def _finalist(config: Config, chosen: tuple[str, Candidate], fits: Iterator[Fit]) -> Finalist:
    stage, point = chosen
    again = tuple(next(fits) for _ in range(config.finalists.seeds))
    return Finalist(
        origin=stage,
        selected=point.score,
        again=Candidate(hyperparameters=point.hyperparameters, fits=again),
    )
