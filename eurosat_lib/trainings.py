"""Trainings: each a function of one configuration, kept on its own, shared by all stages.

Below, what is trained: the points of the grid, the finalists, the final configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar

from eurosat_lib import cluster, search
from eurosat_lib.config import Config, override
from eurosat_lib.data import load_dataset, on_spatial, spatial_absence
from eurosat_lib.errors import UserError
from eurosat_lib.files import check_open
from eurosat_lib.french import pct
from eurosat_lib.lr_finder import LRFinder, grid_rates
from eurosat_lib.progress import Bar, progress
from eurosat_lib.runtime import Runtime
from eurosat_lib.schema import Train
from eurosat_lib.stages import (
    Code,
    Kept,
    Record,
    cache_folder,
    code_digest,
    keep,
    latest,
    publish,
    result_path,
    stage_key,
    withdraw,
)
from eurosat_lib.train import EpochRecord, Fit, Hyperparameters, fit

IMAGES = ("data.image_size", "preprocess")
BATCHES = (*IMAGES, "seed", "data.batch_size", "data.train_limit", "augment")
ASIDE = ("seeds", "fallback_lr", "fallback_weight_decay")  # say which trainings, not how
# How a network is trained, whatever its point and length.
HOW = tuple(
    f"train.{name}"
    for name in ("optimizer", "momentum", "decay_all", "schedule", "warmup", "label_smoothing")
)
TRAINING = Code(
    rooms=("model", "transforms", "loaders", "optimizers", "train"),
    reads=(
        *(*BATCHES, "data.validation_limit", "model.channels"),
        *(f"train.{name}" for name in Train.model_fields if name not in ASIDE),
    ),
    trains=True,
)

# Started for each training that is alone in its stage, with the folder of its TensorBoard events;
# what they return hears of each epoch, once it is written, whether it is the last.
watchers: list[Callable[[Path], Callable[[bool], None]]] = []


def training_config(
    config: Config,
    point: Hyperparameters,
    epochs: int,
    images: int | None = None,
    weights: str = "best",
    max_steps: int | None = None,
) -> Config:
    """Return the configuration of one training, from that of its run, seed and split.

    Images are as many as the run's if not given; ``weights`` is ``train.keep``.
    """
    values = {f"train.{name}": value for name, value in point.model_dump().items()}
    values |= {"train.max_epochs": epochs, "train.max_steps": max_steps, "train.keep": weights}
    values["data.train_limit"] = images or config.data.train_limit
    return counted(override(config, values))


def counted(config: Config) -> Config:
    """Name the number of training images: equal trainings then have equal keys."""
    total = len(load_dataset(config).train)
    limit = min(config.data.train_limit or total, total)
    return override(config, {"data.train_limit": limit})


def seeded(config: Config, seeds: Sequence[int]) -> list[Config]:
    """Return copies of a configuration with these seeds."""
    return [config.model_copy(update={"seed": seed}) for seed in seeds]


def train_all(
    title: str, groups: Mapping[str, Sequence[Config]], names: Sequence[str] = ()
) -> list[list[Kept[Fit]]]:
    """Train, or take what is kept, and show the images done; one list for each stage.

    With ``compute.engine: ray`` they are trained side by side, with ``work`` those first that no
    other process is at.

    Args:
        title: of the progress bar.
        groups: configurations with all hyperparameters given, by :func:`counted`; by the stage
            below whose ``runs/<stage>/`` their TensorBoard events lie.
        names: of these folders; if not given the hyperparameters, and the seed among several.
    """
    names = names or [name for trainings in groups.values() for name in _names(trainings)]
    places = [(stage, own) for stage, trainings in groups.items() for own in _settled(trainings)]
    jobs = [
        (own, own.paths.runs / stage / name)
        for (stage, own), name in zip(places, names, strict=True)
    ]
    found, expected = [], 0
    if jobs:
        with progress(title, total=sum(_images(own) for own, _ in jobs), unit="images") as bar:
            _ahead(jobs, bar)
            for number, (own, folder) in enumerate(jobs, start=1):
                note = f"{number} sur {len(jobs)}, " if len(jobs) > 1 else ""
                found.append(_trained(own, folder, bar, note))
                expected += _images(own)
                said = f"{note}val {pct(found[-1].result.val_accuracy)}"
                bar.advance(expected - bar.done, said)
    rest = iter(found)
    return [list(islice(rest, len(trainings))) for trainings in groups.values()]


def _names(trainings: Sequence[Config]) -> list[str]:
    several = len({own.seed for own in trainings}) > 1
    seeds = [f"_seed{own.seed}" if several else "" for own in trainings]
    return [_point(own).name + seed for own, seed in zip(trainings, seeds, strict=True)]


def _point(config: Config) -> Hyperparameters:
    names = Hyperparameters.model_fields
    return Hyperparameters(**{name: getattr(config.train, name) for name in names})


def _settled(trainings: Sequence[Config]) -> list[Config]:
    """Give all trainings the device, precision and threads that a worker answers."""
    if not trainings or trainings[0].compute.engine != "ray":
        return list(trainings)
    values = cluster.settle(trainings[0])
    return [override(own, values) for own in trainings]


def _ahead(jobs: Sequence[tuple[Config, Path]], bar: Bar) -> None:
    """Let the engine fill the cache with what is missing."""
    engine = jobs[0][0].compute.engine
    missing = [(own, folder) for own, folder in jobs if not _is_kept(own)]
    if engine == "work":
        for own, folder in missing:
            _trained(own, folder, bar, "", wait=False)
    elif engine == "ray" and missing:
        work = [
            cluster.Job(f"{at.parent.name}/{at.name}", own, at, _images(own), signature(own))
            for own, at in missing
        ]
        cluster.warm(work, perform, signature, bar)


def signature(config: Config) -> dict[str, str]:
    """Say what two processes must share to keep a training under the same key."""
    device, precision = Runtime.names(config)
    return {
        "images": load_dataset(config).fingerprint,
        "code": "".join(code_digest(room)[:8] for room in TRAINING.rooms),
        "device": device,
        "precision": precision,
        "key": stage_key(config, "training", TRAINING, {}),
    }


def perform(
    config: Config,
    run_folder: Path,
    on_batch: Callable[[int], None],
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    wait: bool = True,
) -> Kept[Fit] | None:
    """Train one configuration, with all hyperparameters given, or load what is kept.

    ``on_batch`` is called with the number of images of each step. While another process is at it,
    the answer is ``None``, unless we ``wait``.
    """

    def compute(folder: Path) -> Fit:
        return fit(config, load_dataset(config), folder, run_folder, on_batch, on_epoch)

    return keep(config, Fit, "training", TRAINING, {}, compute, wait)


def _is_kept(config: Config) -> bool:
    return (cache_folder(config, "training", TRAINING, {}) / "result.json").is_file()


def _images(config: Config) -> int:
    return config.train.max_epochs * config.data.train_limit


def _trained(
    config: Config, run_folder: Path, bar: Bar, note: str, wait: bool = True
) -> Kept[Fit] | None:
    hear = [start(run_folder) for start in watchers if not (note or _is_kept(config))]

    def say(record: EpochRecord) -> None:
        """Name the epoch beside the bar, and tell who watches."""
        bar.advance(0, f"{note}époque {record.epoch}, val {pct(record.val_accuracy)}")
        for watcher in hear:
            watcher(record.epoch == config.train.max_epochs)

    return perform(config, run_folder, bar.advance, say, wait)


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
    check_open(config.paths.artifacts)
    publish(config, choice, {})
    return result_path(config, choice.stage)


def forget_lr(config: Config) -> bool:
    """Withdraw the choice; returns whether there was one."""
    known = result_path(config, ChosenLR.stage).is_file()
    withdraw(config, ChosenLR)
    return known


def fallback_point(config: Config) -> Hyperparameters:
    """Return the configuration's own point, for a run without any search."""
    return Hyperparameters(
        lr=config.train.fallback_lr,
        weight_decay=config.train.fallback_weight_decay,
        blocks_per_stage=config.model.blocks_per_stage,
        dilation_stage3=config.model.dilation_stage3,
    )


