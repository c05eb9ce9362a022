"""Trainings side by side give the bits of serial ones, whatever dies on the way."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from settings import ROOT, TINY

from eurosat_lib import jobs, protocol, trainings
from eurosat_lib.config import load_config, override, save_config_snapshot
from eurosat_lib.errors import UserError

GRID = TINY | {"grid.lr": [1e-3, 2e-3, 3e-3], "grid.dilation_stage3": [2], "grid.epochs": 5}
EXTRA = "Ray is an extra: pip install -e '.[ray]'"


def bits(config) -> list:
    """Every figure of the grid's trials but the seconds."""
    tree = json.loads((config.paths.artifacts / "results" / "grid_search.json").read_text())
    trials = tree["result"]["trials"]
    assert len(trials) == 6
    return [[{**e, "seconds": 0} for e in t["epochs"]] for t in trials]


def named(config, name: str, **compute):
    """The same experiment in a root of its own."""
    values = {f"compute.{key}": value for key, value in compute.items()}
    return override(config, values | {"paths.root": str(Path(config.paths.root, name))})


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A grid of six tiny trials, computed serially."""
    values = GRID | {"paths.root": str(tmp_path_factory.mktemp("serial"))}
    config = load_config(ROOT / "configs" / "config.yaml", "full", values)
    protocol.grid_search(config)
    return config


@pytest.fixture(scope="module")
def ray(grid):
    """Ray on this machine, in this process, as the engine starts it; yields its address."""
    found = pytest.importorskip("ray", reason=EXTRA)
    jobs.settle(named(grid, "ray", engine="ray", workers=2))
    yield found.get_runtime_context().gcs_address
    found.shutdown()


def process(config, *words: str) -> subprocess.Popen:
    """Run the command line on the grid in a process of its own."""
    path = save_config_snapshot(config, Path(config.paths.root, "configs"))
    command = [sys.executable, "-m", "eurosat_lib", *words, "grid_search", "--config", str(path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes)


def workers() -> list[psutil.Process]:
    """Those of Ray that are at a training."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if one.name() == "ray::_work"]


def kill_in_a_training(config, running: subprocess.Popen) -> None:
    """Wait for the first epoch of a training, and kill who asked for it; the workers follow."""
    while not any(config.paths.stages.glob("training-*/last.ckpt")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    below = workers()
    running.kill()
    running.communicate()
    assert not psutil.wait_procs(below, timeout=60)[1]


def kill_a_worker() -> None:
    """Wait for a training on a worker, and kill that."""
    while not (found := workers()):
        time.sleep(0.05)
    found[0].kill()


def test_a_driver_and_a_worker_die_and_the_bits_are_those_of_serial_trainings(grid, ray, capsys):
    own = named(grid, "killed", engine="ray", workers=2)
    kill_in_a_training(own, process(named(grid, "killed", engine="ray", workers=2, address=ray)))
    assert not (own.paths.artifacts / "results" / "grid_search.json").exists()
    threading.Thread(target=kill_a_worker, daemon=True).start()
    protocol.grid_search(own)
    said = capsys.readouterr().err
    assert "attempt 1: its worker died" in said
    assert bits(own) == bits(grid)


def test_disks_need_not_be_shared(grid, ray):
    own = named(grid, "apart", engine="ray", workers=2, shared=False)
    protocol.grid_search(own)
    assert bits(own) == bits(grid)
    jobs.warm({}, None)  # nothing is missing


def test_processes_share_the_trainings_and_one_may_die(grid):
    own = named(grid, "work")
    first, second = process(own, "work"), process(own, "work")
    kill_in_a_training(own, first)
    _, said = second.communicate(timeout=240)
    assert second.returncode == 0, said
    assert bits(own) == bits(grid)


def test_a_training_that_another_process_holds_comes_last(grid, monkeypatch):
    own, asked = named(grid, "held", engine="work"), []
    done = trainings.perform(one_training(own), own.paths.runs / "x", lambda images: None)

    def perform(config, folder, on_batch, on_epoch, wait):
        """Note the order; the first is held by someone else."""
        asked.append((folder.name, wait))
        return None if not wait and folder.name == "a" else done

    monkeypatch.setattr(jobs, "perform", perform)
    both = dict.fromkeys(["grid_search/a", "grid_search/b"], one_training(own))
    assert jobs.train_all("Grille", both) == [done, done]
    assert asked == [("a", False), ("b", False), ("a", True), ("b", True)]


def one_training(config):
    how = {"max_epochs": 1, "max_steps": None, "keep": "none"}
    return trainings.training_config(config, protocol.grid_points(config)[0][0], 48, **how)


@pytest.mark.parametrize("what", ["images", "code", "precision"])
def test_a_worker_with_other_code_or_images_refuses(grid, what):
    own = one_training(grid)
    asked = trainings.signature(own) | {what: "something else"}
    with pytest.raises(UserError, match=f"other {what}"):
        jobs._work("one", own, asked, None)


def test_ray_that_is_not_installed_or_does_not_answer_is_one_line(grid, monkeypatch):
    nowhere = named(grid, "none", engine="ray", address="127.0.0.1:1")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ray", None)
        with pytest.raises(UserError, match=r"pip install -e '\.\[ray\]'"):
            protocol.grid_search(nowhere)
    found = pytest.importorskip("ray", reason=EXTRA)
    monkeypatch.setattr(found, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(UserError, match="no Ray cluster at"):
        protocol.grid_search(nowhere)
