"""The stages of the experiment, in the order of the report.

Notebooks, command line, tests and workers call these. Every training is kept on its own; grids,
finalists, seeds and recipes are put together from trainings.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from eurosat_lib import (
    audit,
    baselines,
    calibration,
    checks,
    comparisons,
    evaluation,
    explain,
    fits,
    overlaps,
    search,
)
from eurosat_lib.checkpoint import load_checkpoint, sha256
from eurosat_lib.config import (
    Config,
    Recipe,
    load_recipe,
    override,
    save_config_snapshot,
)
from eurosat_lib.data import Absence, load_dataset, on_spatial, spatial_absence
from eurosat_lib.errors import UserError, explained
from eurosat_lib.evaluation import Evaluation, Predictions
from eurosat_lib.files import copy_file, locked, read_csv, write_csv
from eurosat_lib.loaders import subset
from eurosat_lib.lr_finder import LRFinder, find_lr, grid_rates
from eurosat_lib.progress import announce
from eurosat_lib.stages import (
    STAGES,
    Code,
    Kept,
    Record,
    keep,
    keep_part,
    latest,
    provenance_here,
    publish,
    result_path,
    stage,
    stage_of_parts,
    together,
    withdraw,
)
from eurosat_lib.train import WEIGHTS, Fit, Hyperparameters
from eurosat_lib.trainings import (
    ASIDE,
    BATCHES,
    HOW,
    IMAGES,
    TRAINING,
    counted,
    fallback_point,
    hyperparameters,
    seeded,
    train_all,
    training_config,
)

SCORING = (
    *(*IMAGES, "data.batch_size", "data.validation_limit", "data.test_limit"),
    *("model.channels", "evaluate.confidence", "evaluate.views"),
)
SCORING_ROOMS = ("model", "transforms", "loaders", "stats", "evaluation")
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
    "06_train": ("refined_grid_search", "compare_finalists", "train", "compare_curves"),
    "07_eval": (
        *("evaluate", "analyse_errors", "measure_robustness", "explain_predictions"),
        *("compare_finalists_on_test", "evaluate_seeds", "train_spatial", "evaluate_spatial"),
        *("compare_splits", "evaluate_spatial_seeds"),
    ),
}
ON_DEMAND = ("validate_recipe", "ablate_recipe", "train_recipe")  # section 8, if one asks for them
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
    *("checks", *TRAINING.rooms),
    reads=(*IMAGES, "seed", "data.batch_size", "model", "overfit", "controls"),
)
def shuffled_labels(config: Config, folder: Path) -> checks.ShuffledLabels:
    """Learn a few images by heart with true and with shuffled labels."""
    with explained(TOO_FAST.format(key="paramètre overfit_lr")):
        return checks.learn_shuffled_labels(
            config,
            load_dataset(config),
            lambda n, make: keep_part(folder / f"pair{n}.json", checks.Pair, make),
        )


@stage("checks", *TRAINING.rooms, reads=(*BATCHES, *HOW, "train.sides", "model", "controls"))
def check_training(config: Config, folder: Path) -> checks.Sanity:
    """Train briefly: twice the same, once on black images."""
    with explained(TOO_FAST.format(key="controls.lr de configs/config.yaml")):
        return checks.check_training(config, load_dataset(config))


@stage("lr_finder", *TRAINING.rooms, reads=(*BATCHES, "model", "lr_finder"))
def lr_finder(config: Config, folder: Path) -> LRFinder:
    """Sweep the learning rate, once per seed."""
    return find_lr(config, load_dataset(config))


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
    return withdraw(config, ChosenLR.stage)


def grid_points(config: Config) -> tuple[list[Hyperparameters], str]:
    """List the points of the grid, and where their learning rates come from."""
    found, picked = latest(config, LRFinder), chosen_lr(config)
    choice = picked.lr if picked else found.choice if found else None
    origin = "chosen_lr" if picked else "lr_finder" if choice else "fallback"
    points = search.grid_points(config, grid_rates(config, choice))
    return points, "config" if config.grid.lr else origin


@stage_of_parts()
def grid_search(config: Config) -> Kept[search.Grid]:
    """Train every point of the grid for a few epochs; finished trials are not run again."""
    points, origin = grid_points(config)
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
    kept = train_all(kind.stage.replace("_", " ").capitalize(), kind.stage, trials)
    trials = tuple(part.result for part in kept)
    return together(kind(trials=trials, epochs=own.epochs, origin=origin), kept)


@stage_of_parts()
def compare_finalists(config: Config) -> Kept[search.Finalists]:
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
    kept = train_all("Finalists", search.Finalists.stage, finalist_trainings(config))
    again = fits.candidates(part.result for part in kept)
    finalists = tuple(
        search.Finalist(origin=origin, selected=point.score, again=one)
        for (origin, point), one in zip(chosen, again, strict=True)
    )
    return together(search.Finalists(finalists=finalists), kept)


def finalist_trainings(config: Config) -> list[Config]:
    """List the trainings of the finalists, point by point; none before a search."""
    first = config.seed + config.grid.seeds
    seeds = range(first, first + config.finalists.seeds)
    return [
        training_config(one, point.hyperparameters, *point.length)
        for _, point in _chosen(config)
        for one in seeded(config, seeds)
    ]


def current_finalists(config: Config) -> search.Finalists | None:
    """Return the finalists of this run's latest searches; ``None`` if these are others."""
    found = latest(config, search.Finalists)
    points = [point.hyperparameters for _, point in _chosen(config)]
    same = found and [f.again.hyperparameters for f in found.finalists] == points
    return found if same else None


