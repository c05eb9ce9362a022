"""Stages that compare on a test split: further seeds, and the two best finalists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from eurosat_lib import grid
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.data.spatial import on_spatial, spatial_absence
from eurosat_lib.evaluation import Evaluation, FinalistScore, FinalistsOnTest, Seeds, discordant
from eurosat_lib.progress import progress
from eurosat_lib.spatial import SpatialSeeds
from eurosat_lib.stages import cache, openings
from eurosat_lib.stages.core import run_stage, standing
from eurosat_lib.stages.final import (
    FINAL,
    checkpoint_path,
    final_plan,
    score_checkpoint,
)
from eurosat_lib.stages.finalists import current_finalists, finalist_trials
from eurosat_lib.stages.logits import kept_predictions
from eurosat_lib.stages.search import trial_folder
from eurosat_lib.stages.spatial import evaluate_spatial, spatial_plan
from eurosat_lib.training import Fit, Plan, fit

S = TypeVar("S", bound=Seeds)
OnBatch = Callable[[int], None]


def evaluate_seeds(config: Config) -> Seeds:
    """Train and test the final configuration again from each seed of ``train.seeds``.

    A checkpoint given by the configuration is tested alone.

    Raises:
        UserError: the run's checkpoint cannot be evaluated.
    """
    own, _ = score_checkpoint(config, checkpoint_path(config))
    seeds = () if config.evaluate.checkpoint else config.train.seeds
    return _again(config, config, Seeds, own, seeds, final_plan(config)[0])


def evaluate_spatial_seeds(config: Config) -> SpatialSeeds:
    """Train and test it again on the spatial split, from each seed of ``spatial.seeds``.

    Without a spatial split the result has no runs.

    Raises:
        UserError: the spatial training diverged at once, or its checkpoint is damaged.
    """
    if spatial_absence(config):
        return _alone(config, SpatialSeeds, ())
    own, plan = evaluate_spatial(config).evaluation, spatial_plan(config)
    return _again(config, on_spatial(config), SpatialSeeds, own, config.spatial.seeds, plan)


def _again(
    config: Config, cut: Config, kind: type[S], own: Evaluation, seeds: tuple[int, ...], plan: Plan
) -> S:
    """Train and test anew from other seeds than the run's own, on the split of ``cut``."""
    others = [seed for seed in dict.fromkeys(seeds) if seed != own.seed]
    if not others:
        return _alone(config, kind, (own,))

    def compute(_: Path) -> S:
        """Train and test each, beside the run's own test."""
        total = plan.epochs * (plan.train_limit or 0) * len(others)
        with progress("Further seeds", total=total, unit="images") as bar:
            tested = [_tested(cut, plan, seed, bar.advance) for seed in others]
        return kind(runs=(own, *tested), level=config.evaluate.confidence)

    found = run_stage(
        config,
        kind,
        "training.fit",
        (*FINAL, "evaluate.confidence"),
        compute,
        own=own.model_dump(mode="json"),
        seeds=others,
        hyperparameters=plan.hyperparameters.model_dump(),
        images=plan.train_limit,
    )
    for seed in () if config.paths.sealed else others:
        _tested(cut, plan, seed)  # kept by now: notes in this run's log when it was tested
    return found


def _alone(config: Config, kind: type[S], runs: tuple[Evaluation, ...]) -> S:
    """Publish the run's own test, or none, where nothing further is trained."""
    level = config.evaluate.confidence
    return run_stage(
        config,
        kind,
        "evaluation.repeats",
        ("evaluate.confidence",),
        lambda _: kind(runs=runs, level=level),
        runs=[run.model_dump(mode="json") for run in runs],
    )


def _tested(
    config: Config, plan: Plan, seed: int, on_batch: OnBatch = lambda images: None
) -> Evaluation:
    """Train from one seed, or take the kept training, and score its best epoch."""
    seeded, name, role = config.model_copy(update={"seed": seed}), f"seed{seed}", openings.SEED
    if config.data.split == "spatial":
        name, role = f"{name}_spatial", openings.SPATIAL
    path = _trained(seeded, plan, on_batch, name) / "best.ckpt"
    return score_checkpoint(seeded, path, role)[0]


def _trained(config: Config, plan: Plan, on_batch: OnBatch, name: str) -> Path:
    dataset = load_dataset(config)
    inputs = {"hyperparameters": plan.hyperparameters.model_dump(), "images": plan.train_limit}
    source, fingerprint = "eurosat_lib.training.fit", dataset.fingerprint
    key = cache.stage_key(config, "repeat", source, FINAL, fingerprint, inputs)
    run_folder = config.paths.runs / "repeats" / name

    def compute(folder: Path) -> Fit:
        return fit(config, dataset, plan, folder, run_folder, on_batch)

    cache.cached(config, Fit, "repeat", key, compute)
    return cache.stage_folder(config, "repeat", key)


def compare_finalists_on_test(config: Config) -> FinalistsOnTest:
    """Test the two best finalists with the weights of their first new seed (McNemar, exact).

    Without finalists, or when these were kept without their weights, there is no pair.
    """
    found, pair = current_finalists(config), []
    if found:
        best = [f for f in found.ranking if not f.again.diverged][:2]
        known, points = standing(config, FinalistsOnTest), [f.again.hyperparameters for f in best]
        if known and [run.hyperparameters for run in known.pair] == points:
            return known  # git holds no weights of the finalists
        pair = _first_seed(config, best)
    tested = [score_checkpoint(config, path, openings.FINALIST)[0] for _, path in pair]
    level = config.evaluate.confidence
    return run_stage(
        config,
        FinalistsOnTest,
        "evaluation.repeats",
        ("evaluate.confidence",),
        lambda _: _compared(config, pair, tested) if pair else FinalistsOnTest(level=level),
        scores=[one.mean for one, _ in pair],
        runs=[run.model_dump(mode="json") for run in tested],
    )


def _first_seed(config: Config, finalists: list[grid.Finalist]) -> list[tuple]:
    """Find the checkpoint of each of two finalists; none if one is missing."""
    trials = finalist_trials(config)
    first = {plan.hyperparameters: (own, plan) for own, plan in reversed(trials)}
    points = [finalist.again.hyperparameters for finalist in finalists]
    paths = [trial_folder(*first[point]) / "best.ckpt" for point in points if point in first]
    if len(paths) < 2 or not all(path.is_file() for path in paths):
        return []
    return list(zip(finalists, paths, strict=True))


def _compared(config: Config, pair: list[tuple], tested: list[Evaluation]) -> FinalistsOnTest:
    only_first, only_second = discordant(*(kept_predictions(config, run) for run in tested))
    fit = pair[0][0].again.fits[0]
    return FinalistsOnTest(
        level=config.evaluate.confidence,
        epochs=len(fit.epochs),
        train_images=fit.train_images,
        seed=fit.seed,
        n=tested[0].n,
        pair=tuple(
            FinalistScore(
                hyperparameters=run.hyperparameters,
                score=finalist.mean,
                checkpoint_sha256=run.checkpoint_sha256,
                epoch=run.epoch,
                correct=run.correct,
            )
            for (finalist, _), run in zip(pair, tested, strict=True)
        ),
        only_first=only_first,
        only_second=only_second,
    )
