"""The stages of the experiment, in the order of the report, and what each takes from the others.

Notebooks, command line, tests and workers call these. Every training is kept on its own; grids,
finalists, seeds and recipes are put together from trainings. Whatever is wrong with what the user
gave is a ``UserError``: no search to build on, a training that diverged at once, a checkpoint that
is missing, damaged or made for another configuration.
"""

from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from eurosat_lib import audit, checks, evaluation, explain, search, trainings
from eurosat_lib import lr_finder as finders
from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.checks import check_initial_loss as check_initial_loss  # stages of these rooms
from eurosat_lib.checks import check_training as check_training
from eurosat_lib.checks import compute_baselines as compute_baselines
from eurosat_lib.checks import overfit_small as overfit_small
from eurosat_lib.checks import shuffled_labels as shuffled_labels
from eurosat_lib.checks import test_model as test_model
from eurosat_lib.checks import verify_pipeline as verify_pipeline
from eurosat_lib.classifier import Classifier
from eurosat_lib.config import Config, override, save_config_snapshot
from eurosat_lib.data import EuroSAT, load_dataset, on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, SpatialEvaluation
from eurosat_lib.files import check_open, write_bytes
from eurosat_lib.jobs import named, train_all
from eurosat_lib.lr_finder import find_lr as lr_finder
from eurosat_lib.recipes import beside_protocol as beside_protocol
from eurosat_lib.recipes import found_recipe as found_recipe
from eurosat_lib.recipes import recipe_jobs
from eurosat_lib.stages import Kept, Record, as_asked, latest, publish, stage, together, withdraw
from eurosat_lib.train import WEIGHTS, Fit, Hyperparameters
from eurosat_lib.trainings import BATCHES, NETWORK, SCORING, TRAINING, Training

NOTEBOOKS = {  # what each computes, in the order of the pipeline
    "01_data": "explore_dataset find_overlaps verify_pipeline",
    "02_baselines": "compute_baselines",
    "03_model_checks": "test_model check_initial_loss overfit_small shuffled_labels "
    "check_training",
    "04_lr_finder": "lr_finder",
    "05_grid": "grid_search",
    "06_train": "refined_grid_search compare_finalists train final_architecture compare_curves",
    "07_eval": "evaluate analyse_errors measure_robustness explain_predictions evaluate_seeds "
    "evaluate_spatial compare_splits",
}
NOTEBOOK_STAGES = {notebook: names.split() for notebook, names in NOTEBOOKS.items()}
ON_DEMAND = ("check_lr", "ablate_recipe", "train_recipe", "beside")  # not every run has them
STAGE_NAMES = (*chain(*NOTEBOOK_STAGES.values()), *ON_DEMAND)
SPATIAL_CHECKPOINT = "best_spatial.ckpt"
COURSE = {"keep": "best", "optimizer": "adam", "schedule": "constant", "warmup": 0}
NO_GRID = "no grid to compare: run grid_search first (notebook 05_grid)"


class ChosenLR(Record, stage="chosen_lr"):
    """A learning rate chosen by hand in notebook 04, and how it was read from the stored sweep."""

    lr: float
    rule: str  # of the finder, or "median" of all
    smoothing: float  # weight of the past, in [0, 1)


def chosen_lr(config: Config) -> ChosenLR | None:
    """Return the rate chosen by hand for this run, if there is one for this experiment."""
    return latest(config, ChosenLR)


def choose_lr(config: Config, choice: ChosenLR | None) -> None:
    """Have the grid take a choice instead of the finder's, or, with ``None``, withdraw it."""
    check_open(config.paths.artifacts)
    publish(config, Kept(choice, {})) if choice else withdraw(config, ChosenLR)


def _check_course(config: Config) -> None:
    """Refuse what the course leaves no choice of, and sentences of the report rest on."""
    for key, value in COURSE.items():
        if getattr(config.train, key) != value:
            told = f"the course's trainings have {value}; only a recipe may have another"
            raise UserError(f"train.{key}: {told}")


def grid_points(config: Config) -> tuple[list[Hyperparameters], str]:
    """List the points of the grid, and where their learning rates come from."""
    finder, picked = latest(config, finders.LRFinder), chosen_lr(config)
    if picked:
        choice, origin = picked.lr, "chosen_lr"
    elif finder and finder.choice:
        choice, origin = finder.choice, "lr_finder"
    else:
        choice, origin = None, "fallback"
    return search.grid_points(config, choice), "config" if config.grid.lr else origin


def fallback_point(config: Config) -> Hyperparameters:
    """Return the configuration's own point, for a run without any search."""
    rates = {"lr": config.train.fallback_lr, "weight_decay": config.train.fallback_weight_decay}
    return Hyperparameters(**rates, **config.model.model_dump(include=NETWORK))


def searches(config: Config) -> list[search.GridSearch]:
    """Return the grid and the refined grid of this run, as far as there are any."""
    found = (latest(config, search.Grid), latest(config, search.RefinedGrid))
    return [one for one in found if one]