def _chosen(config: Config) -> list[tuple[str, fits.Candidate]]:
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


def _publish_training(config: Config, kept: Kept[fits.Training]) -> None:
    copy_file(kept.folder / WEIGHTS, config.paths.artifacts / WEIGHTS)
    point = kept.result.fit.hyperparameters
    chosen = override(config, {f"train.{k}": v for k, v in point.model_dump().items()})
    for place in (config.paths.artifacts, config.paths.runs / "train" / point.name):
        save_config_snapshot(chosen, place)


@stage_of_parts(_publish_training)
def train(config: Config) -> Kept[fits.Training]:
    """Train the final network and keep the checkpoint of its best validation accuracy.

    Raises:
        UserError: the loss stopped being finite in the first epoch.
    """
    own, origin = final_config(config)
    (kept,) = train_all("Final training", fits.Training.stage, [own])
    if not kept.result.epochs:
        raise UserError(
            f"final training diverged ({kept.result.diverged}); lower train.lr",
            "L’entraînement final a divergé dès la première époque\u00a0: choisir un LR plus "
            "petit (paramètre lr du notebook 06_train).",
        )
    result = fits.Training(
        fit=kept.result,
        origin=origin,
        planned_epochs=own.train.max_epochs,
        batch_size=config.data.batch_size,
        max_steps=own.train.max_steps,
    )
    return together(result, [kept])


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

    Raises:
        UserError: there is neither.
    """
    return search.compare(_grid(config))


def named_recipe(config: Config) -> Recipe:
    """Read the recipe that the configuration names.

    Raises:
        UserError: it names none, or there is none of that name.
    """
    if not config.recipe.name:
        raise UserError("which recipe? --recipe best, or recipe.name in the configuration")
    return load_recipe(config, config.recipe.name)


def _recipe_trainings(config: Config, recipe: Recipe) -> list[Config]:
    seeds = config.recipe.seeds or (config.seed,)
    return [counted(recipe.of(one)) for one in seeded(config, seeds)]


@stage_of_parts()
def validate_recipe(config: Config) -> Kept[comparisons.RecipeTrial]:
    """Train a recipe from each of its seeds, and judge it on validation; the test stays closed.

    To try recipes with: :func:`train_recipe` of the same one takes these trainings over.

    Raises:
        UserError: no recipe is named, or there is none of that name.
    """
    recipe = named_recipe(config)
    trainings = _recipe_trainings(config, recipe)
    kept = train_all(f"Recipe {recipe.name}", "validate_recipe", trainings)
    result = comparisons.RecipeTrial(
        name=recipe.name,
        title=recipe.title,
        settings=recipe_settings(trainings[0]),
        level=config.evaluate.confidence,
        fits=tuple(part.result for part in kept),
    )
    return together(result, kept)


def recipe_settings(config: Config) -> dict:
    """Return what a recipe decides, flat, as its results say it."""
    own = config.train.model_dump(mode="json", exclude=set(ASIDE))
    return own | {
        "epochs": config.train.max_epochs,
        "batch_size": config.data.batch_size,
        "statistics": config.preprocess.statistics,
        "augment": config.augment.model_dump(mode="json"),
        "views": config.evaluate.views,
    }


@stage_of_parts()
def ablate_recipe(config: Config) -> Kept[fits.Ablation]:
    """Train the protocol, then the recipe's first steps one by one, shortly; judge on validation.

    Steps that change nothing but the length, the validated epochs or the views are left out: all
    rows are as long, and are judged on one look at each image.

    Raises:
        UserError: no recipe is named, or there is none of that name.
    """
    recipe, own = named_recipe(config), config.recipe
    rows = ablation_rows(config, recipe)
    trainings = [one for _, row in rows for one in seeded(row, own.ablation_seeds)]
    names = [f"{recipe.name}_{i}_seed{s}" for i in range(len(rows)) for s in own.ablation_seeds]
    kept = train_all(f"Steps of {recipe.name}", "ablate_recipe", trainings, names)
    done, seeds = [part.result for part in kept], len(own.ablation_seeds)
    result = fits.Ablation(
        name=recipe.name,
        title=recipe.title,
        level=config.evaluate.confidence,
        epochs=own.ablation_epochs,
        train_images=done[0].train_images,
        rows=tuple(
            fits.AblationRow(name=name, fits=tuple(done[seeds * i : seeds * (i + 1)]))
            for i, (name, _) in enumerate(rows)
        ),
    )
    return together(result, kept)


def ablation_rows(config: Config, recipe: Recipe) -> list[tuple[str, Config]]:
    """Return name and configuration of each row, the start first; all are as long."""
    own, data = config.recipe, config.data
    side = own.ablation_image_size or data.image_size
    fixed = {
        "train.max_epochs": own.ablation_epochs,
        "evaluate.views": 1,
        "data.train_limit": own.ablation_limit or data.train_limit,
        "data.image_size": side,
        "augment.crop_padding": round(config.augment.crop_padding * side / data.image_size),
    }
    rows = [("départ : protocole", counted(recipe.after(config, 0, fixed)))]
    for count, step in enumerate(recipe.steps, start=1):
        row = counted(recipe.after(config, count, fixed))
        if row != rows[-1][1]:
            rows.append((step.name, row))
    return rows


@stage_of_parts()
def train_recipe(config: Config) -> Kept[comparisons.Recipes]:
    """Train a recipe from each of its seeds, and test the last weights of each.

    Raises:
        UserError: no recipe is named, there is none of that name, or a training diverged.
    """
    recipe = named_recipe(config)
    trainings = _recipe_trainings(config, recipe)
    absence = spatial_absence(config) if config.recipe.spatial else None
    if absence:
        announce(f"recipe.spatial: {absence.reason}; left out")
    spatial = config.recipe.spatial and not absence
    every = [*trainings, *([counted(on_spatial(trainings[0]))] if spatial else [])]
    names = [f"{recipe.name}_{own.data.split}_seed{own.seed}" for own in every]
    kept = train_all(f"Recipe {recipe.name}", "train_recipe", every, names)
    runs = [_recipe_run(*one, recipe) for one in zip(every, kept, strict=True)]
    result = comparisons.Recipes(
        name=recipe.name,
        title=recipe.title,
        steps=tuple(step.name for step in recipe.steps),
        settings=recipe_settings(trainings[0]),
        level=config.evaluate.confidence,
        runs=tuple(runs[: len(trainings)]),
        spatial=runs[-1] if spatial else None,
    )
    return together(result, kept)


def _recipe_run(config: Config, kept: Kept[Fit], recipe: Recipe) -> comparisons.RecipeRun:
    """Score the last weights of one training, in one look and in as many as the recipe has."""
    if kept.result.diverged:
        raise UserError(f"recipe {recipe.name}: training diverged ({kept.result.diverged})")

    def tested(views: int) -> Evaluation:
        """Score the weights, each image seen in so many views."""
        own = override(config, {"evaluate.views": views})
        return score_checkpoint(own, kept.folder / WEIGHTS, "recipe", recipe.name).result

    views = config.evaluate.views
    averaged = tested(views) if views > 1 else None
    return comparisons.RecipeRun(fit=kept.result, plain=tested(1), averaged=averaged)


def found_recipe(
    config: Config,
) -> tuple[comparisons.Recipes | None, fits.Ablation | None]:
    """Return the last results of ``train_recipe`` and ``ablate_recipe`` in this run, if any.

    The steps of another recipe than the trained one are left out.
    """
    found, steps = latest(config, comparisons.Recipes), latest(config, fits.Ablation)
    return found, steps if not (found and steps and found.name != steps.name) else None


def checkpoint_path(config: Config) -> Path:
    """Return the checkpoint to evaluate: the one that the configuration names, or the run's."""
    path = Path(config.evaluate.checkpoint or config.paths.artifacts / WEIGHTS).expanduser()
    return path if path.is_absolute() else Path(config.paths.root) / path


