"""Lists of trainings: one after the other, by several processes, or side by side on Ray."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tqdm import tqdm

from eurosat_lib import cluster
from eurosat_lib.config import Config, override
from eurosat_lib.french import pct
from eurosat_lib.progress import progress
from eurosat_lib.stages import Kept
from eurosat_lib.train import EpochRecord, Fit, Hyperparameters
from eurosat_lib.trainings import images_of, is_kept, perform

# Started for each training that is alone in its stage, with the folder of its TensorBoard events;
# what they return hears of each epoch, once it is written, whether it is the last.
watchers: list[Callable[[Path], Callable[[bool], None]]] = []


def named(stage: str, configs: Iterable[Config]) -> dict[str, Config]:
    """Name trainings of a stage by their hyperparameters, and by their seed where it varies."""
    configs, factors, found = list(configs), {*Hyperparameters.model_fields}, {}
    several = len({own.seed for own in configs}) > 1
    for own in configs:
        point = Hyperparameters(**own.train.model_dump(include=factors))
        found[f"{stage}/{point.name}" + (f"_seed{own.seed}" if several else "")] = own
    return found


def train_all(title: str, jobs: Mapping[str, Config]) -> list[Kept[Fit]]:
    """Train, or take what is kept, and show the images done, under this title.

    Jobs have the names of the folders of their TensorBoard events, below ``runs/``; all have their
    hyperparameters and their number of images given. With ``compute.engine: ray`` they are trained
    side by side, with ``work`` those first that no other process is at.
    """
    if not jobs:
        return []
    first, found, done = next(iter(jobs.values())), [], 0
    if first.compute.engine == "ray":
        values = cluster.settle(first)
        jobs = {name: override(own, values) for name, own in jobs.items()}
    with progress(title, total=sum(map(images_of, jobs.values())), unit="images") as bar:
        if first.compute.engine == "ray":
            cluster.warm({name: own for name, own in jobs.items() if not is_kept(own)}, bar)
        elif first.compute.engine == "work":
            for name, own in jobs.items():
                _train(name, own, bar, wait=False)
        for number, (name, own) in enumerate(jobs.items(), start=1):
            place = f"{number} sur {len(jobs)}, " if len(jobs) > 1 else ""
            found.append(_train(name, own, bar, place))
            done += images_of(own)
            bar.update(done - bar.n)  # of what was kept, or ended early
    return found


def _train(
    name: str, config: Config, bar: tqdm, place: str = "", wait: bool = True
) -> Kept | None:
    folder = config.paths.runs / name
    hear = [start(folder) for start in watchers if not (place or is_kept(config))]

    def say(record: EpochRecord) -> None:
        """Name the epoch beside the bar, and tell who watches."""
        said = f"{place}époque {record.epoch}, val {pct(record.val_accuracy)}"
        bar.set_postfix_str(said, refresh=False)
        for watcher in hear:
            watcher(record.epoch == config.train.max_epochs)

    return perform(config, folder, bar.update, say, wait)