def finalists(config: Config) -> list[tuple[str, Fit]]:
    """Pick the finalists of the searches of this run, the best first: stage and trial of each."""
    _check_course(config)
    finder = latest(config, finders.LRFinder)
    rate = finder.choice if finder else None
    return search.choose_finalists(searches(config), config.finalists.count, rate)


def final_config(config: Config) -> tuple[Config, dict[str, str]]:
    """Return the final training, and where each hyperparameter comes from.

    That is the configuration; else the finalists, if they are of the latest searches; else these.
    """
    chosen, decided = finalists(config), latest(config, search.Finalists)
    points = [trial.hyperparameters for _, trial in chosen]
    stage, point = (chosen[0][0], points[0]) if chosen else ("fallback", fallback_point(config))
    if decided and points == [one.hyperparameters for one in decided.finalists]:
        stage, point = decided.stage, decided.leader.hyperparameters
    given = config.train.model_dump(include=set(search.FACTORS), exclude_none=True)
    origin = dict.fromkeys(point.model_dump(), stage) | dict.fromkeys(given, "config")
    return trainings.training_config(config, point.model_copy(update=given), keep="best"), origin


def trained_config(config: Config) -> Config:
    """Return the run's final training as it was made; as it would be, while there is none.

    What follows it, in another notebook, need not have been given the same parameters.
    """
    made = latest(config, Training)
    if made is None:
        return final_config(config)[0]
    own = as_asked(config, Training, "train").model_copy(update={"seed": made.fit.seed})
    images = made.fit.train_images
    return trainings.training_config(own, made.fit.hyperparameters, images, keep="best")


def spatial_config(config: Config, own: Config) -> Config:
    """Return the final training on the spatial split; refuse where there is none."""
    if absent := spatial_absence(config):
        raise UserError(f"no spatial split beside the standard one: {absent}")
    same = {"seed": True, "train": True, "data": {"train_limit"}}
    theirs = override(on_spatial(config), own.model_dump(mode="json", include=same))
    return trainings.counted(theirs)


@stage(audit.Audit, "audit", inputs=lambda own: {"source": load_dataset(own).source.location})
def explore_dataset(config: Config) -> audit.Audit:
    """Count classes and faults over all images; limits of the configuration do not apply."""
    return audit.explore_dataset(load_dataset(config))


@stage(audit.Overlaps, "audit")
def find_overlaps(config: Config) -> audit.Overlaps:
    """Find the pairs of images that show the same ground."""
    return audit.find_overlaps(load_dataset(config))


@stage(search.Grid)
def grid_search(config: Config) -> Kept[search.Grid]:
    """Train every point of the grid for a few epochs; finished trials are not run again."""
    return _searched(config, "Grille", search.Grid, *grid_points(config), config.grid)


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
    _check_course(config)
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
    seeds, jobs, found = range(config.seed + 1, config.seed + 1 + count), {}, []
    for _, trial in chosen:
        how = {"max_epochs": trial.length[0], "max_steps": None, "keep": "best"}
        own = trainings.training_config(config, trial.hyperparameters, trial.train_images, **how)
        jobs |= named(search.Finalists.stage, trainings.seeded(own, seeds))
    kept = train_all("Finalistes", jobs)
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


def _copy_weights(source: Path, path: Path) -> None:
    """Publish the weights of a training; damaged ones are a UserError."""
    load_checkpoint(source)
    write_bytes(path, source.read_bytes())


@stage(Training)
def train(config: Config) -> Kept[Training]:
    """Train the final network and keep the checkpoint of its best validation accuracy.

    An engine trains beside it what the later stages will ask for.
    """
    own, origin = final_config(config)
    later = {} if config.compute.engine == "serial" else _trained_later(config, own)
    kept = _final_training(named(Training.stage, [own]) | later)
    whole = as_asked(as_asked(config, finders.LRFinder, "lr_finder"), search.Grid, "grid")
    chosen = override(whole, {"train": kept.result.hyperparameters.model_dump()})
    result = Training(fit=kept.result, origin=origin, batch_size=own.data.batch_size)
    more = {
        WEIGHTS: partial(_copy_weights, kept.folder / WEIGHTS),
        "config.yaml": lambda path: save_config_snapshot(chosen, path.parent),
    }
    return together(result, [kept], more)


def _trained_later(config: Config, own: Config) -> dict[str, Config]:
    found = named(trainings.Seeds.stage, trainings.seeded(own, _further_seeds(config, own.seed)))
    if not spatial_absence(config):
        found |= named(SpatialEvaluation.stage, [spatial_config(config, own)])
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
    return override(config, {"model": own.model_dump(include=NETWORK)})


def _other_network(config: Config) -> dict[str, Any] | None:
    own = _with_final_network(as_asked(config, finders.LRFinder, "lr_finder"))
    how = own.model.model_dump(include=NETWORK) | own.lr_finder.model_dump(mode="json")
    return None if own.model == config.model else how


@stage(checks.FinalArchitecture)
def final_architecture(config: Config) -> checks.FinalArchitecture:
    """Count the parameters of the network that is trained in the end, layer by layer."""
    drawn = test_model.__wrapped__(_with_final_network(config))
    return checks.FinalArchitecture(**dict(drawn))


