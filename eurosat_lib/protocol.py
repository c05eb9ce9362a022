"""The stages of the experiment, in the order of the report.

Notebooks, command line, tests and workers call these. Every training is kept on its own; grids,
finalists, seeds and recipes are put together from trainings. Whatever is wrong with what the user
gave is a ``UserError``: no search to build on, a training that diverged at once, a checkpoint that
is missing, damaged or made for another configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path

from eurosat_lib import (
    audit,
    baselines,
    checks,
    comparisons,
    evaluation,
    explain,
    fits,
    search,
)
from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.comparisons import (
    SCORING,
    SCORING_ROOMS,
    checkpoint_path,
    kept_predictions,
    named_recipe,
    recipe_trainings,
    score_checkpoint,
)
from eurosat_lib.comparisons import beside_protocol as beside_protocol  # for notebooks
from eurosat_lib.comparisons import found_recipe as found_recipe
from eurosat_lib.config import Config, override, save_config_snapshot
from eurosat_lib.data import EuroSAT, load_dataset, on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.files import copy_file, write_csv
from eurosat_lib.loaders import subset
from eurosat_lib.lr_finder import FinalSweep, LRFinder, find_lr
from eurosat_lib.stages import Kept, Record, here, latest, stage, together, withdraw
from eurosat_lib.train import WEIGHTS, Fit, Hyperparameters
from eurosat_lib.trainings import (
    BATCHES,
    HOW,
    IMAGES,
    TRAINING,
    fallback_point,
    final_config,
    finalist_trainings,
    finalists,
    grid_points,
    searches,
    seeded,
    spatial_config,
    train_all,
    training_config,
)
from eurosat_lib.trainings import chosen_lr as chosen_lr

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
        *("evaluate_seeds", "evaluate_spatial", "compare_splits"),
    ),
}
ON_DEMAND = ("check_lr", "ablate_recipe", "train_recipe", "beside")  # not every run has them
STAGE_NAMES = (*(name for names in NOTEBOOK_STAGES.values() for name in names), *ON_DEMAND)
SPATIAL_CHECKPOINT = "best_spatial.ckpt"
SMALL = (*IMAGES, "seed", "data.batch_size", "model")  # what learning a few images reads
NO_GRID = "no grid to compare: run grid_search first (notebook 05_grid)"


def _of_images(compute: Callable[[Config, EuroSAT], Record]) -> Callable[[Config], Record]:
    @wraps(compute)
    def on(config: Config) -> Record:
        return compute(config, load_dataset(config))

    return on


# Stages that one function of a room computes.
explore_dataset = stage(
    audit.Audit, "audit", inputs=lambda config: {"source": load_dataset(config).source.location}
)(lambda config: audit.explore_dataset(load_dataset(config)))

find_overlaps = stage(audit.Overlaps, "audit")(
    lambda config: audit.find_overlaps(load_dataset(config))
)

verify_pipeline = stage(
    checks.Pipeline,
    *("checks", "transforms", "loaders"),
    reads=(*BATCHES, "data.validation_limit", "data.test_limit"),
)(checks.verify_pipeline)

compute_baselines = stage(baselines.Baselines, "baselines", reads=("data.train_limit",))(
    _of_images(baselines.compute_baselines)
)

test_model = stage(
    checks.Architecture,
    *("checks", "model"),
    reads=("data.image_size", "model", "grid.blocks_per_stage", "grid.dilation_stage3"),
)(checks.test_model)
test_model.__test__ = False  # the course's name for the stage; pytest must not collect it

check_initial_loss = stage(
    checks.InitialLoss, "checks", *TRAINING.rooms, reads=(*BATCHES, "model", "initial_loss")
)(_of_images(checks.check_initial_loss))

overfit_small = stage(checks.Overfit, "checks", *TRAINING.rooms, reads=(*SMALL, "overfit"))(
    _of_images(checks.overfit_small)
)

shuffled_labels = stage(
    checks.ShuffledLabels, "checks", *TRAINING.rooms, reads=(*SMALL, "overfit", "controls")
)(_of_images(checks.learn_shuffled_labels))

check_training = stage(
    checks.Sanity,
    *("checks", *TRAINING.rooms),
    reads=(*BATCHES, *HOW, "train.sides", "model", "controls"),
)(_of_images(checks.check_training))

lr_finder = stage(LRFinder, "lr_finder", *TRAINING.rooms, reads=(*BATCHES, "model", "lr_finder"))(
    _of_images(find_lr)
)


@stage(search.Grid)
def grid_search(config: Config) -> Kept[search.Grid]:
    """Train every point of the grid for a few epochs; finished trials are not run again."""
    points, origin = grid_points(config)
    return _searched(config, "Grille", search.Grid, points, origin, config.grid)


@stage(search.RefinedGrid)
def refined_grid_search(config: Config) -> Kept[search.RefinedGrid]:
    """Train a finer grid of learning rate and weight decay around the grid's best point."""
    found = latest(config, search.Grid)
    origin = "grid_search" if found else "fallback"
    center = found.best.hyperparameters if found else fallback_point(config)
    points, own = search.refined_points(config, center), config.refined_grid
    return _searched(config, "Grille resserrée", search.RefinedGrid, points, origin, own)


