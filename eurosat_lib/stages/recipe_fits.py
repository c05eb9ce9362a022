"""One training of a recipe: found by name, kept by key, shown while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eurosat_lib.config import Config
from eurosat_lib.config.recipes import Recipe, Settings, load_recipe
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.progress import Bar, progress
from eurosat_lib.recipe import RecipeFit, fit_recipe, recipe_config
from eurosat_lib.recipe.fit import WEIGHTS
from eurosat_lib.stages import cache
from eurosat_lib.stages.core import FITTING

READS = (*FITTING, "data.train_limit", "model.blocks_per_stage", "model.dilation_stage3")


def named_recipe(config: Config) -> Recipe:
    """Read the recipe that the configuration names.

    Raises:
        UserError: it names none, or there is none of that name.
    """
    if not config.recipe.name:
        raise UserError("which recipe? --recipe best, or recipe.name in the configuration")
    return load_recipe(config, config.recipe.name)


@contextmanager
def recipe_bar(title: str, trainings: list[Config], settings: Settings) -> Iterator[Bar]:
    """Show how many images of all these trainings are done."""
    images = sum(_images(config) for config in trainings)
    with progress(title, total=images * settings.epochs, unit="images") as bar:
        yield bar


def _images(config: Config) -> int:
    total = len(load_dataset(config).train)
    return min(config.data.train_limit or total, total)


def kept_fit(
    config: Config, settings: Settings, bar: Bar, run: str
) -> tuple[RecipeFit, Config, Path]:
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
