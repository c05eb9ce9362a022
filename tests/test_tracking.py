"""TensorBoard runs: what is written is read back, and written once; earlier ones go."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eurosat_lib.tracking import Run, read_run, write_runs

SERIES = {"train/loss": [2.0, 1.5], "val/loss": [2.1, 1.7]}
RUN = Run(SERIES, {"lr": 1e-3}, {"hparam/score": 0.75}, {1: 20.0, 2: 50.0})


def test_runs_are_written_once_read_back_and_replaced(tmp_path):
    folder = tmp_path / "a"
    write_runs(tmp_path, {"a": RUN, "b": Run(SERIES)})
    series = read_run(folder)
    assert set(series) == {"train/loss", "val/loss", "hparam/score"}
    assert series["val/loss"].to_dict() == pytest.approx({1: 2.1, 2: 1.7})
    first, second = EventAccumulator(str(folder)).Reload().Scalars("train/loss")
    assert second.wall_time - first.wall_time == pytest.approx(30, abs=0.01)
    files = sorted(folder.iterdir())
    assert not [path for path in files if path.is_dir()]  # metrics in the same run
    write_runs(tmp_path, {"a": RUN})
    assert sorted(folder.iterdir()) == files and [*tmp_path.iterdir()] == [folder]
    write_runs(tmp_path, {"a": Run({"train/loss": [9.0]})})
    assert read_run(folder)["train/loss"].to_dict() == {1: 9.0}