def _searched(
    config: Config, title: str, kind, points: list[Hyperparameters], origin: str, own
) -> Kept:
    trials = [
        training_config(config, point, own.epochs, own.train_limit, "none") for point in points
    ]
    (kept,) = train_all(title, {kind.stage: trials})
    result = kind(trials=tuple(part.result for part in kept), epochs=own.epochs, origin=origin)
    return together(result, kept)


@stage(search.Finalists)
def compare_finalists(config: Config) -> Kept[search.Finalists]:
    """Train the best points of the searches again, as long, with seeds that chose none."""
    chosen = finalists(config)
    if not chosen:
        raise UserError(NO_GRID)
    (kept,) = train_all("Finalistes", {search.Finalists.stage: finalist_trainings(config)})
    again = zip(*[iter(part.result for part in kept)] * config.finalists.seeds, strict=True)
    found = []
    for (origin, trial), trainings in zip(chosen, again, strict=True):
        point = fits.Candidate(hyperparameters=trial.hyperparameters, fits=trainings)
        found.append(search.Finalist(origin=origin, selected=trial.score, again=point))
    return together(search.Finalists(finalists=tuple(found)), kept)


def _publish_weights(config: Config, folder: Path, name: str) -> None:
    load_checkpoint(folder / WEIGHTS)  # sound, or said
    copy_file(folder / WEIGHTS, config.paths.artifacts / name)


def _publish_training(config: Config, kept: Kept[fits.Training]) -> None:
    _publish_weights(config, kept.folder, WEIGHTS)
    point = kept.result.fit.hyperparameters
    chosen = override(config, {f"train.{k}": v for k, v in point.model_dump().items()})
    for place in (config.paths.artifacts, config.paths.runs / "train" / point.name):
        save_config_snapshot(chosen, place)


@stage(fits.Training, after=_publish_training)
def train(config: Config) -> Kept[fits.Training]:
    """Train the final network and keep the checkpoint of its best validation accuracy.

    An engine trains beside it what the later stages will ask for.
    """
    own, origin = final_config(config)
    later = {} if config.compute.engine == "serial" else _trained_later(config, own)
    kept = _final_training(own, {fits.Training.stage: [own]} | later)
    result = fits.Training(
        fit=kept.result,
        origin=origin,
        batch_size=own.data.batch_size,
    )
    return together(result, [kept])


