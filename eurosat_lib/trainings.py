"""Trainings, each a function of one configuration, kept by itself; what they leave and score."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from pydantic import Field
from scipy.stats import linregress, t

from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.config import Config, override
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, Predictions, evaluate_checkpoint
from eurosat_lib.files import locked, read_csv, write_csv
from eurosat_lib.runtime import Runtime
from eurosat_lib.schema import Train
from eurosat_lib.sources import digest
from eurosat_lib.stages import Code, Kept, Record, cache_folder, code_digest, keep, stage_key
from eurosat_lib.stats import LEVEL, Bounds, newcombe, summarise_seeds, wilson
from eurosat_lib.tracking import TRAINING_TAGS, Run
from eurosat_lib.train import STATE, WEIGHTS, EpochRecord, Fit, Hyperparameters, fit

IMAGES = ("data.image_size", "preprocess")
BATCHES = (*IMAGES, "seed", "data.batch_size", "data.train_limit", "augment")
LIMITS = ("data.validation_limit", "data.test_limit")
ASIDE = ("seeds", "fallback_lr", "fallback_weight_decay")  # say which trainings, not how
TRAINING = Code(
    rooms=("model", "transforms", "loaders", "optimizers", "runtime", "train"),
    reads=(
        *BATCHES,
        "data.validation_limit",
        "model.channels",
        *(f"train.{name}" for name in Train.model_fields if name not in ASIDE),
    ),
)
SCORING = Code(
    rooms=("model", "transforms", "loaders", "train", "classifier", "stats", "evaluation"),
    reads=(*IMAGES, *LIMITS, "data.batch_size", "model.channels", "evaluate.views"),
)
NETWORK = {"blocks_per_stage", "dilation_stage3"}  # what searches vary of it
FEWEST_EPOCHS = 5  # that have a trend
MEANS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")  # of an epoch
Rows = list[dict[str, Any]]


def training_config(
    config: Config, point: Hyperparameters, images: int | None = None, **values: Any
) -> Config:
    """Return the configuration of one training, from that of its run, seed and split.

    Images are as many as the run's if not given; ``values`` are those of ``train``.
    """
    own = {f"train.{name}": value for name, value in (point.model_dump() | values).items()}
    return counted(override(config, own | {"data.train_limit": images or config.data.train_limit}))


def counted(config: Config) -> Config:
    """Name the number of training images: equal trainings then have equal keys."""
    total = len(load_dataset(config).train)
    limit = min(config.data.train_limit or total, total)
    return override(config, {"data.train_limit": limit})


def seeded(config: Config, seeds: Iterable[int]) -> list[Config]:
    """Return copies of a configuration with these seeds."""
    return [config.model_copy(update={"seed": seed}) for seed in seeds]


def perform(
    config: Config,
    run_folder: Path,
    on_batch: Callable[[int], None],
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    wait: bool = True,
) -> Kept[Fit] | None:
    """Train one configuration, with all hyperparameters given, or load what is kept.

    While another process is at it, the answer is ``None``, unless we ``wait``.
    """

    def compute(folder: Path) -> Fit:
        """Train in the stage's folder."""
        return fit(config, load_dataset(config), folder, run_folder, on_batch, on_epoch)

    kept = keep(config, Fit, "training", TRAINING, {}, compute, wait)
    if kept and (kept.folder / STATE).exists():
        (kept.folder / STATE).unlink(missing_ok=True)
    return kept


def is_kept(config: Config) -> bool:
    """Tell whether a training is done."""
    return (cache_folder(config, "training", TRAINING, {}) / "result.json").is_file()


def images_of(config: Config) -> int:
    """Bound the images that a `counted` training sees, epochs together."""
    return config.train.max_epochs * config.data.train_limit


def signature(config: Config) -> dict[str, str]:
    """Say what two processes must share to keep a training under the same key."""
    return {
        "images": load_dataset(config).fingerprint,
        "code": "".join(code_digest(room)[:8] for room in TRAINING.rooms),
        **dict(zip(("device", "precision"), Runtime.names(config), strict=True)),
        "key": stage_key(config, "training", TRAINING, {}),
    }


