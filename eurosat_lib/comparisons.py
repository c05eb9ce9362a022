"""What is compared: checkpoints on the test split, seeds, both splits, a recipe and the protocol.

Each checkpoint opens the test split once; every opening is noted, the predictions are kept.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from eurosat_lib.checkpoint import load_checkpoint, sha256
from eurosat_lib.config import Config, Recipe, load_recipe, override
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import (
    Evaluation,
    Predictions,
    evaluate_checkpoint,
    right_on_validation,
)
from eurosat_lib.files import locked, read_csv, write_csv
from eurosat_lib.fits import Ablation, AblationRow, Rows, Training
from eurosat_lib.stages import Code, Kept, Record, keep, latest, stage, together
from eurosat_lib.stats import Bounds, newcombe, paired_difference, summarise_seeds
from eurosat_lib.train import WEIGHTS, Fit
from eurosat_lib.trainings import IMAGES, counted, seeded, train_all

SCORING = (
    *(*IMAGES, "data.batch_size", "data.validation_limit", "data.test_limit"),
    *("model.channels", "evaluate.confidence", "evaluate.views"),
)
SCORING_ROOMS = ("model", "transforms", "loaders", "classifier", "stats", "evaluation")


def checkpoint_path(config: Config) -> Path:
    """Return the checkpoint to evaluate: the one that the configuration names, or the run's."""
    named = os.path.expanduser(config.evaluate.checkpoint or config.paths.artifacts / WEIGHTS)
    return Path(config.paths.root, named)


def score_checkpoint(
    config: Config, path: Path, role: str = "final", label: str = ""
) -> Kept[Evaluation]:
    """Score any checkpoint on the test split, and note the opening; nothing else is published.

    Args:
        config: sizes, preprocessing, device, views.
        path: of the checkpoint.
        role: what it is: the run's own (final), a given one, of a further seed, of the spatial
            split, of a recipe.
        label: what the log calls it; its hyperparameters if not given.
    """
    dataset = load_dataset(config)
    load_checkpoint(path)  # refuses a missing or damaged file before anything else
    digest = sha256(path)

    def compute(folder: Path) -> Evaluation:
        return evaluate_checkpoint(config, dataset, path, digest, folder)

    code = Code(SCORING_ROOMS, SCORING)
    kept = keep(config, Evaluation, "evaluate", code, {"checkpoint": digest}, compute)
    if role == "final" and config.evaluate.checkpoint:
        role = "given"
    log_opening(config, kept, role, label)
    return kept


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
    return Predictions.load(config.paths.stages / found.stored)


class Seeds(Record):
    """The final configuration trained and tested anew from each seed."""

    stage: ClassVar[str] = "evaluate_seeds"
    runs: tuple[Evaluation, ...]  # the run's own seed first
    level: float
    diverged: dict[int, str] = Field(default_factory=dict)  # seed -> why it was not tested

    @property
    def several(self) -> bool:
        """Tell whether there is a spread to speak of."""
        return len(self.runs) > 1

    def facts(self) -> dict:
        """Return the seeds and the spread of accuracy on the test split."""
        return {
            "seeds": [run.seed for run in self.runs],
            "count": len(self.runs),
            "several": self.several,
            "diverged": list(self.diverged),
            "accuracy": summarise_seeds([run.accuracy for run in self.runs], self.level),
        }


