"""Seconds that each stage and notebook will take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from eurosat_lib.config import Config
from eurosat_lib.data import Split, load_dataset
from eurosat_lib.data.spatial import spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.estimate.pipeline import (
    ALL_IMAGES,
    LOOKS,
    NOTEBOOK_STAGES,
    OF_CHECKPOINT,
    SPATIAL,
    TIMED,
)
from eurosat_lib.estimate.speed import seconds_per_image
from eurosat_lib.evaluation.corruptions import PASSES
from eurosat_lib.grid import Grid
from eurosat_lib.stages import STAGES, latest
from eurosat_lib.stages.cache import NotKept, only_kept
from eurosat_lib.stages.finalists import finalist_trials
from eurosat_lib.stages.search import grid_plans, is_kept, refined_plans, seeded
from eurosat_lib.training import Plan


def notebook_seconds(config: Config) -> dict[str, float]:
    """Estimate the seconds that each notebook will compute, kept results taken off."""
    stages = stage_seconds(config)
    return {
        notebook: sum(stages.get(name, 0.0) for name in names)
        for notebook, names in NOTEBOOK_STAGES.items()
    }


def stage_seconds(
    config: Config, names: Iterable[str] = TIMED, kept: set[str] | None = None
) -> dict[str, float]:
    """Estimate the seconds that stages will take, 0 for a result that is kept.

    Args:
        config: network, sizes, device.
        names: stages to estimate; those that take a moment are left out.
        kept: from :func:`kept_stages`, if that is known already.
    """
    wanted = [name for name in names if name in TIMED]
    if not wanted:
        return {}
    with only_kept():
        kept, work = _kept(config, wanted) if kept is None else kept, _Work(config)
        if "train" in wanted and "train" not in kept and not config.evaluate.checkpoint:
            kept = kept.difference(OF_CHECKPOINT)
        return {name: 0.0 if name in kept else work.seconds(name) for name in wanted}


def kept_stages(config: Config, names: Iterable[str] = tuple(STAGES)) -> set[str]:
    """Return the stages whose results are kept for just this configuration, data and code."""
    with only_kept():
        return _kept(config, names)


def _kept(config: Config, names: Iterable[str]) -> set[str]:
    """Try each stage, in order: it finds what those before it would publish."""
    found = set()
    for name in names:
        with suppress(NotKept, UserError):
            STAGES[name](config)
            found.add(name)
    return found


class _Work:
    """Count the images that a stage trains on and evaluates, and their time here."""

    def __init__(self, config: Config) -> None:
        self.config = config
        dataset = load_dataset(config)
        self.share = sum(map(len, (dataset.train, dataset.validation, dataset.test))) / ALL_IMAGES
        self.train = self._used("train", dataset.train)
        self.validation = self._used("validation", dataset.validation)
        self.test = self._used("test", dataset.test)

    def seconds(self, stage: str) -> float:
        """Estimate one stage, its finished trials taken off."""
        if stage in LOOKS:
            return LOOKS[stage] * self.share
        if stage in SPATIAL and spatial_absence(self.config):
            return 0.0
        checked = self._checks(stage)
        return self._trainings(stage) if checked is None else checked

    def _checks(self, stage: str) -> float | None:
        """Estimate a stage of notebooks 03 and 04; ``None`` for any other."""
        config, own = self.config, seconds_per_image(self.config, self._blocks)
        batch = config.data.batch_size
        finder, overfit, controls = config.lr_finder, config.overfit, config.controls
        match stage:
            case "check_initial_loss":
                return config.initial_loss.n_seeds * batch * own[1]
            case "overfit_small":
                return overfit.epochs * overfit.size * own[0]
            case "shuffled_labels":
                one = overfit.epochs * overfit.size * own[0] + controls.validation_images * own[1]
                return 2 * controls.pairs * one
            case "check_training":
                images = controls.steps * batch
                return 3 * (images * own[0] + controls.validation_images * own[1])
            case "lr_finder":
                resets = finder.reset_rates * finder.reset_steps
                return len(finder.seeds) * (finder.iterations + resets) * batch * own[0]
        return None

    def _trainings(self, stage: str) -> float:
        """Estimate a stage of notebooks 05 to 07."""
        config, evaluated = self.config, seconds_per_image(self.config, self._blocks)[1]
        match stage:
            case "grid_search":
                return self._trials(grid_plans(config)[0])
            case "refined_grid_search":
                plans = refined_plans(config)[0]
                known = 0 if latest(config, Grid) else 1  # its center is a trial of the grid
                return self._trials(plans[known:])
            case "compare_finalists":
                return self._finalists()
            case "measure_robustness":
                wanted = config.evaluate.robustness_images or self.validation
                return min(wanted, self.validation) * PASSES * evaluated
            case "compare_finalists_on_test":
                return 2 * (self.validation + self.test) * evaluated
            case "evaluate_seeds" | "evaluate_spatial_seeds":
                section = config.spatial if "spatial" in stage else config.train
                once = self._final + (self.validation + self.test) * evaluated
                return len(section.seeds) * once
            case "train" | "train_spatial":  # the two splits are of one size
                return self._final
            case _:
                return (self.validation + self.test) * evaluated

    @property
    def _final(self) -> float:
        return self._training(self.config.train.max_epochs, self.train, self._blocks)

    @property
    def _blocks(self) -> int:
        return self.config.train.blocks_per_stage or max(self.config.grid.blocks_per_stage)

    def _trials(self, plans: Sequence[Plan]) -> float:
        own = seeded(self.config)
        return self._seconds([plan for plan in plans for c in own if not is_kept(c, plan)])

    def _finalists(self) -> float:
        """Estimate the finalists; before a search, as many trials of the refined grid."""
        settings = self.config.finalists
        trials = finalist_trials(self.config)
        if trials:
            return self._seconds([plan for c, plan in trials if not is_kept(c, plan)])
        plan = refined_plans(self.config)[0][0]
        return self._seconds([plan] * settings.count * settings.seeds)

    def _seconds(self, missing: Sequence[Plan]) -> float:
        return sum(
            self._training(p.epochs, p.train_limit, p.hyperparameters.blocks_per_stage)
            for p in missing
        )

    def _training(self, epochs: int, images: int, blocks: int) -> float:
        train, evaluation = seconds_per_image(self.config, blocks)
        return epochs * (images * train + self.validation * evaluation)

    def _used(self, name: str, split: Split) -> int:
        return min(getattr(self.config.data, f"{name}_limit") or len(split), len(split))
