"""Lists of trainings: one after the other, by several processes, or side by side on Ray.

Ray only warms the cache of stages: no result depends on it, and it can be killed, left out, or
mixed with serial runs.
"""

import os
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tqdm import tqdm

from eurosat_lib.config import Config, override
from eurosat_lib.errors import UserError
from eurosat_lib.files import write_bytes
from eurosat_lib.french import pct
from eurosat_lib.progress import announce, progress
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Kept
from eurosat_lib.train import EpochRecord, Fit, Hyperparameters
from eurosat_lib.trainings import images_of, is_kept, perform, signature

OBJECTS = 80 * 2**20  # bytes of Ray's store: results are small, images come from each node's cache
STARTS = 3  # Ray gives its own processes 15 s to come up, and a busy machine may need more
PAUSE = 0.5  # seconds between two looks at the workers
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
Files = list[tuple[str, bytes]]

# Live curves of a notebook. For a training that is alone in its stage each is called with the
# folder of its TensorBoard events; what it returns is called after each epoch is written, with
# True after the last.
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
    first, found, done, watched = next(iter(jobs.values())), [], 0, len(jobs) == 1
    if first.compute.engine == "ray":
        values = settle(first)
        jobs = {name: override(own, values) for name, own in jobs.items()}
    with progress(title, total=sum(map(images_of, jobs.values())), unit="images") as bar:
        if first.compute.engine == "ray":
            warm({name: own for name, own in jobs.items() if not is_kept(own)}, bar)
        elif first.compute.engine == "work":
            for name, own in jobs.items():
                _train(name, own, bar, watched, wait=False)
        for number, (name, own) in enumerate(jobs.items(), start=1):
            place = f"{number} sur {len(jobs)}, " if len(jobs) > 1 else ""
            found.append(_train(name, own, bar, watched, place))
            done += images_of(own)
            bar.update(done - bar.n)  # of what was kept, or ended early
    return found


def _train(
    name: str, config: Config, bar: tqdm, watched: bool, place: str = "", wait: bool = True
) -> Kept | None:
    """Train a job or load it; ``None`` without ``wait`` while another process is at it."""
    folder = config.paths.runs / name
    on_epochs = [start(folder) for start in watchers if watched and not is_kept(config)]

    def say(record: EpochRecord) -> None:
        """Name the epoch beside the bar, and tell who watches."""
        said = f"{place}époque {record.epoch}, val {pct(record.val_accuracy)}"
        bar.set_postfix_str(said, refresh=False)
        for on_epoch in on_epochs:
            on_epoch(record.epoch == config.train.max_epochs)

    return perform(config, folder, bar.update, say, wait)


# --- on Ray --------------------------------------------------------------------------------------


def settle(config: Config) -> dict[str, Any]:
    """Ask a worker what it computes with: the values of ``compute.*`` that all trainings get."""
    ray, own = _connect(config), config.compute
    threads = {"compute.threads": own.threads or own.cpus_per_worker}
    return threads | ray.get(_remote(ray, config, _resolve).remote(override(config, threads)))


def _resolve(config: Config) -> dict[str, str]:
    here = Runtime.of(config)
    return {"compute.device": here.device.type, "compute.precision": here.precision}


def _remote(ray: ModuleType, config: Config, function: Callable) -> Any:
    """Run a function in workers; each gets a share of a GPU where there is one, and it may."""
    own, gpus = config.compute, ray.cluster_resources().get("GPU", 0)
    share = own.gpu_share if gpus and own.device in ("auto", "cuda") else 0
    needs = {"num_cpus": own.cpus_per_worker, "num_gpus": share, "max_retries": 0}
    return ray.remote(function).options(**needs)