class SplitComparison(Record):
    """Standard and spatial split side by side, or why there is no spatial one.

    The two test splits hold other images, so the comparison is not paired. An image in both
    counts as if it were two, which makes the interval of the difference a little too wide. All
    intervals take the images as drawn one by one: they speak of such images, not of other regions.
    """

    stage: ClassVar[str] = "compare_splits"
    absent: str = ""  # disabled, split, synthetic or lists; empty when there is a comparison
    reason: str = ""  # one line, for the user
    standard: Evaluation | None = None
    spatial: Evaluation | None = None
    common: int = 0  # images in both test splits
    confidence_level: float = 0.95

    def gap(self) -> tuple[float, Bounds]:
        """Return standard minus spatial accuracy, and its interval (Newcombe 1998, method 10)."""
        a, b = self.standard, self.spatial
        bounds = newcombe(a.correct, a.n, b.correct, b.n, self.confidence_level)
        return a.accuracy - b.accuracy, bounds

    def drops(self) -> dict[str, tuple[float, float]]:
        """Return the drop in recall of each class in both splits, and its interval's lower end.

        The intervals (Newcombe's) hold together at the level of the comparison (Bonferroni).
        """
        pairs = zip(self.standard.per_class, self.spatial.per_class, strict=True)
        both = [(one, other) for one, other in pairs if one.support and other.support]
        level, found = 1 - (1 - self.confidence_level) / max(1, len(both)), {}
        for one, other in both:
            low, _ = newcombe(one.hits, one.support, other.hits, other.support, level)
            found[one.name] = (one.hits / one.support - other.hits / other.support, low)
        return found

    def facts(self) -> dict:
        """Return what the text says: accuracies, gaps, and the classes that moved."""
        if self.absent:
            return {"available": False, "absent": self.absent, "reason": self.reason}
        gap, (low, high) = self.gap()
        sides, drops = {"standard": self.standard, "spatial": self.spatial}, self.drops()
        ranked = sorted(drops, key=lambda name: -abs(drops[name][0]))
        same = [(one.hyperparameters, one.seed, one.parameters) for one in sides.values()]
        return {
            "available": True,
            **{split: {"accuracy": one.accuracy} | _bounds(one) for split, one in sides.items()},
            "gap": gap,
            "gap_low": low,
            "gap_high": high,
            "lower": [name for name in ranked if drops[name][1] > 0],
            "drops": {name: drop for name, (drop, _) in drops.items()},
            "same_training": same[0] == same[1],
        }


def _bounds(found: Evaluation) -> dict[str, float]:
    return dict(zip(("low", "high"), found.interval, strict=True))


