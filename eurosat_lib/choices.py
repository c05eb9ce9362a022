"""What a stage takes from those before it: rates, points, finalists, the final configuration."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from eurosat_lib import fits, search
from eurosat_lib.config import Config, override
from eurosat_lib.data import on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.lr_finder import LRFinder, grid_rates
from eurosat_lib.stages import Record, latest, publish, result_path, withdraw
from eurosat_lib.train import Hyperparameters
from eurosat_lib.trainings import counted, fallback_point, seeded, training_config


class ChosenLR(Record):
    """A learning rate chosen by hand in notebook 04, and how it was read from the stored sweep."""

    stage: ClassVar[str] = "chosen_lr"
    lr: float
    rule: str  # of the finder, or "median" of all
    smoothing: float  # weight of the past, in [0, 1)


def chosen_lr(config: Config) -> ChosenLR | None:
    """Return the rate chosen by hand for this run, if there is one for this experiment."""
    return latest(config, ChosenLR)


def choose_lr(config: Config, choice: ChosenLR) -> Path:
    """Keep a choice; the grid takes it instead of the finder's. Returns the file that holds it."""
    publish(config, choice, {})
    return result_path(config, choice.stage)


def forget_lr(config: Config) -> bool:
    """Withdraw the choice; returns whether there was one."""
    known = result_path(config, ChosenLR.stage).is_file()
    withdraw(config, ChosenLR)
    return known


def grid_points(config: Config) -> tuple[list[Hyperparameters], str]:
    """List the points of the grid, and where their learning rates come from."""
    found, picked = latest(config, LRFinder), chosen_lr(config)
    choice = picked.lr if picked else found.choice if found else None
    origin = "chosen_lr" if picked else "lr_finder" if choice else "fallback"
    points = search.grid_points(config, grid_rates(config, choice))
    return points, "config" if config.grid.lr else origin


def finalist_trainings(config: Config) -> list[Config]:
    """List the trainings of the finalists, point by point; none before a search."""
    first = config.seed + config.grid.seeds
    seeds = range(first, first + config.finalists.seeds)
    return [
        training_config(one, point.hyperparameters, *point.length)
        for _, point in chosen_points(config)
        for one in seeded(config, seeds)
    ]


def current_finalists(config: Config) -> search.Finalists | None:
    """Return the finalists of this run's latest searches; ``None`` if these are others."""
    found = latest(config, search.Finalists)
    points = [point.hyperparameters for _, point in chosen_points(config)]
    same = found and [f.again.hyperparameters for f in found.finalists] == points
    return found if same else None


def chosen_points(config: Config) -> list[tuple[str, fits.Candidate]]:
    """Pick the finalists of the searches of this run: stage and point of each."""
    found = (latest(config, search.Grid), latest(config, search.RefinedGrid))
    return search.choose_finalists([one for one in found if one], config.finalists.count)


def final_config(config: Config) -> tuple[Config, dict[str, str]]:
    """Return the final training, and where each hyperparameter comes from."""
    found = (latest(config, search.Grid), latest(config, search.RefinedGrid))
    finalists = current_finalists(config)
    searches = [(one.stage, one.best) for one in found if one]
    if finalists:
        searches = [(finalists.stage, finalists.leader)]
    point, origin = search.choose_hyperparameters(config, fallback_point(config), searches)
    own = config.train
    return training_config(config, point, own.max_epochs, max_steps=own.max_steps), origin


def spatial_cut(config: Config) -> Config:
    """Return the configuration on the spatial split; refuse where there is none."""
    absence = spatial_absence(config)
    if absence:
        raise UserError(f"no spatial split beside the standard one: {absence.reason}")
    return on_spatial(config)


def spatial_config(config: Config) -> Config:
    """Return the run's final training, on the spatial split."""
    own = final_config(config)[0].train.model_dump(mode="json")
    return counted(override(spatial_cut(config), {"train": own}))


def final_network(config: Config) -> dict[str, int]:
    """Return blocks and dilation of the network that is trained in the end."""
    own = final_config(config)[0].train
    return {name: getattr(own, name) for name in ("blocks_per_stage", "dilation_stage3")}
