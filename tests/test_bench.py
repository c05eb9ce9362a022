import json

import pytest
import torch
from torch import nn

from eurosat_lib.bench import __main__ as command
from eurosat_lib.bench import limits, loops, pieces
from eurosat_lib.bench.augmentations import compare_augmentations
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime
from eurosat_lib.transforms import get_preprocess_transforms


def test_usual_loop_prepares_the_same_images(tiny, blobs):
    config = tiny.model_copy(update={"data": tiny.data.model_copy(update={"image_size": 64})})
    usual = loops.PILDataset(blobs.validation, loops.usual_transform(config, train=False))
    ours = get_preprocess_transforms(config)(torch.from_numpy(blobs.validation.images[:4]))
    for i in range(4):
        image, label = usual[i]
        assert label == blobs.validation.labels[i]
        torch.testing.assert_close(image, ours[i])


@pytest.mark.slow
def test_bench_writes_its_table(root, tiny, monkeypatch, capsys):
    monkeypatch.setattr(command, "load_config", lambda *_: tiny)
    monkeypatch.setattr(limits, "SIDES", (64,))
    monkeypatch.setattr(pieces, "IMAGES", (32, 10**6))
    assert command.main(["--steps", "1", "--rounds", "1"]) == 0
    result = json.loads((tiny.paths.artifacts / "bench.json").read_text())
    loop = [row for row in result["rows"] if row["section"] == "loop"]
    assert [row["what"] for row in loop] == [
        "training, 2 blocks, fp32",
        "evaluation, 2 blocks, fp32",
        "training, 3 blocks, fp32",
        "evaluation, 3 blocks, fp32",
    ]
    for row in loop:
        assert row["ratio"] == pytest.approx(row["reference"] / row["value"])
    sections = {row["section"] for row in result["rows"]}
    assert sections == {"loop", "limit", "augmentation", "stage", "memory", "scaling"}
    assert all(row["value"] > 0 for row in result["rows"] if row["unit"] != "%")
    assert len(capsys.readouterr().out.splitlines()) == len(result["rows"]) + 1
    table = (tiny.paths.artifacts / "bench.md").read_text().splitlines()
    assert len(table) == len(result["rows"]) + 4
    assert "| × " in next(line for line in table if line.startswith("| training, 2 blocks"))
    assert "<svg" in (tiny.paths.artifacts / "bench.svg").read_text()


def test_pieces_of_a_step_are_all_timed(tiny):
    """Pieces run one after the other give what the network gives."""
    model = build_model(tiny).train()
    pieces = limits._pieces(model)
    assert sum(isinstance(piece, nn.Conv2d) for piece in pieces) == 6
    x = torch.randn(4, 3, 16, 16)
    assert torch.equal(nn.Sequential(*pieces)(x), model(x))
    assert all(t > 0 for t in limits._time_pieces(Runtime.of(tiny), pieces, x))
    assert 0 < limits.share_outside_convolutions(tiny, 2, 1) < 1


def test_augmentations_are_compared_with_torchvision(tiny, blobs):
    rows = compare_augmentations(tiny, blobs.train, 2)
    assert rows[0].what == "augmentation, against torchvision, image by image"
    assert rows[0].ratio == pytest.approx(rows[0].reference / rows[0].value)


def test_bench_refuses_zero_steps(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert command.main(["--steps", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err
