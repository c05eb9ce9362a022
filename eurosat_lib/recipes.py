"""Stages of a recipe, another way to train the network: judged, tested, taken apart."""

from __future__ import annotations

from pathlib import Path

from eurosat_lib import comparisons, fits
from eurosat_lib.checkpoint import load_checkpoint, sha256
from eurosat_lib.config import Config, Recipe, load_recipe, override
from eurosat_lib.data import load_dataset, on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, right_on_validation
from eurosat_lib.progress import announce
from eurosat_lib.scoring import SCORING, SCORING_ROOMS, kept_predictions, score_checkpoint
from eurosat_lib.stages import Kept, latest, stage, stage_of_parts, together
from eurosat_lib.train import WEIGHTS, Fit
from eurosat_lib.trainings import ASIDE, counted, seeded, train_all

RECIPE_STAGES = ("ablate_recipe", "train_recipe", "beside")


def named_recipe(config: Config) -> Recipe:
    """Read the recipe that the configuration names."""
    if not config.recipe.name:
        raise UserError("which recipe? --recipe best, or recipe.name in the configuration")
    return load_recipe(config, config.recipe.name)


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
    """
    recipe, own = named_recipe(config), config.recipe
    rows = ablation_rows(config, recipe)
    trainings = [one for _, row in rows for one in seeded(row, own.ablation_seeds)]
    names = [f"{recipe.name}_{i}_seed{s}" for i in range(len(rows)) for s in own.ablation_seeds]
    kept = train_all(f"Étapes de {recipe.name}", "ablate_recipe", trainings, names)
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


def recipe_trainings(config: Config, recipe: Recipe) -> list[Config]:
    """List the trainings of a recipe on the run's split, one for each of its seeds."""
    seeds = config.recipe.seeds or (config.seed,)
    return [counted(recipe.of(one)) for one in seeded(config, seeds)]


@stage_of_parts()
def train_recipe(config: Config) -> Kept[comparisons.Recipes]:
    """Train a recipe from each of its seeds, and test the last weights of each."""
    recipe = named_recipe(config)
    trainings = recipe_trainings(config, recipe)
    absence = spatial_absence(config) if config.recipe.spatial else None
    if absence:
        announce(f"recipe.spatial laissé de côté : {absence.reason}")
    spatial = config.recipe.spatial and not absence
    every = [*trainings, *([counted(on_spatial(trainings[0]))] if spatial else [])]
    names = [f"{recipe.name}_{own.data.split}_seed{own.seed}" for own in every]
    kept = train_all(f"Recette {recipe.name}", "train_recipe", every, names)
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


def _recipe_and_own(config: Config) -> dict[str, str]:
    recipe, own = latest(config, comparisons.Recipes), config.paths.artifacts / WEIGHTS
    load_checkpoint(own)  # refuses a missing or damaged file
    return {"recipe": recipe.first.scored.checkpoint_sha256, "own": sha256(own)}


@stage(
    *("comparisons", *SCORING_ROOMS),
    reads=SCORING,
    inputs=_recipe_and_own,
    when=lambda config: all(latest(config, one) for one in (comparisons.Recipes, fits.Training)),
)
def beside_protocol(config: Config, folder: Path) -> comparisons.BesideProtocol:
    """Set the trained recipe beside the final training, on the same validation images.

    ``None`` without a recipe. The test stays closed.

    Raises:
        UserError: the run's checkpoint is missing, damaged, or made for another configuration.
    """
    recipe, training = latest(config, comparisons.Recipes), latest(config, fits.Training)
    own = right_on_validation(config, load_dataset(config), config.paths.artifacts / WEIGHTS)
    theirs = kept_predictions(config, recipe.first.scored).right_on_validation
    return comparisons.beside_protocol(recipe, training, theirs, own)
