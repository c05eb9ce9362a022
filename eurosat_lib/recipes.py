"""Recipes: another way to train the network, apart from the protocol, and what it brings."""

from itertools import pairwise
from typing import Any

import numpy as np

from eurosat_lib import trainings
from eurosat_lib.config import Config, Recipe, load_recipe, override
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, right_on_validation
from eurosat_lib.jobs import train_all
from eurosat_lib.sources import digest
from eurosat_lib.stages import Kept, Record, latest, stage, together
from eurosat_lib.stats import FEWEST, mean_interval, newcombe, paired_difference, summarise_seeds
from eurosat_lib.train import WEIGHTS, Fit
from eurosat_lib.trainings import NETWORK, SCORING, Training, kept_predictions


class Ablation(Record, stage="ablate_recipe"):
    """What each step of a recipe brings to a short training, on validation, in their order."""

    name: str
    epochs: int
    train_images: int
    steps: tuple[str, ...]  # in French, the start first
    fits: tuple[tuple[Fit, ...], ...]  # of each step, one for each seed

    def scores(self) -> list[list[float]]:
        """Validation accuracy of the last weights per step and seed; 0 where it diverged."""
        return [[fit.val_accuracy for fit in fits] for fits in self.fits]

    def gains(self) -> list[tuple[float, float, float] | None]:
        """Gain of each step over the one before, with its interval; ``None`` where there is none.

        From three seeds on it is Student's interval of the differences by seed; with fewer it is
        Newcombe's for as many images as validation has, which says nothing of another training.
        """
        gains: list[tuple[float, float, float] | None] = [None]
        for before, after in pairwise(self.fits):
            pair = np.array([[fit.val_accuracy for fit in fits] for fits in (after, before)])
            differences, n = pair[0] - pair[1], after[0].validation_images
            if len(differences) >= FEWEST:
                ends = mean_interval(differences)
            else:
                new, old = (round(float(mean) * n) for mean in pair.mean(1))
                ends = newcombe(new, n, old, n)
            broken = any(fit.diverged for fit in before + after)
            gains.append(None if broken else (float(differences.mean()), *ends))
        return gains

    def facts(self) -> dict[str, Any]:
        """Return what was trained; the scores are in the table."""
        own = self.model_dump(include={"name", "epochs", "train_images"})
        return own | {"seeds": [fit.seed for fit in self.fits[0]]}


class RecipeRun(Record):
    """A training and its scores on the test images."""

    fit: Fit
    scored: Evaluation  # as the recipe is written: it may average looks at the 8 symmetries


class Recipes(Record, stage="train_recipe"):
    """A recipe trained and tested from one or more seeds."""

    name: str
    title: str  # in French
    steps: tuple[str, ...]  # what changes the protocol, in French
    runs: tuple[RecipeRun, ...]

    def facts(self) -> dict[str, Any]:
        """Return the accuracies, counts and interval those of the first seed."""
        scores, own = [run.scored for run in self.runs], self.runs[0].scored
        return {
            **self.model_dump(mode="json", include={"name", "steps"}),
            "seeds": [run.fit.seed for run in self.runs],
            "count": len(self.runs),
            "epochs": len(self.runs[0].fit.epochs),
            "accuracy": summarise_seeds([one.accuracy for one in scores]),
            "val_accuracy": summarise_seeds([one.val_accuracy for one in scores]),
            "n": own.n,
            "correct": own.correct,
            "low": own.interval[0],
            "high": own.interval[1],
        }


class BesideProtocol(Record, stage="beside"):
    """A recipe beside the final training of the run, on the same validation images.

    The recipe's first seed at its last epoch, against the protocol's best epoch, which its own
    validation has picked: in the protocol's favour.
    """

    gain: float  # of validation accuracy
    low: float  # its paired interval
    high: float
    same_network: bool
    blocks_per_stage: int  # of the recipe's network
    dilation_stage3: int


def named_recipe(config: Config) -> Recipe:
    """Read the recipe that the configuration names."""
    if not config.recipe.name:
        raise UserError("which recipe? --recipe best, or recipe.name in the configuration")
    return load_recipe(config, config.recipe.name)