def train_if_missing(config: Config) -> fits.Training | None:
    """Train if there is no checkpoint to evaluate; ``None`` if there is, or one is named.

    Raises:
        UserError: the loss stopped being finite in the first epoch.
    """
    if config.evaluate.checkpoint or checkpoint_path(config).is_file():
        return None
    return train(config)


def score_checkpoint(
    config: Config, path: Path, role: str = "final", label: str = ""
) -> Kept[Evaluation]:
    """Score any checkpoint on the test split, and note the opening; nothing else is published.

    Args:
        config: sizes, preprocessing, device, views.
        path: of the checkpoint.
        role: what it is: the run's own (final), a given one, of a finalist, a further seed, the
            spatial split, a recipe.
        label: what the log calls it; its hyperparameters if not given.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    dataset = load_dataset(config)
    with explained(_unusable(config, path)):
        load_checkpoint(path)  # refuses a missing or damaged file before anything else
        digest = sha256(path)
        kept = keep(
            config,
            Evaluation,
            "evaluate",
            Code(SCORING_ROOMS, SCORING),
            {"checkpoint": digest},
            lambda own, folder: evaluation.evaluate_checkpoint(own, dataset, path, digest, folder),
        )
    if role == "final" and config.evaluate.checkpoint:
        role = "given"
    log_opening(config, kept, role, label)
    return kept


def _unusable(config: Config, path: Path) -> str:
    """Say in French what to do about a checkpoint that cannot be evaluated."""
    shown = os.path.relpath(path, config.paths.root)
    if not path.is_file():
        return (
            f"Le checkpoint {shown} n’existe pas\u00a0: exécuter d’abord le notebook 06_train, "
            "qui le produit."
        )
    return (
        f"Le checkpoint {shown} n’est pas utilisable ici\u00a0: relancer le notebook 06_train "
        "avec le profil, les images et les paramètres de ce notebook, ou en indiquer un autre "
        "(paramètre checkpoint)."
    )


def log_opening(config: Config, kept: Kept[Evaluation], role: str, label: str = "") -> None:
    """Note in ``test_openings.csv`` when the test split was opened for a checkpoint, once each."""
    path, result = config.paths.artifacts / "test_openings.csv", kept.result
    row = {
        "opened": kept.provenance["started"],
        "role": role,
        "checkpoint": result.checkpoint,
        "configuration": label or result.hyperparameters.name,
        "split": config.data.split,
        "views": str(config.evaluate.views),
        "seed": str(result.seed),
        "epoch": str(result.epoch),
        "sha256": result.checkpoint_sha256,
        "images": str(result.n),
    }
    with locked(path.with_name(".test_openings.lock")):
        rows = [{key: old.get(key, "") for key in row} for old in read_csv(path)]
        if row not in rows:
            write_csv(path, [*rows, row])


def kept_predictions(config: Config, found: Evaluation) -> Predictions:
    """Load what the network said of each image when the test split was opened."""
    with explained(
        "Les prédictions gardées manquent ou sont abîmées\u00a0: supprimer le dossier indiqué "
        "ci-dessous, puis réexécuter le notebook 07_eval."
    ):
        return Predictions.load(config.paths.stages / found.stored)


def _publish_predictions(config: Config, kept: Kept[Evaluation]) -> None:
    rows = list(kept_predictions(config, kept.result).rows(kept.result.classes))
    write_csv(config.paths.artifacts / "predictions.csv", rows)


@stage_of_parts(_publish_predictions)
def evaluate(config: Config) -> Kept[Evaluation]:
    """Score the checkpoint on the test split; each checkpoint opens it once.

    Raises:
        UserError: the checkpoint is missing, damaged, or made for another configuration.
    """
    return score_checkpoint(config, checkpoint_path(config))


def _scored(config: Config) -> Evaluation:
    return score_checkpoint(config, checkpoint_path(config)).result


def _digest(config: Config) -> dict[str, str]:
    return {"checkpoint": _scored(config).checkpoint_sha256}


@stage("calibration", *SCORING_ROOMS, reads=SCORING, inputs=_digest)
def analyse_errors(config: Config, folder: Path) -> calibration.Errors:
    """Analyse the predictions that the evaluation kept: calibration, risk, doubtful labels.

    Raises:
        UserError: the checkpoint cannot be evaluated.
    """
    own = _scored(config)
    found, level = kept_predictions(config, own), config.evaluate.confidence
    return calibration.analyse(found, own.classes, level, own.checkpoint_sha256)


@stage(
    *("explain", *SCORING_ROOMS),
    reads=(*SCORING, "evaluate.robustness_images"),
    inputs=_digest,
)
def measure_robustness(config: Config, folder: Path) -> explain.Robustness:
    """Turn, mirror and corrupt validation images, and count the answers that change.

    Raises:
        UserError: the checkpoint cannot be evaluated.
    """
    dataset, path = load_dataset(config), checkpoint_path(config)
    model, _, runtime = evaluation.open_checkpoint(config, dataset, path)
    return explain.measure(config, dataset, model, runtime, sha256(path))


@stage("explain", *SCORING_ROOMS, reads=SCORING, inputs=_digest)
def explain_predictions(config: Config, folder: Path) -> explain.Explanations:
    """Map the evidence of right and wrong answers on validation images (Grad-CAM).

    Raises:
        UserError: the checkpoint cannot be evaluated.
    """
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
    found = current_finalists(config)
    if found:
        first = {hyperparameters(own): own for own in reversed(finalist_trainings(config))}
        best = [f for f in found.ranking if not f.again.diverged][:2]
    if len(best) < 2:
        empty = comparisons.FinalistsOnTest(level=level)
        return Kept(empty, provenance_here(config), Path())
    own = [first[finalist.again.hyperparameters] for finalist in best]
    trained = train_all("Finalists", search.Finalists.stage, own)
    tested = [score_checkpoint(config, kept.folder / WEIGHTS, "finalist") for kept in trained]
    only = comparisons.discordant(*(kept_predictions(config, one.result) for one in tested))
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
                checkpoint_sha256=one.result.checkpoint_sha256,
                epoch=one.result.epoch,
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

    Raises:
        UserError: the run's checkpoint cannot be evaluated.
    """
    own = score_checkpoint(config, checkpoint_path(config))
    seeds = () if config.evaluate.checkpoint else config.train.seeds
    return _again(final_config(config)[0], comparisons.Seeds, own, seeds)


