"""The stages of the experiment, in the order of the report, and what each takes from the others.

Notebooks, command line, tests and workers call these. Every training is kept on its own; grids,
finalists, seeds and recipes are put together from trainings. Whatever is wrong with what the user
gave is a ``UserError``: no search to build on, a training that diverged at once, a checkpoint that
is missing, damaged or made for another configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

from eurosat_lib import audit, checks, evaluation, explain, search, trainings
from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.classifier import Classifier
from eurosat_lib.config import Config, override, save_config_snapshot
from eurosat_lib.data import EuroSAT, load_dataset, on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, SpatialEvaluation
from eurosat_lib.files import check_open, write_bytes, write_csv
from eurosat_lib.jobs import named, train_all
from eurosat_lib.loaders import subset
from eurosat_lib.lr_finder import FinalSweep, LRFinder, find_lr
from eurosat_lib.recipes import beside_protocol as beside_protocol  # for notebooks
from eurosat_lib.recipes import found_recipe as found_recipe
from eurosat_lib.recipes import recipe_jobs
from eurosat_lib.sources import digest
from eurosat_lib.stages import Kept, Record, Writer, latest, publish, stage, together, withdraw
from eurosat_lib.train import WEIGHTS, Fit, Hyperparameters
from eurosat_lib.trainings import BATCHES, IMAGES, SCORING, TRAINING, Training

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
LEARNT, SWEPT = ("checks", *TRAINING.rooms), ("lr_finder", *TRAINING.rooms)
SMALL = (*IMAGES, "seed", "data.batch_size", "model")  # what learning a few images reads
# How a network is trained, whatever its point and length.
HOW = ("optimizer", "momentum", "decay_all", "schedule", "warmup", "label_smoothing", "sides")
NETWORK = {"blocks_per_stage", "dilation_stage3"}
NO_GRID = "no grid to compare: run grid_search first (notebook 05_grid)"


# --- what comes from where ----------------------------------------------------------------------


class ChosenLR(Record):
    """A learning rate chosen by hand in notebook 04, and how it was read from the stored sweep."""

    stage: ClassVar[str] = "chosen_lr"
    lr: float
    rule: str  # of the finder, or "median" of all
    smoothing: float  # weight of the past, in [0, 1)


def chosen_lr(config: Config) -> ChosenLR | None:
    """Return the rate chosen by hand for this run, if there is one for this experiment."""
    return latest(config, ChosenLR)


def choose_lr(config: Config, choice: ChosenLR | None) -> None:
    """Have the grid take a choice instead of the finder's, or, with ``None``, withdraw it."""
    check_open(config.paths.artifacts)
    publish(config, choice, {}) if choice else withdraw(config, ChosenLR)


def grid_points(config: Config) -> tuple[list[Hyperparameters], str]:
    """List the points of the grid, and where their learning rates come from."""
    found, picked = latest(config, LRFinder), chosen_lr(config)
    choice = picked.lr if picked else found.choice if found else None
    origin = "chosen_lr" if picked else "lr_finder" if choice else "fallback"
    points = search.grid_points(config, choice)
    return points, "config" if config.grid.lr else origin


def fallback_point(config: Config) -> Hyperparameters:
    """Return the configuration's own point, for a run without any search."""
    rates = {"lr": config.train.fallback_lr, "weight_decay": config.train.fallback_weight_decay}
    return Hyperparameters(**rates, **config.model.model_dump(include=NETWORK))


def searches(config: Config) -> list[search.GridSearch]:
    """Return the grid and the refined grid of this run, as far as there are any."""
    found = (latest(config, search.Grid), latest(config, search.RefinedGrid))
    return [one for one in found if one]


def finalists(config: Config) -> list[tuple[str, Fit]]:
    """Pick the finalists of the searches of this run: stage and trial of each."""
    finder = latest(config, LRFinder)
    rate = finder.choice if finder else None
    return search.choose_finalists(searches(config), config.finalists.count, rate)


def current_finalists(config: Config) -> search.Finalists | None:
    """Return the finalists of this run's latest searches; ``None`` if these are others."""
    found = latest(config, search.Finalists)
    points = [trial.hyperparameters for _, trial in finalists(config)]
    same = found and [f.hyperparameters for f in found.finalists] == points
    return found if same else None