def warm(jobs: Mapping[str, Config], bar: tqdm) -> None:
    """Train on the workers until every one is kept; what a death cut goes on.

    UserError if a worker has other code or images, or dies at one training again and again.
    """
    if not jobs:
        return
    config, before = next(iter(jobs.values())), bar.n
    ray, own = _connect(config), config.compute
    ledger = ray.remote(_Ledger).options(num_cpus=0).remote()
    worker = _remote(ray, config, _work)
    waiting, running, tries, lost = list(jobs), {}, Counter(), []
    try:
        while waiting or running:
            while waiting and len(running) < (own.workers or len(jobs)):
                name = waiting.pop(0)
                tries[name] += 1
                task = worker.remote(name, jobs[name], signature(jobs[name]), ledger)
                running[task] = name
            for task in ray.wait(list(running), num_returns=1, timeout=PAUSE)[0]:
                name = running.pop(task)
                files = _brought(ray, task, f"{name}, attempt {tries[name]}")
                if files is None:
                    (lost if tries[name] > own.retries else waiting).append(name)
                for file, content in files or ():
                    write_bytes(config.paths.stages / file, content)
            seen = sum(ray.get(ledger.read.remote()).values())
            done = len(jobs) - len(waiting) - len(running)
            bar.set_postfix_str(f"{done} sur {len(jobs)}, {len(running)} en cours", refresh=False)
            bar.update(before + seen - bar.n)
    except BaseException:
        for task in running:
            ray.cancel(task, force=True)
        raise
    if lost:
        raise UserError(
            f"{', '.join(lost)}: {own.retries + 1} workers died at it; out of memory? lower the "
            "number of workers, or see compute.cpus_per_worker and compute.gpu_share"
        )


class _Ledger:
    """An actor: how many images each training has seen."""

    def __init__(self) -> None:
        self.images: dict[str, int] = {}

    def note(self, name: str, images: int) -> None:
        """Keep how many images a training has seen."""
        self.images[name] = images

    def read(self) -> dict[str, int]:
        """Return the images seen, by training."""
        return self.images


def _brought(ray: ModuleType, task: Any, what: str) -> Files | None:
    """Take the files that a worker brings; ``None`` when it died."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        known = isinstance(error.cause, UserError | KeyboardInterrupt)
        raise (error.cause if known else error) from None
    except ray.exceptions.RayError as error:
        announce(f"{what}: its worker died ({type(error).__name__})")
        return None


def _work(name: str, config: Config, asked: Mapping[str, str], ledger: Any) -> Files:
    """Train in a worker process; returns the files to keep where the disk is not shared."""
    if not config.compute.shared:
        root = Path(tempfile.gettempdir(), f"eurosat-worker-{os.getuid()}")
        config = override(config, {"paths.root": str(root)})
    for what, here in signature(config).items():  # else the driver would not find it again
        if here != asked[what]:
            raise UserError(
                f"worker {os.uname().nodename}: other {what} ({here[:12]} there, "
                f"{asked[what][:12]} here); bring both to the same state"
            )
    seen, told = 0, time.monotonic()

    def tell(images: int) -> None:
        """Note the images seen, not more often than the driver looks."""
        nonlocal seen, told
        seen += images
        if time.monotonic() - told > PAUSE:
            told = time.monotonic()
            ledger.note.remote(name, seen)

    folder = perform(config, config.paths.runs / name, tell).folder
    ledger.note.remote(name, images_of(config))
    if config.compute.shared:
        return []
    kept = [path for path in folder.iterdir() if not path.name.startswith((".", "last"))]
    kept.sort(key=lambda path: path.name == "result.json")  # the last to be written
    return [(f"{folder.name}/{path.name}", path.read_bytes()) for path in kept]


def _connect(config: Config) -> ModuleType:
    """Start Ray on this machine, or join the named cluster, once; UserError if it is not there."""
    own = config.compute
    for name, value in (QUIET | ({"RAY_AUTH_MODE": "token"} if own.address else {})).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UserError(
            "compute.engine: ray needs pip install -e '.[ray]' -c constraints.txt"
        ) from None
    if ray.is_initialized():
        return ray
    place: dict[str, Any] = {"address": own.address}
    if not own.address:
        place = {"address": "local", "include_dashboard": False, "object_store_memory": OBJECTS}
        place["_node_ip_address"] = "127.0.0.1"  # nobody else is to reach it
        place["num_cpus"] = own.workers and own.workers * own.cpus_per_worker
    failure: Exception | None = None
    for _ in range(1 if own.address else STARTS):
        try:
            if own.address:  # where nothing listens Ray would wait for minutes
                host, _, port = own.address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(log_to_driver=False, logging_level="ERROR", **place)
            return ray
        except Exception as error:  # Ray raises bare ones too
            failure = error
            ray.shutdown()
    told = f"compute.address: no Ray cluster at {own.address}" if own.address else "no Ray starts"
    raise UserError(f"{told} ({failure})")
