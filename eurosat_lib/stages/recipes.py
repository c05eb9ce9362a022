"""Stages of a recipe: its trainings, judged on validation alone, or tested."""

from __future__ import annotations

from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.config.recipes import Recipe
from eurosat_lib.data.spatial import on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.progress import Bar, announce
from eurosat_lib.recipe import Ablation, RecipeRun, Recipes, RecipeTrial
from eurosat_lib.stages import openings
from eurosat_lib.stages.core import latest, run_stage
from eurosat_lib.stages.final import score_checkpoint
from eurosat_lib.stages.recipe_fits import READS, kept_fit, named_recipe, recipe_bar


def train_recipe(config: Config) -> Recipes:
    """Train a recipe from each of its seeds, and test the last weights of each.

    Raises:
        UserError: no recipe is named, there is none of that name, or a training diverged.
    """
    recipe = named_recipe(config)
    seeds = config.recipe.seeds or (config.seed,)
    first = config.model_copy(update={"seed": seeds[0]})
    cut = _spatial(first)
    trained = [config.model_copy(update={"seed": seed}) for seed in seeds]
    content = recipe.model_dump(mode="json")

    def compute(_: Path) -> Recipes:
        """Train and test every seed, then the spatial split."""
        every = [*trained, cut] if cut else trained
        with recipe_bar(f"Recipe {recipe.name}", every, recipe.settings) as bar:
            return Recipes(
                name=recipe.name,
                title=recipe.title,
                steps=tuple(step.name for step in recipe.steps),
                settings=recipe.settings.model_dump(mode="json"),
                level=config.evaluate.confidence,
                runs=tuple(_run(own, recipe, bar) for own in trained),
                spatial=_run(cut, recipe, bar) if cut else None,
            )

    reads = (*READS, "data.test_limit", "evaluate.confidence", "recipe.spatial")
    return run_stage(config, Recipes, "recipe", reads, compute, recipe=content, seeds=seeds)


def validate_recipe(config: Config) -> RecipeTrial:
    """Train a recipe from each of its seeds, and judge it on validation; the test stays closed.

    To try recipes with: :func:`train_recipe` of the same one takes these trainings over.

    Raises:
        UserError: no recipe is named, or there is none of that name.
    """
    recipe = named_recipe(config)
    seeds = config.recipe.seeds or (config.seed,)
    every = [config.model_copy(update={"seed": seed}) for seed in seeds]

    def compute(_: Path) -> RecipeTrial:
        """Train every seed."""
        with recipe_bar(f"Recipe {recipe.name}", every, recipe.settings) as bar:
            fits = [
                kept_fit(own, recipe.settings, bar, _run_name(own, recipe))[0] for own in every
            ]
        return RecipeTrial(
            name=recipe.name,
            title=recipe.title,
            settings=recipe.settings.model_dump(mode="json"),
            level=config.evaluate.confidence,
            fits=tuple(fits),
        )

    reads, content = (*READS, "evaluate.confidence"), recipe.model_dump(mode="json")
    return run_stage(config, RecipeTrial, "recipe", reads, compute, recipe=content, seeds=seeds)


def _spatial(config: Config) -> Config | None:
    """Return the configuration on the spatial split, if it is asked for and there."""
    absence = spatial_absence(config) if config.recipe.spatial else None
    if absence:
        announce(f"recipe.spatial: {absence.reason}; left out")
    return on_spatial(config) if config.recipe.spatial and not absence else None


def _run(config: Config, recipe: Recipe, bar: Bar) -> RecipeRun:
    """Train from one seed, or take the kept training, and score its last weights."""
    fit, own, path = kept_fit(config, recipe.settings, bar, _run_name(config, recipe))
    if fit.diverged:
        raise UserError(f"recipe {recipe.name}: training diverged ({fit.diverged})")

    def tested(views: int) -> Evaluation:
        """Score the weights, each image seen in so many views."""
        split = "" if config.data.split == "standard" else f" {config.data.split},"
        label = f"{recipe.name},{split} {views} view{'s' if views > 1 else ''}"
        return score_checkpoint(own, path, openings.RECIPE, views > 1, label)[0]

    views = recipe.settings.views
    return RecipeRun(fit=fit, plain=tested(1), averaged=tested(views) if views > 1 else None)


def _run_name(config: Config, recipe: Recipe) -> str:
    split = "" if config.data.split == "standard" else "_spatial"
    return f"{Recipes.stage}/{recipe.name}_seed{config.seed}{split}"


def found_recipe(config: Config) -> tuple[Recipes | None, Ablation | None]:
    """Return the last results of ``train_recipe`` and ``ablate_recipe`` in this run, if any.

    The steps of another recipe than the trained one are left out.
    """
    found, steps = latest(config, Recipes), latest(config, Ablation)
    return found, steps if not (found and steps and found.name != steps.name) else None