def _trained_later(config: Config, own: Config) -> dict[str, list[Config]]:
    found = {comparisons.Seeds.stage: seeded(own, _further_seeds(config, own.seed))}
    if not spatial_absence(config):
        found[evaluation.SpatialEvaluation.stage] = [spatial_config(config)]
    if config.recipe.name:
        found[comparisons.Recipes.stage] = recipe_trainings(config, named_recipe(config))
    return found


def _final_training(own: Config, groups: dict[str, list[Config]]) -> Kept[Fit]:
    """Train the first of these; it has an epoch at least."""
    (kept,), *_ = train_all(f"Entraînement final, découpage {own.data.split}", groups)
    if not kept.result.epochs:
        raise UserError(f"final training diverged ({kept.result.diverged}); lower train.lr")
    return kept


def _final_network(config: Config) -> dict[str, int]:
    own = final_config(config)[0].train
    return {name: getattr(own, name) for name in ("blocks_per_stage", "dilation_stage3")}


@stage(checks.FinalArchitecture)
def final_architecture(config: Config) -> Kept[checks.FinalArchitecture]:
    """Count the parameters of the network that is trained in the end, layer by layer."""
    network = _final_network(config)
    values = {f"model.{name}": value for name, value in network.items()}
    values |= {f"grid.{name}": [value] for name, value in network.items()}
    found = checks.test_model(override(config, values))
    return here(config, checks.FinalArchitecture(**dict(found)))


@stage(
    FinalSweep,
    *("lr_finder", *TRAINING.rooms),
    reads=(*BATCHES, "model.channels", "lr_finder"),
    inputs=_final_network,
    when=lambda config: not _final_network(config).items() <= config.model.model_dump().items(),
)
def check_lr(config: Config) -> FinalSweep:
    """Sweep the learning rate of the network that is trained in the end.

    ``None`` where it is the one that :func:`lr_finder` has swept.
    """
    network = _final_network(config)
    own = override(config, {f"model.{name}": value for name, value in network.items()})
    return FinalSweep(**dict(find_lr(own, load_dataset(config))), **network)


@stage(search.Comparisons)
def compare_curves(config: Config) -> Kept[search.Comparisons]:
    """Pick the trials that differ from the best in one factor only, in the grid.

    Without a grid, the refined grid serves: it varies learning rate and weight decay only.
    """
    found = searches(config)
    if not found:
        raise UserError(NO_GRID)
    return here(config, search.compare(found[0]))


def train_if_missing(config: Config) -> fits.Training | None:
    """Train if there is no checkpoint to evaluate; ``None`` if there is, or one is named."""
    if config.evaluate.checkpoint or checkpoint_path(config).is_file():
        return None
    return train(config)


def _publish_predictions(config: Config, kept: Kept[Evaluation]) -> None:
    table = kept_predictions(config, kept.result).table(kept.result.classes)
    rows = table.round(6).to_dict("records")
    write_csv(config.paths.artifacts / "predictions.csv", rows)


@stage(Evaluation, after=_publish_predictions)
def evaluate(config: Config) -> Kept[Evaluation]:
    """Score the checkpoint on the test split; each checkpoint opens it once."""
    return score_checkpoint(config, checkpoint_path(config))


def _scored(config: Config) -> Evaluation:
    return score_checkpoint(config, checkpoint_path(config)).result


def _digest(config: Config) -> dict[str, str]:
    return {"checkpoint": _scored(config).checkpoint_sha256}


@stage(evaluation.Errors, *SCORING_ROOMS, reads=SCORING, inputs=_digest)
def analyse_errors(config: Config) -> evaluation.Errors:
    """Analyse the predictions that the evaluation kept: calibration, worst errors."""
    own = _scored(config)
    return evaluation.analyse(kept_predictions(config, own), own)


@stage(
    explain.Robustness,
    *("explain", *SCORING_ROOMS),
    reads=(*SCORING, "evaluate.robustness_images"),
    inputs=_digest,
)
def measure_robustness(config: Config) -> explain.Robustness:
    """Turn, mirror and corrupt validation images, and count the answers that change."""
    dataset, path = load_dataset(config), checkpoint_path(config)
    network, _ = evaluation.open_checkpoint(config, dataset, path)
    return explain.measure(config, dataset, network)