def final_config(config: Config) -> tuple[Config, dict[str, str]]:
    """Return the final training, and where each hyperparameter comes from."""
    stage, point = "fallback", fallback_point(config)
    decided, best = current_finalists(config), search.choose_finalists(searches(config), 1, None)
    if decided:
        stage, point = decided.stage, decided.leader.hyperparameters
    elif best:
        stage, point = best[0][0], best[0][1].hyperparameters
    given = config.train.model_dump(include=set(search.FACTORS), exclude_none=True)
    origin = dict.fromkeys(point.model_dump(), stage) | dict.fromkeys(given, "config")
    return trainings.training_config(config, point.model_copy(update=given), keep="best"), origin


def spatial_config(config: Config) -> Config:
    """Return the run's final training on the spatial split; refuse where there is none."""
    absence = spatial_absence(config)
    if absence:
        raise UserError(f"no spatial split beside the standard one: {absence.reason}")
    own = final_config(config)[0].train.model_dump(mode="json")
    return trainings.counted(override(on_spatial(config), {"train": own}))


# --- data, network, learning rate ---------------------------------------------------------------


def _on_images(
    kind: type[Record], rooms: tuple[str, ...], compute: Callable, *reads: str, **options: Any
) -> Callable[[Config], Any]:
    """Make a stage of a function of the configuration and the images."""

    @wraps(compute)
    def on(config: Config) -> Record:
        return compute(config, load_dataset(config))

    return stage(kind, *rooms, reads=reads, **options)(on)


explore_dataset = _on_images(
    *(audit.Audit, ("audit",), lambda config, images: audit.explore_dataset(images)),
    inputs=lambda config: {"source": load_dataset(config).source.location},
)
find_overlaps = _on_images(
    audit.Overlaps, ("audit",), lambda config, images: audit.find_overlaps(images)
)
verify_pipeline = stage(
    *(checks.Pipeline, "checks", "transforms", "loaders"),
    reads=(*BATCHES, "data.validation_limit", "data.test_limit"),
)(checks.verify_pipeline)
compute_baselines = _on_images(
    checks.Baselines, ("checks",), checks.compute_baselines, "data.train_limit"
)
test_model = stage(
    *(checks.Architecture, "checks", "model"),
    reads=("data.image_size", "model", "grid.blocks_per_stage", "grid.dilation_stage3"),
)(checks.test_model)
test_model.__test__ = False  # the course's name for the stage; pytest must not collect it
check_initial_loss = _on_images(
    *(checks.InitialLoss, LEARNT, checks.check_initial_loss),
    *(*BATCHES, "model", "initial_loss"),
)
overfit_small = _on_images(checks.Overfit, LEARNT, checks.overfit_small, *SMALL, "overfit")
shuffled_labels = _on_images(
    checks.ShuffledLabels, LEARNT, checks.learn_shuffled_labels, *SMALL, "overfit", "controls"
)
check_training = _on_images(
    *(checks.Sanity, LEARNT, checks.check_training),
    *(*BATCHES, *(f"train.{name}" for name in HOW), "model", "controls"),
)
lr_finder = _on_images(LRFinder, SWEPT, find_lr, *BATCHES, "model", "lr_finder")


# --- searches -----------------------------------------------------------------------------------


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
    config: Config, title: str, kind: Any, points: list[Hyperparameters], origin: str, own: Any
) -> Kept:
    how = {"max_epochs": own.epochs, "max_steps": None, "keep": "none"}
    trials = [trainings.training_config(config, point, own.train_limit, **how) for point in points]
    kept = train_all(title, named(kind.stage, trials))
    fits = [part.result for part in kept]
    return together(kind(trials=fits, epochs=own.epochs, origin=origin), kept)


@stage(search.Finalists)
def compare_finalists(config: Config) -> Kept[search.Finalists]:
    """Train the best points of the searches again, as long, with seeds that chose none."""
    chosen, count = finalists(config), config.finalists.seeds
    if not chosen:
        raise UserError(NO_GRID)
    seeds, found, every = range(config.seed + 1, config.seed + 1 + count), [], {}
    for _, trial in chosen:
        epochs, images = trial.length
        how = {"max_epochs": epochs, "max_steps": None, "keep": "best"}
        own = trainings.training_config(config, trial.hyperparameters, images, **how)
        every |= named(search.Finalists.stage, trainings.seeded(own, seeds))
    kept = train_all("Finalistes", every)
    for rank, (origin, trial) in enumerate(chosen):
        fits = [part.result for part in kept[rank * count : (rank + 1) * count]]
        own = {"origin": origin, "selected": trial.score, "fits": fits}
        found.append(search.Finalist(hyperparameters=trial.hyperparameters, **own))
    return together(search.Finalists(finalists=found), kept)