@stage(
    finders.FinalSweep,
    "lr_finder",
    *TRAINING.rooms,
    reads=(*BATCHES, "model.channels"),
    inputs=_other_network,
)
def check_lr(config: Config) -> finders.FinalSweep:
    """Sweep the rate of the network that is trained in the end, if it is not swept yet."""
    own = _with_final_network(as_asked(config, finders.LRFinder, "lr_finder"))
    return finders.FinalSweep(**dict(lr_finder.__wrapped__(own)))


def train_if_missing(config: Config) -> Training | None:
    """Train if there is no checkpoint to evaluate; ``None`` if there is, or one is named."""
    if config.evaluate.checkpoint or trainings.checkpoint_path(config).is_file():
        return None
    return train(config)


@stage(Evaluation)
def evaluate(config: Config) -> Kept[Evaluation]:
    """Score the checkpoint on the test split; each checkpoint opens it once."""
    kept = trainings.score_checkpoint(config)
    table = trainings.kept_predictions(config, kept.result).table(kept.result.classes)
    return together(kept.result, [kept], {"predictions.csv": table.round(6).to_dict("records")})


def _digest(config: Config) -> dict[str, str]:
    return {"checkpoint": trainings.sound_digest(trainings.checkpoint_path(config))}


@stage(evaluation.Errors, *SCORING.rooms, reads=SCORING.reads, inputs=_digest)
def analyse_errors(config: Config) -> evaluation.Errors:
    """Analyse the predictions that the evaluation kept: calibration, worst errors."""
    own = trainings.score_checkpoint(config).result
    return evaluation.analyse(trainings.kept_predictions(config, own), own)


def _opened(config: Config) -> tuple[EuroSAT, Classifier]:
    dataset = load_dataset(config)
    network, _ = evaluation.open_checkpoint(config, dataset, trainings.checkpoint_path(config))
    return dataset, network


@stage(
    explain.Robustness,
    "explain",
    *SCORING.rooms,
    reads=(*SCORING.reads, "evaluate.robustness_images"),
    inputs=_digest,
)
def measure_robustness(config: Config) -> explain.Robustness:
    """Turn, mirror and corrupt validation images, and count the answers that change."""
    return explain.measure(config, *_opened(config))


@stage(explain.Explanations, "explain", *SCORING.rooms, reads=SCORING.reads, inputs=_digest)
def explain_predictions(config: Config) -> explain.Explanations:
    """Map the evidence of right and wrong answers on validation images (Grad-CAM)."""
    found = trainings.kept_predictions(config, trainings.score_checkpoint(config).result)
    return explain.explain(config, *_opened(config), found.val_labels, found.val_logits)


@stage(trainings.Seeds)
def evaluate_seeds(config: Config) -> Kept[trainings.Seeds]:
    """Train and test the final configuration anew from the seeds, unless a checkpoint is named."""
    own = trainings.score_checkpoint(config)
    further = _further_seeds(config, own.result.seed)
    configs = trainings.seeded(trained_config(config), further)
    kept = train_all("Autres graines", named(trainings.Seeds.stage, configs))
    runs, diverged = [own.result], {}
    for one, part in zip(configs, kept, strict=True):
        if part.result.diverged:
            diverged[one.seed] = part.result.diverged
        else:
            runs.append(trainings.score_checkpoint(one, part.folder / WEIGHTS, "seed").result)
    found = trainings.Seeds(runs=runs, diverged=diverged)
    return together(found, [own, *kept])


@stage(SpatialEvaluation)
def evaluate_spatial(config: Config) -> Kept[SpatialEvaluation]:
    """Train the final configuration on the spatial split, and open its test split for it once."""
    own = spatial_config(config, trained_config(config))
    trained = _final_training(named(SpatialEvaluation.stage, [own]))
    path = trained.folder / WEIGHTS
    kept = trainings.score_checkpoint(on_spatial(config), path, "spatial")
    scores = kept.result.model_dump() | {"checkpoint": SPATIAL_CHECKPOINT}
    weights = {SPATIAL_CHECKPOINT: partial(_copy_weights, path)}
    return together(SpatialEvaluation(**scores), [trained, kept], weights)


@stage(trainings.SplitComparison)
def compare_splits(config: Config) -> trainings.SplitComparison:
    """Set the test accuracies on both splits side by side, or say why there is no spatial one.

    What the run had published of it is withdrawn if these are other images (the cache keeps it).
    """
    if absent := spatial_absence(config):
        if config.data.split != "standard" or load_dataset(config).source.synthetic:
            withdraw(config, SpatialEvaluation)
        return trainings.SplitComparison(absent=absent)
    pair = evaluate(config), evaluate_spatial(config)
    names = [set(trainings.kept_predictions(config, one).names) for one in pair]
    return trainings.SplitComparison(
        standard=pair[0],
        spatial=Evaluation(**pair[1].model_dump()),
        common=len(set.intersection(*names)),
    )
