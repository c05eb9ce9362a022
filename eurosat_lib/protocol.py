"""The stages of the experiment, in the order of the report.

Whatever is wrong with what the user gave is a ``UserError``: no search to build on, a training
that diverged at once, a checkpoint that is missing, damaged or made for another configuration.

Notebooks, command line, tests and workers call these. Every training is kept on its own; grids,
finalists, seeds and recipes are put together from trainings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eurosat_lib import (
    audit,
    baselines,
    calibration,
    checks,
    choices,
    comparisons,
    controls,
    evaluation,
    explain,
    fits,
    overlaps,
    recipes,
    search,
)
from eurosat_lib.checkpoint import load_checkpoint, sha256
from eurosat_lib.choices import ChosenLR as ChosenLR  # these four for notebooks and views
from eurosat_lib.choices import choose_lr as choose_lr
from eurosat_lib.choices import chosen_lr as chosen_lr
from eurosat_lib.choices import forget_lr as forget_lr
from eurosat_lib.config import Config, override, save_config_snapshot
from eurosat_lib.data import Absence, load_dataset, on_spatial, spatial_absence
from eurosat_lib.errors import UserError, explained
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.files import copy_file, write_csv
from eurosat_lib.loaders import subset
from eurosat_lib.lr_finder import FinalSweep, LRFinder, find_lr
from eurosat_lib.recipes import RECIPE_STAGES
from eurosat_lib.recipes import beside_protocol as beside_protocol
from eurosat_lib.recipes import found_recipe as found_recipe
from eurosat_lib.scoring import (
    SCORING,
    SCORING_ROOMS,
    checkpoint_path,
    kept_predictions,
    score_checkpoint,
)
from eurosat_lib.stages import (
    Kept,
    latest,
    provenance_here,
    stage,
    stage_of_parts,
    together,
    withdraw,
)
from eurosat_lib.train import WEIGHTS, Hyperparameters
from eurosat_lib.trainings import (
    BATCHES,
    HOW,
    IMAGES,
    TRAINING,
    fallback_point,
    hyperparameters,
    seeded,
    train_all,
    train_together,
    training_config,
)

# What each notebook computes, in the order of the pipeline.
NOTEBOOK_STAGES: dict[str, tuple[str, ...]] = {
    "01_data": ("explore_dataset", "find_overlaps", "verify_pipeline"),
    "02_baselines": ("compute_baselines",),
    "03_model_checks": (
        *("test_model", "check_initial_loss", "overfit_small"),
        *("shuffled_labels", "check_training"),
    ),
    "04_lr_finder": ("lr_finder",),
    "05_grid": ("grid_search",),
    "06_train": (
        *("refined_grid_search", "compare_finalists", "train", "final_architecture"),
        "compare_curves",
    ),
    "07_eval": (
        *("evaluate", "analyse_errors", "measure_robustness", "explain_predictions"),
        *("compare_finalists_on_test", "evaluate_seeds", "train_spatial", "evaluate_spatial"),
        *("compare_splits", "evaluate_spatial_seeds"),
    ),
}
ON_DEMAND = ("check_lr", *RECIPE_STAGES)  # not every run has them
TOO_FAST = "Ce petit entraînement a divergé\u00a0: choisir un LR plus petit ({key})."
SPATIAL_CHECKPOINT = "best_spatial.ckpt"


@stage("audit", inputs=lambda config: {"source": load_dataset(config).source.location})
def explore_dataset(config: Config, folder: Path) -> audit.Audit:
    """Count classes and faults over all images of the three splits."""
    return audit.explore_dataset(load_dataset(config))


@stage("audit", "overlaps")
def find_overlaps(config: Config, folder: Path) -> overlaps.Overlaps:
    """Search the three splits for tiles that share part of their ground."""
    return overlaps.find_overlaps(load_dataset(config))


@stage(
    *("checks", "transforms", "loaders"),
    reads=(*BATCHES, "data.validation_limit", "data.test_limit"),
)
def verify_pipeline(config: Config, folder: Path) -> checks.Pipeline:
    """Check the shapes, ranges and order of the batches."""
    return checks.verify_pipeline(config)


@stage("baselines", reads=("data.train_limit",))
def compute_baselines(config: Config, folder: Path) -> baselines.Baselines:
    """Score the majority class, uniform guessing, and two linear models."""
    return baselines.compute_baselines(config, load_dataset(config))


@stage(
    *("checks", "model"),
    reads=("data.image_size", "model", "grid.blocks_per_stage", "grid.dilation_stage3"),
)
def test_model(config: Config, folder: Path) -> checks.Architecture:
    """Build the network and count its parameters, layer by layer."""
    return checks.test_model(config)


test_model.__test__ = False  # the course's name for the stage; pytest must not collect it


@stage("checks", *TRAINING.rooms, reads=(*BATCHES, "model", "initial_loss"))
def check_initial_loss(config: Config, folder: Path) -> checks.InitialLoss:
    """Send the first batch through the untrained network."""
    return checks.check_initial_loss(config, load_dataset(config))


@stage(
    *("checks", *TRAINING.rooms),
    reads=(*IMAGES, "seed", "data.batch_size", "model", "overfit"),
)
def overfit_small(config: Config, folder: Path) -> checks.Overfit:
    """Learn a few images by heart."""
    with explained(TOO_FAST.format(key="paramètre overfit_lr")):
        return checks.overfit_small(config, load_dataset(config))


@stage(
    *("checks", "controls", *TRAINING.rooms),
    reads=(*IMAGES, "seed", "data.batch_size", "model", "overfit", "controls"),
)
def shuffled_labels(config: Config, folder: Path) -> controls.ShuffledLabels:
    """Learn a few images by heart with true and with shuffled labels."""
    with explained(TOO_FAST.format(key="paramètre overfit_lr")):
        return controls.learn_shuffled_labels(config, load_dataset(config))


@stage("controls", *TRAINING.rooms, reads=(*BATCHES, *HOW, "train.sides", "model", "controls"))
def check_training(config: Config, folder: Path) -> controls.Sanity:
    """Train briefly: twice the same, once on black images."""
    with explained(TOO_FAST.format(key="controls.lr de configs/config.yaml")):
        return controls.check_training(config, load_dataset(config))


@stage("lr_finder", *TRAINING.rooms, reads=(*BATCHES, "model", "lr_finder"))
def lr_finder(config: Config, folder: Path) -> LRFinder:
    """Sweep the learning rate, once per seed."""
    return find_lr(config, load_dataset(config))


@stage_of_parts()
def grid_search(config: Config) -> Kept[search.Grid]:
    """Train every point of the grid for a few epochs; finished trials are not run again."""
    points, origin = choices.grid_points(config)
    return _searched(config, search.Grid, points, origin, config.grid)


@stage_of_parts()
def refined_grid_search(config: Config) -> Kept[search.RefinedGrid]:
    """Train a finer grid of learning rate and weight decay around the grid's best point."""
    found = latest(config, search.Grid)
    center = found.best.hyperparameters if found else fallback_point(config)
    origin = "grid_search" if found else "fallback"
    points = search.refined_points(config, center)
    return _searched(config, search.RefinedGrid, points, origin, config.refined_grid)