def csv_rows(fits: Iterable[Fit]) -> Rows:
    """Flatten trials to one row each, for ``grid_search_results.csv``."""
    ends = ("val_accuracy", "val_loss", "train_accuracy", "train_loss")
    return [
        {
            "run": fit.hyperparameters.name,
            **fit.hyperparameters.model_dump(),
            "epochs": len(fit.epochs),
            "score": fit.score,
            "best_val_accuracy": fit.best.val_accuracy if fit.epochs else None,
            **{name: getattr(fit.last, name) if fit.epochs else None for name in ends},
            "seconds": round(fit.seconds, 2),
            **fit.model_dump(include={"seed", "train_images", "validation_images"}),
            "notes": f"diverged, {fit.diverged}" if fit.diverged else "",
        }
        for fit in fits
    ]


def fit_run(fit: Fit) -> Run:
    """Return the TensorBoard run of a training, with its hyperparameters and metrics."""
    best, seen = fit.best.val_accuracy if fit.epochs else 0.0, fit.epochs
    return Run(
        series={tag: [getattr(r, n) for r in seen] for tag, n in TRAINING_TAGS.items()},
        hparams=fit.hyperparameters.model_dump() | {"seed": fit.seed},
        metrics={"hparam/score": fit.score, "hparam/best_val_accuracy": best},
        seconds=dict(enumerate(accumulate(record.seconds for record in seen), start=1)),
    )


