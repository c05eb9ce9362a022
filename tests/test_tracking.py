"""TensorBoard runs: what is written is read back, and written once."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eurosat_lib.tracking import Run, read_run, write_run, write_runs

SERIES = {"train/loss": [(1, 2.0), (2, 1.5)], "val/loss": [(1, 2.1), (2, 1.7)]}


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


def test_a_run_is_written_once_and_read_back_and_another_replaces_it(tmp_path):
    folder = tmp_path / "a"
    write_run(folder, Run(SERIES, {"lr": 1e-3}, {"hparam/score": 0.75}, {1: 20.0, 2: 50.0}))
    series = read_run(folder, ["train/loss", "val/loss", "hparam/score", "absent"])
    assert set(series) == {"train/loss", "val/loss", "hparam/score"}
    assert series["val/loss"].to_dict() == pytest.approx({1: 2.1, 2: 1.7})
    first, second = events(folder).Scalars("train/loss")
    assert second.wall_time - first.wall_time == pytest.approx(30, abs=0.01)
    files = sorted(folder.iterdir())
    assert not [path for path in files if path.is_dir()]  # metrics in the same run
    write_run(folder, Run(SERIES, {"lr": 1e-3}, {"hparam/score": 0.75}, {1: 20.0, 2: 50.0}))
    assert sorted(folder.iterdir()) == files
    write_run(folder, Run({"train/loss": [(1, 9.0)]}))
    assert read_run(folder, ["train/loss"])["train/loss"].to_dict() == {1: 9.0}


def test_runs_of_earlier_settings_go(tmp_path):
    write_runs(tmp_path, {name: Run(SERIES) for name in "abc"})
    write_runs(tmp_path, {name: Run(SERIES) for name in "ac"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]
