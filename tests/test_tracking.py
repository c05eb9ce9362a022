import io

import pytest
from PIL import Image

from eurosat_lib.tracking import (
    Run,
    read_run,
    training_series,
    write_images,
    write_run,
    write_runs,
)

SERIES = {"train/loss": [(1, 2.0), (2, 1.5)], "val/loss": [(1, 2.1), (2, 1.7)]}


def test_what_is_written_is_read_back(tmp_path):
    write_run(tmp_path / "a", Run(SERIES))
    series = read_run(tmp_path / "a", ["train/loss", "val/loss", "absent"])
    assert set(series) == {"train/loss", "val/loss"}
    assert series["val/loss"].to_dict() == pytest.approx({1: 2.1, 2: 1.7})


def test_the_same_run_is_not_written_again_another_replaces(tmp_path):
    folder, other = tmp_path / "a", Run({"train/loss": [(1, 9.0)]})
    write_run(folder, Run(SERIES))
    files = sorted(folder.iterdir())
    write_run(folder, Run(SERIES))
    assert sorted(folder.iterdir()) == files
    write_run(folder, other)
    assert read_run(folder, ["train/loss"])["train/loss"].to_dict() == {1: 9.0}


def test_hyperparameters_carry_real_metrics_in_the_same_run(tmp_path):
    write_run(tmp_path / "a", Run(SERIES, {"lr": 1e-3}, {"hparam/score": 0.75}))
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert not [p for p in (tmp_path / "a").iterdir() if p.is_dir()]
    assert read_run(tmp_path / "a", ["hparam/score"])["hparam/score"].to_dict() == {0: 0.75}


def test_runs_of_earlier_settings_go(tmp_path):
    write_runs(tmp_path, {name: Run(SERIES) for name in "abc"})
    write_runs(tmp_path, {name: Run(SERIES) for name in "ac"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


def test_epoch_records_become_series():
    row = {"epoch": 3, "train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 2.0}
    row |= {"val_accuracy": 0.4, "lr": 1e-3, "grad_norm": 7.0}
    series = training_series([row])
    assert series["val/accuracy"] == [(3, 0.4)]
    assert series["train/grad_norm"] == [(3, 7.0)]


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


def test_epochs_carry_the_time_they_were_done_at(tmp_path):
    write_run(tmp_path / "a", Run(SERIES, seconds={1: 20.0, 2: 50.0}))
    first, second = events(tmp_path / "a").Scalars("train/loss")
    assert second.wall_time - first.wall_time == pytest.approx(30, abs=0.01)


def test_pictures_are_written_once_and_replaced_by_others(tmp_path):
    def png(color):
        stream = io.BytesIO()
        Image.new("RGB", (30, 20), color).save(stream, "PNG")
        return stream.getvalue()

    write_images(tmp_path / "a", {"examples/train": png("red")})
    files = sorted(tmp_path.glob("a/*"))
    write_images(tmp_path / "a", {"examples/train": png("red")})
    assert sorted(tmp_path.glob("a/*")) == files
    write_images(tmp_path / "a", {"examples/train": png("blue")})
    (image,) = events(tmp_path / "a").Images("examples/train")
    shown = Image.open(io.BytesIO(image.encoded_image_string)).convert("RGB")
    assert (shown.size, shown.getpixel((3, 3))) == ((30, 20), (0, 0, 255))