@stage(search.Comparisons)
def compare_curves(config: Config) -> search.Comparisons:
    """Pick the trials that differ from the best in one factor, in the grid or the refined one."""
    found = searches(config)
    if not found:
        raise UserError(NO_GRID)
    return search.compare(found[0])


# --- the final training -------------------------------------------------------------------------


def _weights(folder: Path) -> Writer:
    def write(path: Path) -> None:
        load_checkpoint(folder / WEIGHTS)  # sound, or said
        write_bytes(path, (folder / WEIGHTS).read_bytes())

    return write


@stage(Training)
def train(config: Config) -> Kept[Training]:
    """Train the final network and keep the checkpoint of its best validation accuracy.

    An engine trains beside it what the later stages will ask for.
    """
    own, origin = final_config(config)
    later = {} if config.compute.engine == "serial" else _trained_later(config, own)
    kept = _final_training(named(Training.stage, [own]) | later)
    point = kept.result.hyperparameters
    chosen = override(config, {f"train.{k}": v for k, v in point.model_dump().items()})

    def snapshot(path: Path) -> None:
        save_config_snapshot(chosen, path.parent)

    result = Training(fit=kept.result, origin=origin, batch_size=own.data.batch_size)
    return together(result, [kept], {WEIGHTS: _weights(kept.folder), "config.yaml": snapshot})


def _trained_later(config: Config, own: Config) -> dict[str, Config]:
    found = named(trainings.Seeds.stage, trainings.seeded(own, _further_seeds(config, own.seed)))
    if not spatial_absence(config):
        found |= named(SpatialEvaluation.stage, [spatial_config(config)])
    return found | (recipe_jobs(config) if config.recipe.name else {})


def _further_seeds(config: Config, own: int) -> list[int]:
    seeds = () if config.evaluate.checkpoint else config.train.seeds
    return [seed for seed in seeds if seed != own]


def _final_training(jobs: dict[str, Config]) -> Kept[Fit]:
    split = next(iter(jobs.values())).data.split
    kept, *_ = train_all(f"Entraînement final, découpage {split}", jobs)
    if not kept.result.epochs:
        raise UserError(f"final training diverged ({kept.result.diverged}); lower train.lr")
    return kept


def _with_final_network(config: Config) -> Config:
    own = final_config(config)[0].train
    return override(config, {f"model.{name}": getattr(own, name) for name in sorted(NETWORK)})


def _other_network(config: Config) -> dict[str, int] | None:
    own = _with_final_network(config).model
    return None if own == config.model else own.model_dump(include=NETWORK)


@stage(checks.FinalArchitecture)
def final_architecture(config: Config) -> checks.FinalArchitecture:
    """Count the parameters of the network that is trained in the end, layer by layer."""
    own = _with_final_network(config)
    alone = {
        f"grid.{name}": [value] for name, value in own.model.model_dump(include=NETWORK).items()
    }
    return checks.FinalArchitecture(**dict(checks.test_model(override(own, alone))))


@stage(
    *(FinalSweep, *SWEPT),
    reads=(*BATCHES, "model.channels", "lr_finder"),
    inputs=_other_network,
)
def check_lr(config: Config) -> FinalSweep:
    """Sweep the rate of the network that is trained in the end, if it is not swept yet."""
    return FinalSweep(**dict(find_lr(_with_final_network(config), load_dataset(config))))


# --- evaluation ---------------------------------------------------------------------------------


def train_if_missing(config: Config) -> Training | None:
    """Train if there is no checkpoint to evaluate; ``None`` if there is, or one is named."""
    if config.evaluate.checkpoint or trainings.checkpoint_path(config).is_file():
        return None
    return train(config)


@stage(Evaluation)
def evaluate(config: Config) -> Kept[Evaluation]:
    """Score the checkpoint on the test split; each checkpoint opens it once."""
    kept = trainings.score_checkpoint(config, trainings.checkpoint_path(config))

    def predictions(path: Path) -> None:
        table = trainings.kept_predictions(config, kept.result).table(kept.result.classes)
        write_csv(path, table.round(6).to_dict("records"))

    return together(kept.result, [kept], {"predictions.csv": predictions})


