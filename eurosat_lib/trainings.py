"""Trainings: each a function of one configuration, kept on its own, shared by all stages.

Grids, finalists, further seeds and recipes are put together from these; workers of a cluster warm
their cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from eurosat_lib import cluster
from eurosat_lib.config import Config, override
from eurosat_lib.data import load_dataset
from eurosat_lib.french import pct
from eurosat_lib.progress import Bar, progress
from eurosat_lib.runtime import Runtime
from eurosat_lib.schema import Train
from eurosat_lib.stages import Code, Kept, code_digest, keep, stage_key
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

Watcher = Callable[[bool], None]  # hears of each epoch whether it is the last
_watchers: list[Callable[[Path], Watcher]] = []


def watch(start: Callable[[Path], Watcher]) -> None:
    """Have each training that is alone in its stage watched, in the place of what did so before.

    Args:
        start: gets the folder of its TensorBoard events, which hold an epoch when it is heard of.
    """
    _watchers[:] = [start]


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
    return counted(override(config, values | {"data.train_limit": images or _limit(config)}))


def counted(config: Config) -> Config:
    """Name the number of training images: equal trainings then have equal keys."""
    total = len(load_dataset(config).train)
    return override(config, {"data.train_limit": min(_limit(config) or total, total)})


def _limit(config: Config) -> int | None:
    return config.data.train_limit


def seeded(config: Config, seeds: Sequence[int]) -> list[Config]:
    """Return copies of a configuration with these seeds."""
    return [config.model_copy(update={"seed": seed}) for seed in seeds]


def hyperparameters(config: Config) -> Hyperparameters:
    """Return the four hyperparameters that a configuration gives."""
    names = Hyperparameters.model_fields
    return Hyperparameters(**{name: getattr(config.train, name) for name in names})


def fallback_point(config: Config) -> Hyperparameters:
    """Return the configuration's own point, for a run without any search."""
    return Hyperparameters(
        lr=config.train.fallback_lr,
        weight_decay=config.train.fallback_weight_decay,
        blocks_per_stage=config.model.blocks_per_stage,
        dilation_stage3=config.model.dilation_stage3,
    )


def train_all(
    title: str, stage: str, trainings: Sequence[Config], names: Sequence[str] = ()
) -> list[Kept[Fit]]:
    """Train the configurations, or take what is kept; show the images done.

    With ``compute.engine: ray`` they are trained side by side, with ``work`` those first that no
    other process is at.

    Args:
        title: of the progress bar.
        stage: their TensorBoard events lie below ``runs/<stage>/``.
        trainings: configurations with all hyperparameters given, by :func:`counted`.
        names: of their folders; if not given the hyperparameters, and the seed among several.
    """
    return train_together(title, {stage: trainings}, names)[0]


def train_together(
    title: str, groups: Mapping[str, Sequence[Config]], names: Sequence[str] = ()
) -> list[list[Kept[Fit]]]:
    """Do the same for the trainings of several stages under one bar; one list for each."""
    names = names or [name for trainings in groups.values() for name in _names(trainings)]
    places = [(stage, own) for stage, trainings in groups.items() for own in _settled(trainings)]
    jobs = [
        (own, own.paths.runs / stage / name)
        for (stage, own), name in zip(places, names, strict=True)
    ]
    if not jobs:
        return [[] for _ in groups]
    with progress(title, total=sum(_images(own) for own, _ in jobs), unit="images") as bar:
        _ahead(jobs, bar)
        found, expected = [], 0
        for number, (own, folder) in enumerate(jobs, start=1):
            note = f"{number} sur {len(jobs)}, " if len(jobs) > 1 else ""
            found.append(_trained(own, folder, bar, note))
            expected += _images(own)
            bar.advance(expected - bar.done, f"{note}val {pct(found[-1].result.val_accuracy)}")
    rest = iter(found)
    return [list(islice(rest, len(trainings))) for trainings in groups.values()]


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
        work = [_job(own, folder) for own, folder in missing]
        cluster.warm(work, perform, signature, bar)


def _job(config: Config, folder: Path) -> cluster.Job:
    name = f"{folder.parent.name}/{folder.name}"
    return cluster.Job(name, config, folder, _images(config), signature(config))


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
    """Train one configuration, or load it; ``None`` while another process is at it.

    Args:
        config: with all hyperparameters given.
        run_folder: of its TensorBoard events.
        on_batch: called with the number of images of each step.
        on_epoch: called after each epoch.
        wait: for the other process instead.
    """

    def compute(own: Config, folder: Path) -> Fit:
        """Train, telling the progress."""
        return fit(own, load_dataset(own), folder, run_folder, on_batch, on_epoch)

    return keep(config, Fit, "training", TRAINING, {}, compute, wait)


def _is_kept(config: Config) -> bool:
    key = stage_key(config, "training", TRAINING, {})
    return (config.paths.stages / f"training-{key[:16]}" / "result.json").is_file()


def _images(config: Config) -> int:
    return config.train.max_epochs * config.data.train_limit


def _names(trainings: Sequence[Config]) -> list[str]:
    several = len({own.seed for own in trainings}) > 1
    seeds = [f"_seed{own.seed}" if several else "" for own in trainings]
    return [hyperparameters(own).name + seed for own, seed in zip(trainings, seeds, strict=True)]


def _trained(
    config: Config, run_folder: Path, bar: Bar, note: str, wait: bool = True
) -> Kept[Fit] | None:
    watchers = [start(run_folder) for start in _watchers if not (note or _is_kept(config))]

    def say(record: EpochRecord) -> None:
        """Name the epoch beside the bar."""
        bar.advance(0, f"{note}époque {record.epoch}, val {pct(record.val_accuracy)}")
        for hear in watchers:
            hear(record.epoch == config.train.max_epochs)

    return perform(config, run_folder, bar.advance, say, wait)