def _again(config: Config, kind, own: Kept[Evaluation], seeds: Sequence[int]) -> Kept:
    """Train and test a training anew from other seeds than the run's own."""
    others = [seed for seed in dict.fromkeys(seeds) if seed != own.result.seed]
    trainings = seeded(config, others)
    kept = train_all("Further seeds", kind.stage, trainings)
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


def _on_spatial(config: Config) -> Config:
    absence = spatial_absence(config)
    if absence:
        raise UserError(f"no spatial split beside the standard one: {absence.reason}")
    return on_spatial(config)


def spatial_config(config: Config) -> Config:
    """Return the run's final training, on the spatial split.

    Raises:
        UserError: there is no spatial split here.
    """
    own = final_config(config)[0].train.model_dump(mode="json")
    return counted(override(_on_spatial(config), {"train": own}))


def _publish_spatial(config: Config, kept: Kept[comparisons.SpatialTraining]) -> None:
    copy_file(kept.folder / WEIGHTS, config.paths.artifacts / SPATIAL_CHECKPOINT)


@stage_of_parts(_publish_spatial)
def train_spatial(config: Config) -> Kept[comparisons.SpatialTraining]:
    """Train the final configuration on the spatial split, for as many epochs.

    Nothing of the standard run is touched: the checkpoint is ``best_spatial.ckpt``.

    Raises:
        UserError: there is no spatial split here, or the loss stopped being finite at once.
    """
    own = spatial_config(config)
    title, name = "Final training, spatial split", comparisons.SpatialTraining.stage
    (kept,) = train_all(title, name, [own])
    if not kept.result.epochs:
        raise UserError(
            f"training on the spatial split diverged ({kept.result.diverged})",
            "L’entraînement sur le découpage spatial a divergé\u00a0: choisir un LR plus petit.",
        )
    result = comparisons.SpatialTraining(
        fit=kept.result,
        planned_epochs=own.train.max_epochs,
        batch_size=config.data.batch_size,
    )
    return together(result, [kept])


