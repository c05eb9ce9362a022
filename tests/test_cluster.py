"""Trainings side by side give the bits of serial ones, whatever dies on the way."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml
from settings import ROOT, TINY

from eurosat_lib import choices, cluster, protocol, trainings
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError

GRID = TINY | {"grid.lr": [1e-3, 2e-3, 3e-3], "grid.dilation_stage3": [2], "grid.epochs": 30}
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}


def bits(config) -> str:
    """Every figure of the grid's trials but the seconds."""
    tree = json.loads((config.paths.artifacts / "results" / "grid_search.json").read_text())
    trials = tree["result"]["trials"]
    assert len(trials) == 6
    return json.dumps([[{**e, "seconds": 0} for e in t["epochs"]] for t in trials])


def named(config, name: str, **values):
    """The same experiment in a root of its own."""
    root = os.path.join(config.paths.root, name)
    return override(config, {"paths.root": root} | values)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A grid of six tiny trials, computed serially."""
    root = tmp_path_factory.mktemp("serial")
    os.symlink(ROOT / "configs", root / "configs")
    config = load_config(root / "configs" / "config.yaml", "full", GRID)
    config = override(config, {"paths.root": str(root)})
    protocol.grid_search(config)
    return config


@pytest.fixture(scope="module")
def address():
    """A Ray cluster of two workers, behind a token."""
    pytest.importorskip("ray", reason="Ray is an extra: pip install -e '.[ray]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    start += ["--num-cpus=2", f"--port={port}", "--node-ip-address=127.0.0.1"]
    start += ["--include-dashboard=false", "--disable-usage-stats"]
    start += [f"--object-store-memory={10**8}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    head = subprocess.Popen(start, env=os.environ | TOKEN, start_new_session=True, **quiet)
    deadline = time.time() + 60
    while time.time() < deadline and socket.socket().connect_ex(("127.0.0.1", port)):
        time.sleep(0.2)
    yield f"127.0.0.1:{port}"
    head.terminate()
    head.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(head.pid, signal.SIGKILL)


@contextlib.contextmanager
def driver(config, *words: str, **values):
    """Run the command line on the grid in a process of its own."""
    root = config.paths.root
    os.makedirs(os.path.join(root, "configs", "profiles"), exist_ok=True)
    tree = config.model_dump(mode="json", exclude={"paths"})
    tree["compute"] |= {key.split(".")[1]: value for key, value in values.items()}
    with open(os.path.join(root, "configs", "config.yaml"), "w") as file:
        yaml.safe_dump(tree, file)
    with open(os.path.join(root, "configs", "profiles", "full.yaml"), "w") as file:
        file.write("profile: full\n")
    command = [sys.executable, "-m", "eurosat_lib", *words, "grid_search", "--profile", "full"]
    command += ["--config", os.path.join(root, "configs", "config.yaml")]
    environment = os.environ | TOKEN | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    yield subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def begun(config) -> bool:
    """Tell whether some training of this root has ended an epoch."""
    return any(config.paths.stages.glob("training-*/last.ckpt"))


def wait_for(condition) -> None:
    """Look fifty times a second, for three minutes at most."""
    for _ in range(9000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited for three minutes")


def test_workers_that_die_and_disks_that_are_not_shared(grid, address):
    import psutil

    settings = {"compute.engine": "ray", "compute.address": address}
    own = named(grid, "killed")
    with driver(own, **settings) as run:
        wait_for(lambda: begun(own))
        for process in psutil.process_iter(["cmdline"]):
            if "ray::_work" in " ".join(process.info["cmdline"] or []):
                process.kill()
                break
        _, said = run.communicate(timeout=240)
    assert run.returncode == 0, said
    assert "its worker died" in said and "attempt 2 of 4" in said
    assert bits(own) == bits(grid)

    apart = named(grid, "apart")
    with driver(apart, **settings, **{"compute.shared": False}) as run:
        _, said = run.communicate(timeout=240)
    assert run.returncode == 0, said
    assert bits(apart) == bits(grid)


def test_a_driver_that_dies_is_started_again(grid, address):
    own = named(grid, "driver")
    settings = {"compute.engine": "ray", "compute.address": address}
    with driver(own, **settings) as run:
        wait_for(lambda: begun(own))
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert not (own.paths.artifacts / "results" / "grid_search.json").exists()
    with driver(own, **settings) as run:
        _, said = run.communicate(timeout=240)
    assert run.returncode == 0, said
    assert bits(own) == bits(grid)


def test_two_processes_share_the_trainings(grid):
    own = named(grid, "work")
    with driver(own, "work") as first, driver(own, "work") as second:
        for run in (first, second):
            _, said = run.communicate(timeout=240)
            assert run.returncode == 0, said
    assert bits(own) == bits(grid)


def test_a_training_that_another_process_holds_comes_last(grid, monkeypatch):
    own = override(named(grid, "held"), {"compute.engine": "work"})
    points, _ = choices.grid_points(own)
    todo = [trainings.training_config(own, point, 1, 48, "none") for point in points[:3]]
    asked = []

    def perform(config, folder, on_batch, on_epoch, wait):
        """Note the order; the first is held by someone else."""
        asked.append((todo.index(config), wait))
        return None if not wait and config == todo[0] else done

    done = trainings.perform(todo[0], own.paths.runs / "x", lambda images: None)
    monkeypatch.setattr(trainings, "_is_kept", lambda config: False)
    monkeypatch.setattr(trainings, "perform", perform)
    trainings.train_all("Grid", "grid_search", todo)
    assert asked == [(0, False), (1, False), (2, False), (0, True), (1, True), (2, True)]


@pytest.mark.parametrize("what", ["images", "code", "precision"])
def test_a_worker_with_other_code_or_images_refuses(grid, what):
    own = trainings.training_config(grid, choices.grid_points(grid)[0][0], 1, 48, "none")
    asked = trainings.signature(own) | {what: "something else"}
    job = cluster.Job("one", own, own.paths.runs / "one", 48, asked)
    with pytest.raises(UserError, match=f"other {what}"):
        cluster._work(job, trainings.perform, trainings.signature, None)


def test_ray_that_is_not_installed_is_one_line(grid, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    own = override(named(grid, "none"), {"compute.engine": "ray"})
    with pytest.raises(UserError, match=r"pip install -e '\.\[ray\]'"):
        protocol.grid_search(own)


def test_no_cluster_at_the_address(grid, monkeypatch):
    pytest.importorskip("ray", reason="Ray is an extra: pip install -e '.[ray]'")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN["RAY_AUTH_TOKEN"])
    nowhere = {"compute.engine": "ray", "compute.address": "127.0.0.1:1"}
    own = override(named(grid, "none"), nowhere)
    with pytest.raises(UserError, match="no Ray cluster at"):
        protocol.grid_search(own)