@stage(explain.Explanations, "explain", *SCORING_ROOMS, reads=SCORING, inputs=_digest)
def explain_predictions(config: Config) -> explain.Explanations:
    """Map the evidence of right and wrong answers on validation images (Grad-CAM)."""
    dataset, path = load_dataset(config), checkpoint_path(config)
    network, _ = evaluation.open_checkpoint(config, dataset, path)
    return explain.explain(config, dataset, network, kept_predictions(config, _scored(config)))


def _further_seeds(config: Config, own: int) -> list[int]:
    """List the seeds beside the checkpoint's own; none for one that the configuration names."""
    seeds = () if config.evaluate.checkpoint else config.train.seeds
    return [seed for seed in seeds if seed != own]


@stage(comparisons.Seeds)
def evaluate_seeds(config: Config) -> Kept[comparisons.Seeds]:
    """Train and test the final configuration again from each seed of ``train.seeds``."""
    own = score_checkpoint(config, checkpoint_path(config))
    trainings = seeded(final_config(config)[0], _further_seeds(config, own.result.seed))
    (kept,) = train_all("Autres graines", {comparisons.Seeds.stage: trainings})
    done = list(zip(trainings, kept, strict=True))
    diverged = {one.seed: part.result.diverged for one, part in done if part.result.diverged}
    tested = [
        score_checkpoint(one, part.folder / WEIGHTS, "seed").result
        for one, part in done
        if one.seed not in diverged
    ]
    runs, level = (own.result, *tested), config.evaluate.confidence
    return together(comparisons.Seeds(runs=runs, level=level, diverged=diverged), [own, *kept])


def _publish_spatial(config: Config, kept: Kept[evaluation.SpatialEvaluation]) -> None:
    _publish_weights(config, kept.folder, SPATIAL_CHECKPOINT)


@stage(evaluation.SpatialEvaluation, after=_publish_spatial)
def evaluate_spatial(config: Config) -> Kept[evaluation.SpatialEvaluation]:
    """Train the final configuration on the spatial split, and open its test split for it once.

    Nothing of the standard run is touched: the checkpoint is ``best_spatial.ckpt``.
    """
    own, kind = spatial_config(config), evaluation.SpatialEvaluation
    trained = _final_training(own, {kind.stage: [own]})
    kept = score_checkpoint(on_spatial(config), trained.folder / WEIGHTS, "spatial")
    scores = kept.result.model_dump() | {"checkpoint": SPATIAL_CHECKPOINT}
    return together(kind(**scores), [trained, kept])


@stage(comparisons.SplitComparison)
def compare_splits(config: Config) -> Kept[comparisons.SplitComparison]:
    """Set the test accuracies on both splits side by side.

    Where there is no spatial split, the result says why, and holds no numbers; what the run had
    published for it is withdrawn if these were other images (the cache keeps it).
    """
    absence, kind = spatial_absence(config), comparisons.SplitComparison
    if absence:
        if absence.kind in ("synthetic", "split"):  # the run has left the real standard split
            withdraw(config, evaluation.SpatialEvaluation)
            (config.paths.artifacts / SPATIAL_CHECKPOINT).unlink(missing_ok=True)
        found = kind(absent=absence.kind, reason=absence.reason)
    else:
        limit, names = config.data.test_limit, []
        for split in (load_dataset(one).test for one in (config, on_spatial(config))):
            names.append({split.names[i] for i in subset(len(split), limit)})
        found = kind(
            standard=evaluate(config),
            spatial=Evaluation(**evaluate_spatial(config).model_dump()),
            common=len(names[0] & names[1]),
            confidence_level=config.evaluate.confidence,
        )
    return here(config, found)