class Training(Record, stage="train"):
    """The final training and where its hyperparameters come from."""

    fit: Fit
    origin: dict[str, str]  # hyperparameter -> "config", "refined_grid_search", ...
    batch_size: int

    def trend(self) -> dict[str, Any] | None:
        """Fit a line to the last half of the epochs, if these are five at least.

        Returns the least-squares slope per epoch of accuracy and loss with its 95 % interval
        (Student); epochs of one training are not independent: it is too narrow rather than wide.
        """
        half = self.fit.epochs[len(self.fit.epochs) // 2 :]
        if len(half) < FEWEST_EPOCHS:
            return None
        found: dict[str, Any] = {"epochs": len(half)}
        for name in ("val_accuracy", "train_loss"):
            line = linregress(range(len(half)), [getattr(record, name) for record in half])
            slope, width = float(line.slope), t.ppf((1 + LEVEL) / 2, len(half) - 2) * line.stderr
            found[name] = {"slope": slope, "low": slope - width, "high": slope + width}
        return found

    def facts(self) -> dict[str, Any]:
        """Return the configuration, first, best and last epochs, and the stability.

        The best epoch's accuracy is a maximum over epochs, too high: only the last one's has an
        interval (Wilson's at 95 %, over the validation images).
        """
        fit, seen = self.fit, self.fit.epochs
        places = {"first": seen[0], "best": fit.best, "last": seen[-1]}
        values, lowest = [r.val_accuracy for r in seen], min(seen, key=lambda r: r.val_loss)
        low, high = wilson(round(values[-1] * fit.validation_images), fit.validation_images)
        return {
            **fit.hyperparameters.model_dump(),
            **fit.model_dump(exclude={"hyperparameters", "epochs"}),
            **self.model_dump(exclude={"fit"}),
            **{f"{p}_{mean}": getattr(at, mean) for p, at in places.items() for mean in MEANS},
            "name": fit.hyperparameters.name,
            "epochs": len(seen),
            "best_epoch": fit.best.epoch,
            "last_val_low": low,
            "last_val_high": high,
            "lowest_val_loss": lowest.val_loss,
            "lowest_val_loss_epoch": lowest.epoch,
            "largest_drop": max([0.0, *(before - after for before, after in pairwise(values))]),
            "trend": self.trend(),
            "seconds": fit.seconds,
        }

    def files(self) -> dict[str, Rows]:
        """Publish a row per epoch."""
        return {"history.csv": [record.model_dump() for record in self.fit.epochs]}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish the curves."""
        return {self.fit.hyperparameters.name: fit_run(self.fit)}


def checkpoint_path(config: Config) -> Path:
    """Return the checkpoint to evaluate: the run's, or the one named, from the project or here."""
    named = os.path.expanduser(config.evaluate.checkpoint or config.paths.artifacts / WEIGHTS)
    of_project, from_here = Path(config.paths.root, named), Path.cwd() / named
    if from_here.is_file() and not of_project.is_file():
        return from_here
    return of_project


def sound_digest(path: Path) -> str:
    """Return the SHA-256 of a checkpoint; UserError if it is missing or damaged."""
    load_checkpoint(path)
    return digest(path)


def score_checkpoint(
    config: Config, path: Path | None = None, role: str = "", label: str = ""
) -> Kept[Evaluation]:
    """Score a checkpoint on the test split, and note the opening; nothing else is published.

    It is the run's own unless given with its role: seed, spatial or recipe; the log calls it by
    a label, or its point.
    """
    path, own = path or checkpoint_path(config), "given" if config.evaluate.checkpoint else "final"
    sha256 = sound_digest(path)
    compute = partial(evaluate_checkpoint, config, load_dataset(config), path, sha256)
    kept = keep(config, Evaluation, "evaluate", SCORING, {"checkpoint": sha256}, compute)
    log_opening(config, kept, role or own, label)
    return kept


def log_opening(config: Config, kept: Kept[Evaluation], role: str, label: str) -> None:
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
        rows = read_csv(path)
        if any(old.keys() != row.keys() for old in rows):
            raise UserError(f"{path}: not the table that was written: keep it under another name")
        if row not in rows:
            write_csv(path, [*rows, row])


def kept_predictions(config: Config, found: Evaluation) -> Predictions:
    """Load what the network said of each image when the test split was opened."""
    return Predictions.load(config.paths.stages / found.stored)


class Seeds(Record, stage="evaluate_seeds"):
    """The final configuration trained and tested anew from each seed."""

    runs: tuple[Evaluation, ...]  # the run's own seed first
    diverged: dict[int, str] = Field(default_factory=dict)  # seed -> why it was not tested

    def facts(self) -> dict[str, Any]:
        """Return the seeds and the spread of accuracy on the test split."""
        return {
            "seeds": [run.seed for run in self.runs],
            "count": len(self.runs),
            "several": len(self.runs) > 1,
            "diverged": list(self.diverged),
            "accuracy": summarise_seeds([run.accuracy for run in self.runs]),
        }


class SplitComparison(Record, stage="compare_splits"):
    """Standard and spatial split side by side, or why there is no spatial one.

    The two test splits hold other images, so the comparison is not paired. An image in both
    counts as if it were two, which makes the interval of the difference a little too wide. All
    intervals take the images as drawn one by one: they speak of such images, not of other regions.
    """

    absent: str = ""  # why there is no spatial split, in one line; empty where there is one
    standard: Evaluation | None = None
    spatial: Evaluation | None = None
    common: int = 0  # images in both test splits

    def gap(self) -> tuple[float, Bounds]:
        """Return standard minus spatial accuracy, and its interval (Newcombe 1998, method 10)."""
        a, b = self.standard, self.spatial
        return a.accuracy - b.accuracy, newcombe(a.correct, a.n, b.correct, b.n)

    def drops(self) -> dict[str, tuple[float, float]]:
        """Return the drop in recall of each class in both splits, and its interval's lower end.

        The intervals (Newcombe's) hold together at 95 % (Bonferroni).
        """
        pairs = zip(self.standard.per_class, self.spatial.per_class, strict=True)
        both = [(one, other) for one, other in pairs if one["support"] and other["support"]]
        level, found = 1 - (1 - LEVEL) / max(1, len(both)), {}
        for one, other in both:
            (x1, n1), (x2, n2) = ((side["hits"], side["support"]) for side in (one, other))
            found[one["name"]] = (x1 / n1 - x2 / n2, newcombe(x1, n1, x2, n2, level)[0])
        return found

    def facts(self) -> dict[str, Any]:
        """Return what the text says: accuracies, gaps, and the classes that moved."""
        if self.absent:
            return {"available": False, "absent": self.absent}
        (gap, (low, high)), drops = self.gap(), self.drops()
        sides = {"standard": self.standard, "spatial": self.spatial}
        trained = {(one.hyperparameters, one.seed, one.parameters) for one in sides.values()}
        return {
            "available": True,
            "common": self.common,
            **{split: one.facts() for split, one in sides.items()},
            **{"gap": gap, "gap_low": low, "gap_high": high},
            "lower": [name for name, (_, least) in drops.items() if least > 0],
            "drops": {name: drop for name, (drop, _) in drops.items()},
            "same_training": len(trained) == 1,
        }