def grid_points(config: Config) -> tuple[list[Hyperparameters], str]:
    """List the points of the grid, and where their learning rates come from."""
    found, picked = latest(config, LRFinder), chosen_lr(config)
    choice = picked.lr if picked else found.choice if found else None
    origin = "chosen_lr" if picked else "lr_finder" if choice else "fallback"
    points = search.grid_points(config, grid_rates(config, choice))
    return points, "config" if config.grid.lr else origin


def searches(config: Config) -> list[search.GridSearch]:
    """Return the grid and the refined grid of this run, as far as there are any."""
    found = (latest(config, search.Grid), latest(config, search.RefinedGrid))
    return [one for one in found if one]


def finalists(config: Config) -> list[tuple[str, Fit]]:
    """Pick the finalists of the searches of this run: stage and trial of each."""
    return search.choose_finalists(searches(config), config.finalists.count)


def finalist_trainings(config: Config) -> list[Config]:
    """List the trainings of the finalists, point by point; their seeds have chosen none."""
    seeds = range(config.seed + 1, config.seed + 1 + config.finalists.seeds)
    return [
        training_config(one, trial.hyperparameters, *trial.length)
        for _, trial in finalists(config)
        for one in seeded(config, seeds)
    ]


def current_finalists(config: Config) -> search.Finalists | None:
    """Return the finalists of this run's latest searches; ``None`` if these are others."""
    found = latest(config, search.Finalists)
    points = [trial.hyperparameters for _, trial in finalists(config)]
    same = found and [f.again.hyperparameters for f in found.finalists] == points
    return found if same else None


def final_config(config: Config) -> tuple[Config, dict[str, str]]:
    """Return the final training, and where each hyperparameter comes from."""
    best, decided = [(one.stage, one.best) for one in searches(config)], current_finalists(config)
    if decided:
        best = [(decided.stage, decided.leader.fits[0])]
    point, origin = search.choose_hyperparameters(config, fallback_point(config), best)
    own = config.train
    return training_config(config, point, own.max_epochs, max_steps=own.max_steps), origin


def spatial_config(config: Config) -> Config:
    """Return the run's final training on the spatial split; refuse where there is none."""
    absence = spatial_absence(config)
    if absence:
        raise UserError(f"no spatial split beside the standard one: {absence.reason}")
    own = final_config(config)[0].train.model_dump(mode="json")
    return counted(override(on_spatial(config), {"train": own}))
