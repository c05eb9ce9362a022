"""Stages that compare on the test split: further seeds, and the two finalists of the search."""

from __future__ import annotations

from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import Evaluation, FinalistScore, FinalistsOnTest, Seeds, discordant
from eurosat_lib.grid import Grid, GridSearch, RefinedGrid
from eurosat_lib.progress import Bar, progress
from eurosat_lib.stages import cache
from eurosat_lib.stages.core import latest, run_stage
from eurosat_lib.stages.final import (
    FINAL,
    checkpoint_path,
    final_plan,
    kept_predictions,
    score_checkpoint,
)
from eurosat_lib.stages.search import grid_plans, refined_plans, trial_folder
from eurosat_lib.training import Fit, Plan, fit
from eurosat_lib.training.final import best_search


def evaluate_seeds(config: Config) -> Seeds:
    """Train and test the final configuration again from each seed of ``train.seeds``.

    A checkpoint given by the configuration is tested alone.

    Raises:
        UserError: the run's checkpoint cannot be evaluated.
    """
    own, _ = score_checkpoint(config, checkpoint_path(config))
    seeds = () if config.evaluate.checkpoint else config.train.seeds
    others = [seed for seed in dict.fromkeys(seeds) if seed != own.seed]
    plan, _ = final_plan(config)
    runs = [own]
    total = plan.epochs * (plan.train_limit or 0) * len(others)
    if others:
        with progress("Further seeds", total=total, unit="images") as bar:
            runs += [_tested(config, plan, seed, bar) for seed in others]
    level = config.evaluate.confidence
    return run_stage(
        config,
        Seeds,
        "evaluation.repeats",
        ("evaluate.confidence",),
        lambda _: Seeds(runs=tuple(runs), level=level),
        runs=[run.model_dump(mode="json") for run in runs],
    )


def _tested(config: Config, plan: Plan, seed: int, bar: Bar) -> Evaluation:
    """Train from one seed, or take the kept training, and score its best epoch."""
    seeded = config.model_copy(update={"seed": seed})
    path = _trained(seeded, plan, bar) / "best.ckpt"
    return score_checkpoint(seeded, path)[0]


def _trained(config: Config, plan: Plan, bar: Bar) -> Path:
    dataset, name = load_dataset(config), f"seed{config.seed}"
    inputs = {"hyperparameters": plan.hyperparameters.model_dump(), "images": plan.train_limit}
    source, fingerprint = "eurosat_lib.training.fit", dataset.fingerprint
    key = cache.stage_key(config, "repeat", source, FINAL, fingerprint, inputs)
    run_folder = config.paths.runs / "repeats" / name

    def compute(folder: Path) -> Fit:
        return fit(config, dataset, plan, folder, run_folder, lambda n: bar.advance(n, note=name))

    cache.cached(config, Fit, "repeat", key, compute)
    return cache.stage_folder(config, "repeat", key)


def compare_finalists_on_test(config: Config) -> FinalistsOnTest:
    """Test the two best points of the search, as they were trained there (McNemar, exact).

    Without a search, or when its trials were kept without their weights, there is no pair.
    """
    paths, found = _finalists(config)
    tested = [score_checkpoint(config, path)[0] for path in paths]
    level = config.evaluate.confidence
    return run_stage(
        config,
        FinalistsOnTest,
        "evaluation.repeats",
        ("evaluate.confidence",),
        lambda _: _compared(config, found, tested) if found else FinalistsOnTest(level=level),
        runs=[run.model_dump(mode="json") for run in tested],
    )


def _finalists(config: Config) -> tuple[list[Path], GridSearch | None]:
    """Find the checkpoints of the two best trials of the search that chose the final point."""
    searches = {s.stage: s for kind in (Grid, RefinedGrid) if (s := latest(config, kind))}
    if not searches:
        return [], None
    stage, _ = best_search([(name, search.best) for name, search in searches.items()])
    plans, _ = grid_plans(config) if stage == Grid.stage else refined_plans(config)
    known = {plan.hyperparameters: plan for plan in plans}
    top = [fit for fit in searches[stage].ranking if not fit.diverged][:2]
    points = [fit.hyperparameters for fit in top]
    paths = [trial_folder(config, known[p]) / "best.ckpt" for p in points if p in known]
    if len(paths) < 2 or not all(path.is_file() for path in paths):
        return [], None
    return paths, searches[stage]


def _compared(config: Config, search: GridSearch, tested: list[Evaluation]) -> FinalistsOnTest:
    scores = {fit.hyperparameters: fit for fit in search.trials}
    first, second = (kept_predictions(config, run) for run in tested)
    only_first, only_second = discordant(first, second)
    return FinalistsOnTest(
        level=config.evaluate.confidence,
        search=search.stage,
        epochs=search.epochs,
        train_images=search.best.train_images,
        seed=search.best.seed,
        n=tested[0].n,
        pair=tuple(
            FinalistScore(
                hyperparameters=run.hyperparameters,
                score=scores[run.hyperparameters].score,
                checkpoint_sha256=run.checkpoint_sha256,
                epoch=run.epoch,
                correct=run.correct,
            )
            for run in tested
        ),
        only_first=only_first,
        only_second=only_second,
    )
