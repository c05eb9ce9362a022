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
    """One training to perform, picklable."""

    name: str  # for messages
    config: Config  # with all hyperparameters, device, precision and threads given
    run_folder: Path  # of its TensorBoard events
    images: int  # that it will have seen at its end
    signature: Mapping[str, str]  # what a worker must agree on: code, images, device, precision


Perform = Callable[[Config, Path, Callable[[int], None]], Kept]  # tells the images seen
Sign = Callable[[Config], Mapping[str, str]]


def settle(config: Config) -> dict[str, Any]:
    """Ask a worker what it computes with: the values of ``compute.*`` that all trainings get.

    Raises:
        UserError: Ray is missing, or no cluster answers.
    """
    ray, own = _connect(config), config.compute
    threads = {"compute.threads": own.threads or own.cpus_per_worker}
    probe = ray.remote(_resolve).options(**_needs(ray, config))
    return threads | ray.get(probe.remote(override(config, threads)))


def _resolve(config: Config) -> dict[str, str]:
    here = Runtime.of(config)
    return {"compute.device": here.device.type, "compute.precision": here.precision}


def _needs(ray: ModuleType, config: Config) -> dict[str, Any]:
    """Return what a training asks of Ray: a share of a GPU where there is one, and it may."""
    own, gpus = config.compute, ray.cluster_resources().get("GPU", 0)
    share = own.gpu_share if gpus and own.device in ("auto", "cuda") else 0
    return {"num_cpus": own.cpus_per_worker, "num_gpus": share, "max_retries": 0}


def warm(jobs: Sequence[Job], perform: Perform, sign: Sign, bar: Bar) -> None:
    """Perform trainings on the workers until every one is kept; what a death cut goes on.

    Args:
        jobs: trainings that are not kept yet.
        perform: a function of a module, called in the workers.
        sign: says what a job must agree on, in the worker.
        bar: gets the images seen.

    Raises:
        UserError: a worker has other code or images, or dies at one training again and again.
    """
    config, own, before = jobs[0].config, jobs[0].config.compute, bar.done
    ray = _connect(config)
    ledger = ray.remote(_Ledger).options(num_cpus=0).remote()
    worker = ray.remote(_work).options(**_needs(ray, config))
    waiting, running, lost = deque((job, 1) for job in jobs), {}, []
    try:
        while waiting or running:
            while waiting and len(running) < (own.workers or len(jobs)):
                job, attempt = waiting.popleft()
                running[worker.remote(job, perform, sign, ledger)] = (job, attempt)
            done, _ = ray.wait(list(running), num_returns=1, timeout=PAUSE)
            for task in done:
                job, attempt = running.pop(task)
                if not _collect(ray, task, job, attempt):
                    (waiting if attempt <= own.retries else lost).append((job, attempt + 1))
            done, told = len(jobs) - len(waiting) - len(running), ray.get(ledger.read.remote())
            seen = before + sum(min(told.get(job.name, 0), job.images) for job in jobs)
            bar.advance(seen - bar.done, f"{done} sur {len(jobs)}, {len(running)} en cours")
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
    attempts = job.config.compute.retries + 1
    try:
        files = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError | KeyboardInterrupt):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        state = f"attempt {min(attempt + 1, attempts)} of {attempts}"
        announce(f"{job.name}: its worker died ({type(error).__name__}); {state}")
        return False
    for name, content in sorted(files.items(), key=lambda file: file[0].endswith("result.json")):
        write_bytes(job.config.paths.stages / name, content)
    return True


def _work(job: Job, perform: Perform, sign: Sign, ledger: Any) -> dict[str, bytes]:
    """Train in a worker process; returns the files to keep where the disk is not shared."""
    config, run_folder = job.config, job.run_folder
    if not config.compute.shared:
        root = Path(tempfile.gettempdir(), f"eurosat-worker-{os.getuid()}")
        config = override(config, {"paths.root": str(root)})
        run_folder = config.paths.runs / job.name
    here = sign(config)
    for what, wanted in job.signature.items():  # else the driver would not find it again
        if here[what] != wanted:
            raise UserError(
                f"worker {os.uname().nodename}: other {what} ({here[what][:12]} there, "
                f"{wanted[:12]} here); bring both to the same state"
            )
    seen, told = 0, time.monotonic()

    def tell(images: int) -> None:
        """Note the images seen, not more often than the driver looks."""
        nonlocal seen, told
        seen += images
        if time.monotonic() - told > PAUSE:
            told = time.monotonic()
            ledger.note.remote(job.name, seen)

    folder = perform(config, run_folder, tell).folder
    ledger.note.remote(job.name, job.images)
    if config.compute.shared:
        return {}
    kept = [path for path in folder.iterdir() if not path.name.startswith((".", "last"))]
    return {f"{folder.name}/{path.name}": path.read_bytes() for path in kept}


class _Ledger:
    """An actor: how many images each training has seen."""

    def __init__(self) -> None:
        self.images: dict[str, int] = {}

    def note(self, name: str, images: int) -> None:
        self.images[name] = images

    def read(self) -> dict[str, int]:
        return self.images


def _connect(config: Config) -> ModuleType:
    """Start Ray on this machine, or join the named cluster; once per process."""
    own, where = config.compute, config.compute.address or "this machine"
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    if own.address:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError:
        raise UserError("compute.engine: ray needs pip install -e '.[ray]'") from None
    if ray.is_initialized():
        return ray
    place: dict[str, Any] = {"address": own.address}
    if not own.address:
        place = {"address": "local", "include_dashboard": False, "object_store_memory": OBJECTS}
        place["_node_ip_address"] = "127.0.0.1"  # nobody else is to reach it
        place["num_cpus"] = own.workers and own.workers * own.cpus_per_worker
    try:
        if own.address:  # where nothing listens Ray would wait for minutes
            host, _, port = own.address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(log_to_driver=False, logging_level="ERROR", **place)
    except Exception as error:  # Ray raises bare ones too
        raise UserError(f"compute.address: no Ray cluster at {where} ({error})") from None
    return ray
