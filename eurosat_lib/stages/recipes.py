"""Stages of a recipe: its trainings and their tests, and what each of its steps brings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.config.recipes import Recipe, Settings, load_recipe
from eurosat_lib.data import load_dataset
from eurosat_lib.data.spatial import on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.progress import Bar, progress
from eurosat_lib.recipe import (
    Ablation,
    AblationRow,
    RecipeFit,
    RecipeRun,
    Recipes,
    fit_recipe,
    recipe_config,
)
from eurosat_lib.recipe.fit import WEIGHTS
from eurosat_lib.stages import cache, openings
from eurosat_lib.stages.core import FITTING, latest, run_stage
from eurosat_lib.stages.final import score_checkpoint

READS = (*FITTING, "data.train_limit", "model.blocks_per_stage", "model.dilation_stage3")


def train_recipe(config: Config) -> Recipes:
    """Train a recipe from each of its seeds, and test the last weights of each.

    Raises:
        UserError: no recipe is named, there is none of that name, or a training diverged.
    """
    recipe = _recipe(config)
    seeds = config.recipe.seeds or (config.seed,)
    first = config.model_copy(update={"seed": seeds[0]})
    cut = on_spatial(first) if config.recipe.spatial and _has_spatial(config) else None
    trained = [config.model_copy(update={"seed": seed}) for seed in seeds]
    content = recipe.model_dump(mode="json")

    def compute(_: Path) -> Recipes:
        """Train and test every seed, then the spatial split."""
        every = [*trained, cut] if cut else trained
        with _bar(f"Recipe {recipe.name}", every, recipe.settings) as bar:
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


def ablate_recipe(config: Config) -> Ablation:
    """Train the protocol, then the recipe's first steps one by one, shortly; judge on validation.

    Steps that change nothing but the length, the validated epochs or the views are left out: all
    rows are as long, and are judged on one look at each image.

    Raises:
        UserError: no recipe is named, or there is none of that name.
    """
    recipe, own = _recipe(config), config.recipe
    limited = {"train_limit": own.ablation_limit or config.data.train_limit}
    config = config.model_copy(update={"data": config.data.model_copy(update=limited)})
    rows = ablation_rows(recipe, own.ablation_epochs)
    seeds = [config.model_copy(update={"seed": seed}) for seed in own.ablation_seeds]

    def compute(_: Path) -> Ablation:
        """Train every row from every seed."""
        with _bar(f"Steps of {recipe.name}", seeds * len(rows), rows[0][1]) as bar:
            done = tuple(
                _row(seeds, name, settings, bar, f"{Ablation.stage}/{recipe.name}_{count}")
                for count, (name, settings) in enumerate(rows)
            )
        return Ablation(
            name=recipe.name,
            title=recipe.title,
            epochs=own.ablation_epochs,
            train_images=done[0].fits[0].train_images,
            rows=done,
        )

    content = [(name, settings.model_dump(mode="json")) for name, settings in rows]
    reads = (*READS, "recipe.ablation_seeds")
    return run_stage(config, Ablation, "recipe", reads, compute, rows=content, recipe=recipe.name)


def ablation_rows(recipe: Recipe, epochs: int) -> list[tuple[str, Settings]]:
    """Return name and settings of each row, the protocol first; all are ``epochs`` long."""
    fixed = {"epochs": epochs, "validate_every": epochs, "views": 1}
    rows = [("protocole", recipe.after(0, fixed))]
    for count, step in enumerate(recipe.steps, start=1):
        settings = recipe.after(count, fixed)
        if settings != rows[-1][1]:
            rows.append((step.name, settings))
    return rows


def _recipe(config: Config) -> Recipe:
    if not config.recipe.name:
        raise UserError("which recipe? --recipe best, or recipe.name in the configuration")
    return load_recipe(config, config.recipe.name)


def _has_spatial(config: Config) -> bool:
    absence = spatial_absence(config)
    if absence:
        raise UserError(f"recipe.spatial: no spatial split here: {absence.reason}")
    return True


@contextmanager
def _bar(title: str, trainings: list[Config], settings: Settings) -> Iterator[Bar]:
    images = sum(_images(config) for config in trainings)
    with progress(title, total=images * settings.epochs, unit="images") as bar:
        yield bar


def _images(config: Config) -> int:
    total = len(load_dataset(config).train)
    return min(config.data.train_limit or total, total)


def _run(config: Config, recipe: Recipe, bar: Bar) -> RecipeRun:
    """Train from one seed, or take the kept training, and score its last weights."""
    split = "" if config.data.split == "standard" else "_spatial"
    name = f"{Recipes.stage}/{recipe.name}_seed{config.seed}{split}"
    fit, own, path = _fit(config, recipe.settings, bar, name)
    if fit.diverged:
        raise UserError(f"recipe {recipe.name}: training diverged ({fit.diverged})")
    averaged = recipe.settings.views > 1
    return RecipeRun(
        fit=fit,
        plain=score_checkpoint(own, path, openings.RECIPE)[0],
        averaged=score_checkpoint(own, path, openings.RECIPE, True)[0] if averaged else None,
    )


def _row(seeds: list[Config], name: str, settings: Settings, bar: Bar, run: str) -> AblationRow:
    fits = [_fit(own, settings, bar, f"{run}_seed{own.seed}")[0] for own in seeds]
    return AblationRow(name=name, fits=tuple(fits))


def _fit(config: Config, settings: Settings, bar: Bar, run: str) -> tuple[RecipeFit, Config, Path]:
    """Train, or take the kept training; return it, its configuration and its weights.

    Args:
        config: of the run, with the seed and the split.
        settings: the recipe.
        bar: counts the images.
        run: TensorBoard folder, below the run's.
    """
    dataset = load_dataset(config)
    own = recipe_config(config, settings, dataset.train)
    changes = settings.model_dump(mode="json", exclude={"views"})
    key = cache.stage_key(
        own, "recipe", "eurosat_lib.recipe.fit", READS, dataset.fingerprint, changes
    )
    before = bar.done

    def compute(folder: Path) -> RecipeFit:
        """Train, showing the progress."""
        return fit_recipe(
            own,
            dataset,
            settings,
            folder,
            own.paths.runs / run,
            on_batch=bar.advance,
            on_epoch=lambda e: bar.advance(0, f"epoch {e.epoch}, {_note(e.val_accuracy)}"),
        )

    fit, _ = cache.cached(own, RecipeFit, "recipe", key, compute)
    bar.advance(before + settings.epochs * fit.train_images - bar.done, run.rpartition("/")[2])
    return fit, own, cache.stage_folder(own, "recipe", key) / WEIGHTS


def _note(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"val {accuracy:.1%}"


def found_recipe(config: Config) -> tuple[Recipes | None, Ablation | None]:
    """Return the last results of ``train_recipe`` and ``ablate_recipe`` in this run, if any."""
    return latest(config, Recipes), latest(config, Ablation)
