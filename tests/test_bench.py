import json

import pytest
import torch

from eurosat_lib.bench import __main__ as command
from eurosat_lib.bench import loops, measure
from eurosat_lib.transforms import get_preprocess_transforms


def test_usual_loop_prepares_the_same_images(tiny, blobs):
    config = tiny.model_copy(update={"data": tiny.data.model_copy(update={"image_size": 64})})
    usual = loops.PILDataset(blobs.validation, loops.usual_transform(config, train=False))
    ours = get_preprocess_transforms(config)(torch.from_numpy(blobs.validation.images[:4]))
    for i in range(4):
        image, label = usual[i]
        assert label == blobs.validation.labels[i]
        torch.testing.assert_close(image, ours[i])


def test_bench_writes_its_table(root, tiny, blobs, monkeypatch, capsys):
    monkeypatch.setattr(measure, "load_dataset", lambda config: blobs)
    monkeypatch.setattr(command, "load_config", lambda *_: tiny)
    monkeypatch.setattr(measure, "MATRIX", 64)
    assert command.main(["--steps", "1", "--rounds", "1"]) == 0
    result = json.loads((tiny.paths.artifacts / "bench.json").read_text())
    assert [(row["what"], row["blocks"]) for row in result["rows"]] == [
        ("train", 2),
        ("evaluate", 2),
        ("train", 3),
        ("evaluate", 3),
    ]
    for row in result["rows"]:
        assert row["speedup"] == pytest.approx(row["usual_us"] / row["ours_us"])
        assert row["peak_share"] > 0
    assert capsys.readouterr().out.count("us/image") == 8


def test_bench_refuses_zero_steps(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert command.main(["--steps", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err