def _searched(config: Config, kind, points: list[Hyperparameters], origin: str, own) -> Kept:
    seeds = range(config.seed, config.seed + config.grid.seeds)
    trials = [
        training_config(one, point, own.epochs, own.train_limit, "none")
        for point in points
        for one in seeded(config, seeds)
    ]
    title = "Grille" if kind is search.Grid else "Grille resserrée"
    kept = train_all(title, kind.stage, trials)
    trials = tuple(part.result for part in kept)
    return together(kind(trials=trials, epochs=own.epochs, origin=origin), kept)


@stage_of_parts()
def compare_finalists(config: Config) -> Kept[search.Finalists]:
    """Train the best points of the searches again, as long, with seeds that chose none."""
    chosen = choices.chosen_points(config)
    if not chosen:
        raise UserError(
            "no grid to choose from: run grid_search first (notebook 05_grid)",
            "Aucune grille où choisir des finalistes\u00a0: exécuter d’abord le notebook 05_grid.",
        )
    kept = train_all("Finalistes", search.Finalists.stage, choices.finalist_trainings(config))
    again = fits.candidates(part.result for part in kept)
    finalists = tuple(
        search.Finalist(origin=origin, selected=point.score, again=one)
        for (origin, point), one in zip(chosen, again, strict=True)
    )
    return together(search.Finalists(finalists=finalists), kept)


