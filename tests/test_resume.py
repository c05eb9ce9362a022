"""Trainings, sweeps and grids killed at random moments end with the bits of unbroken ones."""

import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest
import torch

from eurosat_lib import stages
from eurosat_lib.config import Config, override
from eurosat_lib.data import load_dataset
from eurosat_lib.training import Hyperparameters, Plan, fit
from eurosat_lib.training.checkpoint import load_checkpoint
from eurosat_lib.training.resume import LAST, PREVIOUS, forget_states, keep_state, restore_state

KILLS = 10
POINT = Hyperparameters(lr=3e-3, weight_decay=1e-5, blocks_per_stage=2, dilation_stage3=2)
FILES = {"fit": "work/best.ckpt", "lr_finder": "lr_finder.csv", "grid_search": "grid_search.json"}


def work(what: str, config: Config) -> None:
    """Done in a process of its own: what is killed."""
    torch.set_num_threads(1)
    if what == "fit":
        folder = config.paths.artifacts
        plan = Plan(POINT, epochs=16, keep_best=True)
        result = fit(config, load_dataset(config), plan, folder / "work", folder / "run")
        (folder / "done").write_text(repr(history(result)))
        return
    result = getattr(stages, what)(config)
    runs = getattr(result, "trials", None)
    facts = [history(fit) for fit in runs] if runs else result.model_dump_json()
    (config.paths.artifacts / "done").write_text(repr(facts))


def history(result) -> list[dict]:
    return [record.model_dump(exclude={"seconds"}) for record in result.epochs]


@pytest.fixture(scope="module")
def processes():
    """Start processes from one that has imported everything and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eurosat_lib.stages", "test_resume"])
    return context


def start(processes, what: str, config: Config):
    process = processes.Process(target=work, args=(what, config))
    process.start()
    return process


def outcome(what: str, config: Config) -> list:
    artifacts = config.paths.artifacts
    weights = load_checkpoint(artifacts / FILES["fit"])["model"] if what == "fit" else {}
    return [(artifacts / "done").read_text(), {n: w.tolist() for n, w in weights.items()}]


def at(config: Config, root: Path) -> Config:
    return config.model_copy(update={"paths": type(config.paths)(root=str(root))})


@pytest.mark.slow
@pytest.mark.parametrize("what", ["fit", "lr_finder", "grid_search"])
def test_ten_random_kills_change_no_bit(what, tiny, tmp_path, processes):
    config = override(tiny, {"lr_finder.seeds": [0, 1, 2], "lr_finder.iterations": 60})
    load_dataset(config)  # into the cache that the processes share
    whole = at(config, tmp_path / "whole")
    start(processes, what, whole).join()
    expected = outcome(what, whole)
    clock = time.perf_counter()
    start(processes, what, at(config, tmp_path / "again")).join()
    duration = time.perf_counter() - clock  # the first one waited for the imports

    generator, kills, finished = random.Random(what), 0, 0
    while kills < KILLS:
        config = at(config, tmp_path / f"cut{finished}")
        process = start(processes, what, config)
        process.join(duration * generator.uniform(0.1, 0.7))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        if (config.paths.artifacts / "done").exists():  # a new one: none may go unkilled
            assert outcome(what, config) == expected
            finished, duration = finished + 1, duration * 0.8
    process = start(processes, what, config)
    process.join()
    assert process.exitcode == 0
    assert outcome(what, config) == expected


def test_a_refused_state_is_named_and_the_one_before_is_used(tmp_path, capsys):
    for epoch in (1, 2):
        keep_state(tmp_path, {"epoch": epoch})
    os.truncate(tmp_path / LAST, 100)
    found = []
    assert restore_state(tmp_path, lambda state: found.append(state["epoch"]), lambda: None)
    assert found == [1]
    assert "last.ckpt refused" in capsys.readouterr().err
    assert not (tmp_path / LAST).exists()


def test_states_of_another_training_are_refused_and_undone(tmp_path, capsys):
    keep_state(tmp_path, {"foreign": 1})
    undone = []
    assert not restore_state(tmp_path, lambda state: state["epoch"], lambda: undone.append(1))
    assert undone == [1]
    assert not (tmp_path / LAST).exists()
    keep_state(tmp_path, {"epoch": 1})
    keep_state(tmp_path, {"epoch": 2})
    forget_states(tmp_path)
    assert not (tmp_path / PREVIOUS).exists()