def ablation_rows(config: Config, recipe: Recipe) -> list[tuple[str, Config]]:
    """Return name and configuration of each row, the start first; all are as long."""
    own, data = config.recipe, config.data
    side = own.ablation_image_size or data.image_size
    fixed = {
        "train.max_epochs": own.ablation_epochs,
        "evaluate.views": 1,
        "data.train_limit": own.ablation_limit or data.train_limit,
        "data.image_size": side,
    }
    rows: list[tuple[str, Config]] = []
    for count, name in enumerate(["départ : protocole", *recipe.steps]):
        row = recipe.after(config, count)
        scaled = round(row.augment.crop_padding * side / row.data.image_size)
        row = trainings.counted(override(row, fixed | {"augment.crop_padding": scaled}))
        if not rows or row != rows[-1][1]:
            rows.append((name, row))
    return rows


@stage(Ablation)
def ablate_recipe(config: Config) -> Kept[Ablation]:
    """Train the protocol, then the recipe's first steps one by one, shortly; judge on validation.

    Steps that change nothing but the length, ``data.image_size`` or the views are left out: all
    rows are as long, and are judged on one look at each image.
    """
    recipe, own = named_recipe(config), config.recipe
    rows, count = ablation_rows(config, recipe), len(own.ablation_seeds)
    jobs = {
        f"{Ablation.stage}/{recipe.name}_{rank}_seed{one.seed}": one
        for rank, (_, row) in enumerate(rows)
        for one in trainings.seeded(row, own.ablation_seeds)
    }
    kept = train_all(f"Étapes de {recipe.name}", jobs)
    result = Ablation(
        name=recipe.name,
        epochs=own.ablation_epochs,
        train_images=kept[0].result.train_images,
        steps=[name for name, _ in rows],
        fits=[[part.result for part in kept[k : k + count]] for k in range(0, len(kept), count)],
    )
    return together(result, kept)


def recipe_jobs(config: Config) -> dict[str, Config]:
    """Name the trainings of a recipe, one for each of its seeds."""
    recipe = named_recipe(config)
    place = f"{Recipes.stage}/{recipe.name}_{config.data.split}_seed"
    seeded = trainings.seeded(config, config.recipe.seeds or [config.seed])
    return {f"{place}{one.seed}": trainings.counted(recipe.after(one)) for one in seeded}


@stage(Recipes)
def train_recipe(config: Config) -> Kept[Recipes]:
    """Train a recipe from each of its seeds, and test the last weights of each."""
    recipe, runs, jobs = named_recipe(config), [], recipe_jobs(config)
    kept = train_all(f"Recette {recipe.name}", jobs)
    for own, part in zip(jobs.values(), kept, strict=True):
        if part.result.diverged:
            raise UserError(f"recipe {recipe.name}: training diverged ({part.result.diverged})")
        scored = trainings.score_checkpoint(own, part.folder / WEIGHTS, "recipe", recipe.name)
        runs.append(RecipeRun(fit=part.result, scored=scored.result))
    steps = list(recipe.steps)
    found = Recipes(name=recipe.name, title=recipe.title, steps=steps, runs=runs)
    return together(found, kept)


def found_recipe(config: Config) -> tuple[Recipes | None, Ablation | None]:
    """Return the last recipe of this run and the ablation of that very recipe, if any."""
    found, steps = latest(config, Recipes), latest(config, Ablation)
    if found and steps and not {steps.name, *steps.steps[1:]} <= {found.name, *found.steps}:
        steps = None  # of another recipe; the first step is the start, which all have
    return found, steps


def _recipe_and_own(config: Config) -> dict[str, str] | None:
    recipe, own = latest(config, Recipes), config.paths.artifacts / WEIGHTS
    if not (recipe and latest(config, Training)):
        return None
    there = digest(own) if own.is_file() else ""
    return {"recipe": recipe.runs[0].scored.stored, "own": there}


@stage(BesideProtocol, "recipes", *SCORING.rooms, reads=SCORING.reads, inputs=_recipe_and_own)
def beside_protocol(config: Config) -> BesideProtocol:
    """Set recipe and final training, if there are both, side by side; the test stays closed."""
    recipe, training = latest(config, Recipes), latest(config, Training)
    path, scored = config.paths.artifacts / WEIGHTS, recipe.runs[0].scored
    own = right_on_validation(config, load_dataset(config), path)
    theirs = kept_predictions(config, scored).right_on_validation
    if len(theirs) != len(own):
        raise UserError("beside: other validation images than the recipe's; train_recipe again")
    only = int((theirs & ~own).sum()), int((own & ~theirs).sum())
    low, high = paired_difference(*only, len(own))
    shape = scored.hyperparameters.model_dump(include=NETWORK)
    same = shape.items() <= training.fit.hyperparameters.model_dump().items()
    gain = (only[0] - only[1]) / len(own)
    return BesideProtocol(gain=gain, low=low, high=high, same_network=same, **shape)