def _publish_training(config: Config, kept: Kept[fits.Training]) -> None:
    load_checkpoint(kept.folder / WEIGHTS)  # sound, or said
    copy_file(kept.folder / WEIGHTS, config.paths.artifacts / WEIGHTS)
    point = kept.result.fit.hyperparameters
    chosen = override(config, {f"train.{k}": v for k, v in point.model_dump().items()})
    for place in (config.paths.artifacts, config.paths.runs / "train" / point.name):
        save_config_snapshot(chosen, place)


@stage_of_parts(_publish_training)
def train(config: Config) -> Kept[fits.Training]:
    """Train the final network and keep the checkpoint of its best validation accuracy."""
    own, origin = choices.final_config(config)
    return _final_training(own, fits.Training, origin, _beside_final(config, own))


def _final_training(
    own: Config, kind, origin: dict[str, str], beside: dict[str, list[Config]] | None = None
) -> Kept:
    title = "Entraînement final, découpage " + own.data.split
    kept = train_together(title, {kind.stage: [own]} | (beside or {}))[0][0]
    if not kept.result.epochs:
        raise UserError(
            f"final training diverged ({kept.result.diverged}); lower train.lr",
            "L’entraînement final a divergé dès la première époque\u00a0: choisir un LR plus "
            "petit (paramètre lr du notebook 06_train).",
        )
    result = kind(
        fit=kept.result,
        origin=origin,
        planned_epochs=own.train.max_epochs,
        batch_size=own.data.batch_size,
        max_steps=own.train.max_steps,
    )
    return together(result, [kept])


@stage(
    "checks", "model", reads=("data.image_size", "model.channels"), inputs=choices.final_network
)
def final_architecture(config: Config, folder: Path) -> checks.FinalArchitecture:
    """Count the parameters of the network that is trained in the end, layer by layer."""
    network = choices.final_network(config)
    alone = {f"grid.{name}": [value] for name, value in network.items()}
    own = override(config, {f"model.{k}": v for k, v in network.items()} | alone)
    return checks.FinalArchitecture(**dict(checks.test_model(own)))


@stage(
    *("lr_finder", *TRAINING.rooms),
    reads=(*BATCHES, "model.channels", "lr_finder"),
    inputs=choices.final_network,
    when=lambda config: any(
        getattr(config.model, name) != value
        for name, value in choices.final_network(config).items()
    ),
)
def check_lr(config: Config, folder: Path) -> FinalSweep:
    """Sweep the learning rate of the network that is trained in the end.

    ``None`` where it is the one that :func:`lr_finder` has swept.
    """
    network = choices.final_network(config)
    own = override(config, {f"model.{name}": value for name, value in network.items()})
    return FinalSweep(**dict(find_lr(own, load_dataset(config))), **network)


def _beside_final(config: Config, own: Config) -> dict[str, list[Config]]:
    """List the trainings of later stages that an engine can run beside the final one."""
    if config.compute.engine == "serial":
        return {}
    seeds = [] if config.evaluate.checkpoint else [s for s in config.train.seeds if s != own.seed]
    found = {comparisons.Seeds.stage: seeded(own, seeds)}
    if not spatial_absence(config):
        cut = choices.spatial_config(config)
        others = seeded(cut, [seed for seed in config.spatial.seeds if seed != cut.seed])
        found |= {fits.SpatialTraining.stage: [cut], comparisons.SpatialSeeds.stage: others}
    if config.recipe.name:
        recipe = recipes.named_recipe(config)
        found[comparisons.Recipes.stage] = recipes.recipe_trainings(config, recipe)
    return found


def _grid(config: Config) -> search.GridSearch:
    found = latest(config, search.Grid) or latest(config, search.RefinedGrid)
    if found is None:
        raise UserError(
            "no grid to compare: run grid_search first (notebook 05_grid)",
            "Aucune grille à comparer\u00a0: exécuter d’abord le notebook 05_grid.",
        )
    return found


@stage(
    *("fits", "search"),
    inputs=lambda config: {
        "source": _grid(config).stage,
        "grid": _grid(config).model_dump(mode="json"),
    },
)
def compare_curves(config: Config, folder: Path) -> search.Comparisons:
    """Pick the trials that differ from the best in one factor only, in the grid.

    Without a grid, the refined grid serves: it varies learning rate and weight decay only.
    """
    return search.compare(_grid(config))