def _scored(config: Config) -> Evaluation:
    return trainings.score_checkpoint(config, trainings.checkpoint_path(config)).result


def _digest(config: Config) -> dict[str, str]:
    path = trainings.checkpoint_path(config)
    load_checkpoint(path)  # sound, or said
    return {"checkpoint": digest(path)}


@stage(evaluation.Errors, *SCORING.rooms, reads=SCORING.reads, inputs=_digest)
def analyse_errors(config: Config) -> evaluation.Errors:
    """Analyse the predictions that the evaluation kept: calibration, worst errors."""
    own = _scored(config)
    return evaluation.analyse(trainings.kept_predictions(config, own), own)


def _opened(config: Config) -> tuple[EuroSAT, Classifier]:
    dataset = load_dataset(config)
    network, _ = evaluation.open_checkpoint(config, dataset, trainings.checkpoint_path(config))
    return dataset, network


@stage(
    explain.Robustness,
    *("explain", *SCORING.rooms),
    reads=(*SCORING.reads, "evaluate.robustness_images"),
    inputs=_digest,
)
def measure_robustness(config: Config) -> explain.Robustness:
    """Turn, mirror and corrupt validation images, and count the answers that change."""
    return explain.measure(config, *_opened(config))


@stage(explain.Explanations, "explain", *SCORING.rooms, reads=SCORING.reads, inputs=_digest)
def explain_predictions(config: Config) -> explain.Explanations:
    """Map the evidence of right and wrong answers on validation images (Grad-CAM)."""
    found = trainings.kept_predictions(config, _scored(config))
    return explain.explain(config, *_opened(config), found.val_labels, found.val_logits)


@stage(trainings.Seeds)
def evaluate_seeds(config: Config) -> Kept[trainings.Seeds]:
    """Train and test the final configuration anew from the seeds, unless a checkpoint is named."""
    own = trainings.score_checkpoint(config, trainings.checkpoint_path(config))
    further = _further_seeds(config, own.result.seed)
    configs = trainings.seeded(final_config(config)[0], further)
    kept = train_all("Autres graines", named(trainings.Seeds.stage, configs))
    runs, diverged = [own.result], {}
    for one, part in zip(configs, kept, strict=True):
        if part.result.diverged:
            diverged[one.seed] = part.result.diverged
        else:
            runs.append(trainings.score_checkpoint(one, part.folder / WEIGHTS, "seed").result)
    found = trainings.Seeds(runs=runs, level=config.evaluate.confidence, diverged=diverged)
    return together(found, [own, *kept])


@stage(SpatialEvaluation)
def evaluate_spatial(config: Config) -> Kept[SpatialEvaluation]:
    """Train the final configuration on the spatial split, and open its test split for it once."""
    trained = _final_training(named(SpatialEvaluation.stage, [spatial_config(config)]))
    kept = trainings.score_checkpoint(on_spatial(config), trained.folder / WEIGHTS, "spatial")
    scores = kept.result.model_dump() | {"checkpoint": SPATIAL_CHECKPOINT}
    weights = {SPATIAL_CHECKPOINT: _weights(trained.folder)}
    return together(SpatialEvaluation(**scores), [trained, kept], weights)


@stage(trainings.SplitComparison)
def compare_splits(config: Config) -> trainings.SplitComparison:
    """Set the test accuracies on both splits side by side, or say why there is no spatial one.

    What the run had published of it is withdrawn if these are other images (the cache keeps it).
    """
    absence = spatial_absence(config)
    if absence:
        if absence.kind in ("synthetic", "split"):  # the run has left the real standard split
            withdraw(config, SpatialEvaluation)
            (config.paths.artifacts / SPATIAL_CHECKPOINT).unlink(missing_ok=True)
        return trainings.SplitComparison(absent=absence.kind, reason=absence.reason)
    limit, names = config.data.test_limit, []
    for split in (load_dataset(one).test for one in (config, on_spatial(config))):
        names.append({split.names[i] for i in subset(len(split), limit)})
    return trainings.SplitComparison(
        standard=evaluate(config),
        spatial=Evaluation(**evaluate_spatial(config).model_dump()),
        common=len(names[0] & names[1]),
        confidence_level=config.evaluate.confidence,
    )
