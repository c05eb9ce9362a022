"""Trainings side by side, on Ray: it only warms the cache of stages.

The stage that follows finds every training kept, and publishes as always: no result depends on the
engine, which can be killed, left out, or mixed with serial runs.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from eurosat_lib.config import Config, override
from eurosat_lib.errors import UserError
from eurosat_lib.files import write_bytes
from eurosat_lib.progress import Bar, announce
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Kept

OBJECTS = 80 * 2**20  # bytes of Ray's store: results are small, images come from each node's cache
PAUSE = 0.5  # seconds between two looks at the workers
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True)
class Job:
    """One training to perform, picklable.

    Attributes:
        name: for messages.
        config: with all hyperparameters, device, precision and threads given.
        run_folder: of its TensorBoard events.
        images: that it will have seen at its end.
        signature: what a worker must agree on: code, images, device, precision.
    """

    name: str
    config: Config
    run_folder: Path
    images: int
    signature: Mapping[str, str]


# Performs a training, telling the images seen; returns what is kept of it.
Perform = Callable[[Config, Path, Callable[[int], None]], Kept]


def settle(config: Config) -> dict[str, Any]:
    """Ask a worker what it computes with: the values of ``compute.*`` that all trainings get.

    Raises:
        UserError: Ray is missing, or no cluster answers.
    """
    ray, own = _connect(config), config.compute
    probe = ray.remote(_resolve).options(**_needs(ray, config, "auto"))
    threads = own.threads or own.cpus_per_worker
    return ray.get(probe.remote(override(config, {"compute.threads": threads})))


def _resolve(config: Config) -> dict[str, Any]:
    """Resolve device and precision where a worker runs."""
    here = Runtime.of(config)
    return {
        "compute.device": here.device.type,
        "compute.precision": here.precision,
        "compute.threads": config.compute.threads,
    }


def warm(
    jobs: Sequence[Job], perform: Perform, sign: Callable[[Config], Mapping[str, str]], bar: Bar
) -> None:
    """Perform trainings on the workers until every one is kept.

    Args:
        jobs: trainings that are not kept yet.
        perform: a function of a module, called in the workers.
        sign: says what a job must agree on, in the worker.
        bar: gets the images seen.

    Raises:
        UserError: a worker has other code or images, or dies at one training again and again.
    """
    config = jobs[0].config
    ray = _connect(config)
    ledger = ray.remote(_Ledger).options(num_cpus=0).remote()
    worker = ray.remote(_work).options(**_needs(ray, config, config.compute.device))

    def start(job: Job) -> Any:
        """Send a job to a worker; its death is ours to tell."""
        return worker.remote(job, perform, sign, ledger)

    _follow(ray, jobs, start, ledger, bar)


def _needs(ray: ModuleType, config: Config, device: str) -> dict[str, Any]:
    """Return what a training asks of Ray; ``auto`` takes a share of a GPU where there is one."""
    own = config.compute
    gpu = device == "cuda" or (device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
    share = own.gpu_share if gpu else 0
    return {"num_cpus": own.cpus_per_worker, "num_gpus": share, "max_retries": 0}


def _follow(
    ray: ModuleType, jobs: Sequence[Job], start: Callable[[Job], Any], ledger: Any, bar: Bar
) -> None:
    """Keep the workers busy, show what they do, and try again what a death interrupted."""
    own, before = jobs[0].config.compute, bar.done
    waiting, running, lost = deque((job, 1) for job in jobs), {}, []
    try:
        while waiting or running:
            while waiting and len(running) < (own.workers or len(jobs)):
                job, attempt = waiting.popleft()
                running[start(job)] = (job, attempt)
            done, _ = ray.wait(list(running), num_returns=1, timeout=PAUSE)
            for task in done:
                job, attempt = running.pop(task)
                if _collect(ray, task, job, attempt):
                    continue
                (waiting if attempt <= own.retries else lost).append((job, attempt + 1))
            left = len(waiting) + len(running)
            seen = sum(min(ray.get(ledger.read.remote()).get(j.name, 0), j.images) for j in jobs)
            note = f"{len(jobs) - left} of {len(jobs)} done, {len(running)} at work"
            bar.advance(before + seen - bar.done, note)
    except BaseException:
        for task in running:
            ray.cancel(task, force=True)
        raise
    if lost:
        names = ", ".join(job.name for job, _ in lost)
        raise UserError(
            f"{names}: {own.retries + 1} workers died at it; out of memory? lower the number of "
            "workers, or see compute.cpus_per_worker and compute.gpu_share"
        )


def _collect(ray: ModuleType, task: Any, job: Job, attempt: int) -> bool:
    """Take what a worker brings; False when it died."""
    try:
        files = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError | KeyboardInterrupt):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        after = min(attempt + 1, job.config.compute.retries + 1)
        state = f"attempt {after} of {job.config.compute.retries + 1}"
        announce(f"{job.name}: its worker died ({type(error).__name__}); {state}")
        return False
    for name, content in files.items():
        write_bytes(job.config.paths.stages / name, content)
    return True


def _work(
    job: Job, perform: Perform, sign: Callable[[Config], Mapping[str, str]], ledger: Any
) -> dict[str, bytes]:
    """Train in a worker process; returns the files to keep where the disk is not shared."""
    config, told = job.config, time.monotonic()
    seen = 0
    if not config.compute.shared:
        root = Path(tempfile.gettempdir(), f"eurosat-worker-{os.getuid()}")
        config = override(config, {"paths.root": str(root)})
    _agree(job, sign(config))

    def tell(images: int) -> None:
        """Note the images seen, twice a second at most."""
        nonlocal seen, told
        seen += images
        if time.monotonic() - told > PAUSE:
            told = time.monotonic()
            ledger.note.remote(job.name, seen)

    run_folder = job.run_folder if config.compute.shared else config.paths.runs / job.name
    folder = perform(config, run_folder, tell).folder
    ledger.note.remote(job.name, job.images)
    if config.compute.shared:
        return {}
    kept = [path for path in folder.iterdir() if not path.name.startswith((".", "last"))]
    return {f"{folder.name}/{path.name}": path.read_bytes() for path in kept}


def _agree(job: Job, here: Mapping[str, str]) -> None:
    """Refuse to train what the driver would not find again."""
    for what, wanted in job.signature.items():
        if here[what] != wanted:
            raise UserError(
                f"worker {os.uname().nodename}: other {what} ({here[what][:12]} there, "
                f"{wanted[:12]} here); bring both to the same state"
            )


class _Ledger:
    """An actor that keeps how many images each training has seen."""

    def __init__(self) -> None:
        self.images: dict[str, int] = {}

    def note(self, name: str, images: int) -> None:
        self.images[name] = images

    def read(self) -> dict[str, int]:
        return self.images


def _connect(config: Config) -> ModuleType:
    """Start Ray on this machine, or join the named cluster; once per process."""
    own = config.compute
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    if own.address:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError:
        raise UserError("compute.engine: ray needs pip install -e '.[ray]'") from None
    if ray.is_initialized():
        return ray
    if own.address:
        _knock(own.address)
    here = {"address": "local", "include_dashboard": False, "object_store_memory": OBJECTS}
    here |= {"_node_ip_address": "127.0.0.1"}  # nobody else is to reach it
    if own.workers:
        here["num_cpus"] = own.workers * own.cpus_per_worker
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        ray.init(**quiet, **({"address": own.address} if own.address else here))
    except Exception as error:  # Ray raises bare ones too
        where = own.address or "this machine"
        raise UserError(f"compute.address: no Ray cluster at {where} ({error})") from None
    return ray


def _knock(address: str) -> None:
    """Refuse an address where nothing listens: Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise UserError(f"compute.address: no Ray cluster at {address} ({error})") from None