def train_if_missing(config: Config) -> fits.Training | None:
    """Train if there is no checkpoint to evaluate; ``None`` if there is, or one is named."""
    if config.evaluate.checkpoint or checkpoint_path(config).is_file():
        return None
    return train(config)


def _publish_predictions(config: Config, kept: Kept[Evaluation]) -> None:
    rows = list(kept_predictions(config, kept.result).rows(kept.result.classes))
    write_csv(config.paths.artifacts / "predictions.csv", rows)


@stage_of_parts(_publish_predictions)
def evaluate(config: Config) -> Kept[Evaluation]:
    """Score the checkpoint on the test split; each checkpoint opens it once."""
    return score_checkpoint(config, checkpoint_path(config))


def _scored(config: Config) -> Evaluation:
    return score_checkpoint(config, checkpoint_path(config)).result


def _digest(config: Config) -> dict[str, str]:
    return {"checkpoint": _scored(config).checkpoint_sha256}


@stage("calibration", *SCORING_ROOMS, reads=SCORING, inputs=_digest)
def analyse_errors(config: Config, folder: Path) -> calibration.Errors:
    """Analyse the predictions that the evaluation kept: calibration, risk, doubtful labels."""
    own = _scored(config)
    found, level = kept_predictions(config, own), config.evaluate.confidence
    return calibration.analyse(found, own.classes, level, own.checkpoint_sha256)


@stage(
    *("explain", "classifier", *SCORING_ROOMS),
    reads=(*SCORING, "evaluate.robustness_images"),
    inputs=_digest,
)
def measure_robustness(config: Config, folder: Path) -> explain.Robustness:
    """Turn, mirror and corrupt validation images, and count the answers that change."""
    dataset, path = load_dataset(config), checkpoint_path(config)
    model, _, runtime = evaluation.open_checkpoint(config, dataset, path)
    return explain.measure(config, dataset, model, runtime, sha256(path))


@stage("explain", *SCORING_ROOMS, reads=SCORING, inputs=_digest)
def explain_predictions(config: Config, folder: Path) -> explain.Explanations:
    """Map the evidence of right and wrong answers on validation images (Grad-CAM)."""
    dataset, path, own = load_dataset(config), checkpoint_path(config), _scored(config)
    model, _, _ = evaluation.open_checkpoint(config, dataset, path)
    found = kept_predictions(config, own)
    return explain.explain(config, dataset, model, found, own.checkpoint_sha256)


@stage_of_parts()
def compare_finalists_on_test(config: Config) -> Kept[comparisons.FinalistsOnTest]:
    """Test the two best finalists with the weights of their first new seed (McNemar, exact).

    Without finalists, or when these were kept without their weights, there is no pair.
    """
    level, best, first = config.evaluate.confidence, [], {}
    found = choices.current_finalists(config)
    if found:
        first = {hyperparameters(own): own for own in reversed(choices.finalist_trainings(config))}
        best = [f for f in found.ranking if not f.again.diverged][:2]
    if len(best) < 2:
        empty = comparisons.FinalistsOnTest(level=level)
        return Kept(empty, provenance_here(config), Path())
    own = [first[finalist.again.hyperparameters] for finalist in best]
    trained = train_all("Finalistes", search.Finalists.stage, own)
    tested = [score_checkpoint(config, kept.folder / WEIGHTS, "finalist") for kept in trained]
    right = (kept_predictions(config, one.result).right for one in tested)
    only = comparisons.disagreements(*right)
    fit_ = trained[0].result
    result = comparisons.FinalistsOnTest(
        level=level,
        epochs=len(fit_.epochs),
        train_images=fit_.train_images,
        seed=fit_.seed,
        n=tested[0].result.n,
        pair=tuple(
            comparisons.FinalistScore(
                hyperparameters=one.result.hyperparameters,
                score=finalist.mean,
                correct=one.result.correct,
            )
            for finalist, one in zip(best, tested, strict=True)
        ),
        only_first=only[0],
        only_second=only[1],
    )
    return together(result, tested)


@stage_of_parts()
def evaluate_seeds(config: Config) -> Kept[comparisons.Seeds]:
    """Train and test the final configuration again from each seed of ``train.seeds``.

    A checkpoint given by the configuration is tested alone.
    """
    own = score_checkpoint(config, checkpoint_path(config))
    seeds = () if config.evaluate.checkpoint else config.train.seeds
    return _again(choices.final_config(config)[0], comparisons.Seeds, own, seeds)