class RecipeRun(Record):
    """A training and its scores on the test images."""

    fit: Fit
    plain: Evaluation  # one look at each image
    averaged: Evaluation | None  # mean of the logits of the 8 symmetries; None: not in the recipe

    @property
    def scored(self) -> Evaluation:
        """Return the scores that count: those of the recipe as it is written."""
        return self.averaged or self.plain

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of these scores, in [0, 1]: as many looks as on the test."""
        return self.scored.val_accuracy


class Recipes(Record):
    """A recipe trained and tested from one or more seeds."""

    stage: ClassVar[str] = "train_recipe"
    name: str
    title: str  # in French
    steps: tuple[str, ...]  # what changes the protocol, in French
    level: float  # of the intervals
    runs: tuple[RecipeRun, ...]

    @property
    def first(self) -> RecipeRun:
        """Return the run of the first seed."""
        return self.runs[0]

    def facts(self) -> dict:
        """Return the accuracies, counts and interval those of the first seed."""
        own, fit = self.first.scored, self.first.fit
        return {
            **self.model_dump(mode="json", include={"name", "steps"}),
            "seeds": [run.fit.seed for run in self.runs],
            "count": len(self.runs),
            "epochs": len(fit.epochs),
            "accuracy": summarise_seeds([run.scored.accuracy for run in self.runs], self.level),
            "val_accuracy": summarise_seeds([run.val_accuracy for run in self.runs], self.level),
            "n": own.n,
            "correct": own.correct,
            **_bounds(own),
        }

    def csv_files(self) -> dict[str, Rows]:
        """Publish the epochs of all trainings."""
        rows = [
            {"recipe": self.name, "seed": run.fit.seed} | record.model_dump()
            for run in self.runs
            for record in run.fit.epochs
        ]
        return {"recipe.csv": rows}


class BesideProtocol(Record):
    """A recipe, the first, and the final training of the run, on the same validation images.

    The recipe's first seed at its last epoch, against the protocol's best epoch, which its own
    validation has picked: in the protocol's favour.
    """

    stage: ClassVar[str] = "beside"
    level: float
    n: int  # images
    only_first: int  # that only the first gets right
    only_second: int
    same_network: bool
    blocks_per_stage: int  # of the recipe's network
    dilation_stage3: int

    def facts(self) -> dict:
        """Return the gain on validation and its paired interval."""
        only = (self.only_first, self.only_second)
        low, high = paired_difference(*only, self.n, self.level)
        gain = (self.only_first - self.only_second) / self.n
        return self.model_dump() | {"gain": gain, "low": low, "high": high}


def named_recipe(config: Config) -> Recipe:
    """Read the recipe that the configuration names."""
    if not config.recipe.name:
        raise UserError("which recipe? --recipe best, or recipe.name in the configuration")
    return load_recipe(config, config.recipe.name)


@stage(Ablation)
def ablate_recipe(config: Config) -> Kept[Ablation]:
    """Train the protocol, then the recipe's first steps one by one, shortly; judge on validation.

    Steps that change nothing but the length, the validated epochs or the views are left out: all
    rows are as long, and are judged on one look at each image.
    """
    recipe, own = named_recipe(config), config.recipe
    rows = ablation_rows(config, recipe)
    trainings = [one for _, row in rows for one in seeded(row, own.ablation_seeds)]
    names = [f"{recipe.name}_{i}_seed{s}" for i in range(len(rows)) for s in own.ablation_seeds]
    (kept,) = train_all(f"Étapes de {recipe.name}", {Ablation.stage: trainings}, names)
    done = zip(*[iter(part.result for part in kept)] * len(own.ablation_seeds), strict=True)
    result = Ablation(
        name=recipe.name,
        title=recipe.title,
        level=config.evaluate.confidence,
        epochs=own.ablation_epochs,
        train_images=kept[0].result.train_images,
        rows=tuple(
            AblationRow(name=name, fits=fits) for (name, _), fits in zip(rows, done, strict=True)
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
    """List the trainings of a recipe, one for each of its seeds."""
    seeds = config.recipe.seeds or (config.seed,)
    return [counted(recipe.after(one)) for one in seeded(config, seeds)]


@stage(Recipes)
def train_recipe(config: Config) -> Kept[Recipes]:
    """Train a recipe from each of its seeds, and test the last weights of each."""
    recipe = named_recipe(config)
    trainings = recipe_trainings(config, recipe)
    names = [f"{recipe.name}_{own.data.split}_seed{own.seed}" for own in trainings]
    (kept,) = train_all(f"Recette {recipe.name}", {Recipes.stage: trainings}, names)
    result = Recipes(
        name=recipe.name,
        title=recipe.title,
        steps=tuple(step.name for step in recipe.steps),
        level=config.evaluate.confidence,
        runs=tuple(_recipe_run(*one, recipe) for one in zip(trainings, kept, strict=True)),
    )
    return together(result, kept)


def _recipe_run(config: Config, kept: Kept[Fit], recipe: Recipe) -> RecipeRun:
    """Score the last weights of one training, in one look and in as many as the recipe has."""
    if kept.result.diverged:
        raise UserError(f"recipe {recipe.name}: training diverged ({kept.result.diverged})")
    scores = {
        views: score_checkpoint(
            override(config, {"evaluate.views": views}),
            kept.folder / WEIGHTS,
            "recipe",
            recipe.name,
        ).result
        for views in dict.fromkeys((config.evaluate.views, 1))
    }
    averaged = scores[config.evaluate.views] if len(scores) > 1 else None
    return RecipeRun(fit=kept.result, plain=scores[1], averaged=averaged)


def found_recipe(config: Config) -> tuple[Recipes | None, Ablation | None]:
    """Return the last results of ``train_recipe`` and ``ablate_recipe`` in this run, if any.

    The steps of another recipe than the trained one are left out.
    """
    found, steps = latest(config, Recipes), latest(config, Ablation)
    return found, None if found and steps and found.name != steps.name else steps


def _recipe_and_own(config: Config) -> dict[str, str]:
    recipe, own = latest(config, Recipes), config.paths.artifacts / WEIGHTS
    load_checkpoint(own)  # refuses a missing or damaged file
    return {"recipe": recipe.first.scored.checkpoint_sha256, "own": sha256(own)}


@stage(
    BesideProtocol,
    *("comparisons", *SCORING_ROOMS),
    reads=SCORING,
    inputs=_recipe_and_own,
    when=lambda config: latest(config, Recipes) and latest(config, Training),
)
def beside_protocol(config: Config) -> BesideProtocol:
    """Set the trained recipe beside the final training, on the same validation images.

    ``None`` without a recipe. The test stays closed.
    """
    recipe, training = latest(config, Recipes), latest(config, Training)
    own = right_on_validation(config, load_dataset(config), config.paths.artifacts / WEIGHTS)
    theirs = kept_predictions(config, recipe.first.scored).right_on_validation
    shape, protocol = (
        one.hyperparameters.model_dump(include={"blocks_per_stage", "dilation_stage3"})
        for one in (recipe.first.scored, training.fit)
    )
    return BesideProtocol(
        level=recipe.level,
        n=len(own),
        only_first=int((theirs & ~own).sum()),
        only_second=int((own & ~theirs).sum()),
        same_network=shape == protocol,
        **shape,
    )
