"""Stage of what each step of a recipe brings."""

from __future__ import annotations

from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.config.recipes import Recipe, Settings
from eurosat_lib.progress import Bar
from eurosat_lib.recipe import Ablation, AblationRow
from eurosat_lib.stages.core import run_stage
from eurosat_lib.stages.recipe_fits import READS, kept_fit, named_recipe, recipe_bar

CUTS = ("recipe.ablation_limit", "recipe.ablation_image_size")


def ablate_recipe(config: Config) -> Ablation:
    """Train the protocol, then the recipe's first steps one by one, shortly; judge on validation.

    Steps that change nothing but the length, the validated epochs or the views are left out: all
    rows are as long, and are judged on one look at each image.

    Raises:
        UserError: no recipe is named, or there is none of that name.
    """
    recipe, own = named_recipe(config), config.recipe
    rows = ablation_rows(recipe, own.ablation_epochs)
    cut = _cut(config)
    seeds = [cut.model_copy(update={"seed": seed}) for seed in own.ablation_seeds]

    def compute(_: Path) -> Ablation:
        """Train every row from every seed."""
        with recipe_bar(f"Steps of {recipe.name}", seeds * len(rows), rows[0][1]) as bar:
            done = tuple(
                _row(seeds, name, settings, bar, f"{Ablation.stage}/{recipe.name}_{count}")
                for count, (name, settings) in enumerate(rows)
            )
        return Ablation(
            name=recipe.name,
            title=recipe.title,
            level=config.evaluate.confidence,
            epochs=own.ablation_epochs,
            train_images=done[0].fits[0].train_images,
            rows=done,
        )

    content = [(name, settings.model_dump(mode="json")) for name, settings in rows]
    reads = (*READS, *CUTS, "recipe.ablation_seeds", "evaluate.confidence")
    return run_stage(config, Ablation, "recipe", reads, compute, rows=content, recipe=recipe.name)


def ablation_rows(recipe: Recipe, epochs: int) -> list[tuple[str, Settings]]:
    """Return name and settings of each row, ``protocol.yaml`` first; all are ``epochs`` long."""
    fixed = {"epochs": epochs, "validate_every": epochs, "views": 1}
    rows = [("départ : protocole", recipe.after(0, fixed))]
    for count, step in enumerate(recipe.steps, start=1):
        settings = recipe.after(count, fixed)
        if settings != rows[-1][1]:
            rows.append((step.name, settings))
    return rows


def _cut(config: Config) -> Config:
    """Return the configuration with the images of a row: how many, and their side."""
    own, data = config.recipe, config.data
    images = {
        "train_limit": own.ablation_limit or data.train_limit,
        "image_size": own.ablation_image_size or data.image_size,
    }
    return config.model_copy(update={"data": data.model_copy(update=images)})


def _row(seeds: list[Config], name: str, settings: Settings, bar: Bar, run: str) -> AblationRow:
    fits = [kept_fit(own, settings, bar, f"{run}_seed{own.seed}")[0] for own in seeds]
    return AblationRow(name=name, fits=tuple(fits))