def _again(config: Config, kind, own: Kept[Evaluation], seeds: Sequence[int]) -> Kept:
    """Train and test a training anew from other seeds than the run's own."""
    others = [seed for seed in dict.fromkeys(seeds) if seed != own.result.seed]
    trainings = seeded(config, others)
    kept = train_all("Autres graines", kind.stage, trainings)
    diverged = {
        one.seed: part.result.diverged
        for one, part in zip(trainings, kept, strict=True)
        if part.result.diverged
    }
    role = "seed" if config.data.split == "standard" else "spatial"
    tested = [
        score_checkpoint(one, part.folder / WEIGHTS, role)
        for one, part in zip(trainings, kept, strict=True)
        if not part.result.diverged
    ]
    runs = tuple(one.result for one in (own, *tested))
    result = kind(runs=runs, level=config.evaluate.confidence, diverged=diverged)
    return together(result, [own, *kept])


def _publish_spatial(config: Config, kept: Kept[fits.SpatialTraining]) -> None:
    load_checkpoint(kept.folder / WEIGHTS)
    copy_file(kept.folder / WEIGHTS, config.paths.artifacts / SPATIAL_CHECKPOINT)


@stage_of_parts(_publish_spatial)
def train_spatial(config: Config) -> Kept[fits.SpatialTraining]:
    """Train the final configuration on the spatial split, for as many epochs.

    Nothing of the standard run is touched: the checkpoint is ``best_spatial.ckpt``.
    """
    return _final_training(choices.spatial_config(config), fits.SpatialTraining, {})


@stage_of_parts()
def evaluate_spatial(config: Config) -> Kept[evaluation.SpatialEvaluation]:
    """Score that checkpoint on the spatial test split, opened once for it; may train first."""
    train_spatial(config)
    path = config.paths.artifacts / SPATIAL_CHECKPOINT
    kept = score_checkpoint(choices.spatial_cut(config), path, "spatial")
    return together(evaluation.SpatialEvaluation(**kept.result.model_dump()), [kept])


@stage_of_parts()
def compare_splits(config: Config) -> Kept[comparisons.SplitComparison]:
    """Set the test accuracies on both splits side by side.

    Where there is no spatial split, the result says why, and holds no numbers; what the run had
    published for it is withdrawn if these were other images (the cache keeps it).
    """
    absence = spatial_absence(config)
    if absence:
        _forget_spatial(config, absence)
        found = comparisons.SplitComparison(absent=absence.kind, reason=absence.reason)
    else:
        standard, training = evaluate(config), train_spatial(config)
        spatial = Evaluation(**evaluate_spatial(config).model_dump())
        found = comparisons.SplitComparison(
            standard=standard,
            spatial=spatial,
            common=_common(config),
            epochs=len(training.fit.epochs),
            confidence_level=config.evaluate.confidence,
        )
    return Kept(found, provenance_here(config), Path())


def _forget_spatial(config: Config, absence: Absence) -> None:
    if absence.kind in ("synthetic", "split"):  # the run has left the real standard split
        for kind in (fits.SpatialTraining, evaluation.SpatialEvaluation):
            withdraw(config, kind)
        (config.paths.artifacts / SPATIAL_CHECKPOINT).unlink(missing_ok=True)


def _common(config: Config) -> int:
    """Count the images that are in both test splits."""
    limit = config.data.test_limit
    splits = [load_dataset(c).test for c in (config, on_spatial(config))]
    first, second = ({s.names[i] for i in subset(len(s), limit)} for s in splits)
    return len(first & second)


@stage_of_parts()
def evaluate_spatial_seeds(config: Config) -> Kept[comparisons.SpatialSeeds]:
    """Train and test it again on the spatial split, from each seed of ``spatial.seeds``.

    Without a spatial split the result has no runs.
    """
    if spatial_absence(config):
        empty = comparisons.SpatialSeeds(runs=(), level=config.evaluate.confidence)
        return Kept(empty, provenance_here(config), Path())
    evaluate_spatial(config)
    cut = choices.spatial_config(config)
    kept = score_checkpoint(cut, config.paths.artifacts / SPATIAL_CHECKPOINT, "spatial")
    return _again(cut, comparisons.SpatialSeeds, kept, config.spatial.seeds)


STAGE_NAMES = (*(name for names in NOTEBOOK_STAGES.values() for name in names), *ON_DEMAND)