@stage_of_parts()
def evaluate_spatial(config: Config) -> Kept[comparisons.SpatialEvaluation]:
    """Score that checkpoint on the spatial test split, opened once for it; trains first if needed.

    Raises:
        UserError: there is no spatial split here, or the checkpoint is damaged.
    """
    train_spatial(config)
    path = config.paths.artifacts / SPATIAL_CHECKPOINT
    kept = score_checkpoint(_on_spatial(config), path, "spatial")
    return together(comparisons.SpatialEvaluation(evaluation=kept.result), [kept])


@stage_of_parts()
def compare_splits(config: Config) -> Kept[comparisons.SplitComparison]:
    """Set the test accuracies on both splits side by side.

    Where there is no spatial split, the result says why, and holds no numbers; what the run had
    published for it is withdrawn if these were other images (the cache keeps it).

    Raises:
        UserError: the standard checkpoint is missing, damaged, or made for another configuration.
    """
    absence = spatial_absence(config)
    if absence:
        _forget_spatial(config, absence)
        found = comparisons.SplitComparison(absent=absence.kind, reason=absence.reason)
    else:
        standard, training = evaluate(config), train_spatial(config)
        spatial = evaluate_spatial(config).evaluation
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
        withdraw(config, "train_spatial", "evaluate_spatial")
        for name in (SPATIAL_CHECKPOINT, "history_spatial.csv", "metrics_spatial.json"):
            (config.paths.artifacts / name).unlink(missing_ok=True)


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

    Raises:
        UserError: the spatial training diverged at once, or its checkpoint is damaged.
    """
    if spatial_absence(config):
        empty = comparisons.SpatialSeeds(runs=(), level=config.evaluate.confidence)
        return Kept(empty, provenance_here(config), Path())
    evaluate_spatial(config)
    cut = spatial_config(config)
    kept = score_checkpoint(cut, config.paths.artifacts / SPATIAL_CHECKPOINT, "spatial")
    return _again(cut, comparisons.SpatialSeeds, kept, config.spatial.seeds)


STAGE_NAMES = tuple(STAGES)
