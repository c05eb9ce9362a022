"""Screenshots of TensorBoard: what is shown, when a picture is stale, and one real session."""

import json
import os

import pytest
from PIL import Image

from eurosat_lib import captures
from eurosat_lib.french import SHORT
from eurosat_lib.plots import style
from eurosat_lib.report.__main__ import main
from eurosat_lib.tracking import Run, write_run

TAGS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
CURVES = {tag: [(epoch, 2.0 / epoch) for epoch in (1, 2, 3)] for tag in TAGS}
TRIALS = ("lr1e-3_wd1e-5_D2_B2", "lr2e-3_wd1e-5_D2_B2", "lr1e-3_wd1e-5_D3_B2")


@pytest.fixture
def studied(tiny):
    """A run with a small study: one training by heart, three trials, two of them compared."""
    write_run(tiny.paths.runs / "overfit_small" / "8_images", Run(CURVES))
    for name in TRIALS:
        write_run(tiny.paths.runs / "grid_search" / name, Run(CURVES))
    factors = {name: {"curves": []} for name in SHORT}
    factors["lr"] = {"curves": [{"name": name} for name in TRIALS[:2]]}
    tiny.paths.artifacts.mkdir(parents=True)
    tree = {"compare_curves": {"source": "grid_search", **factors}}
    (tiny.paths.artifacts / "facts.json").write_text(json.dumps(tree))
    return tiny


def test_a_view_shows_finished_runs_and_a_picture_older_than_them_is_stale(studied):
    (studied.paths.runs / "train" / "unfinished").mkdir(parents=True)
    shown = {name: tuple(runs) for name, runs in captures._shown_runs(studied).items()}
    assert shown == {"overfit": ("8_images",), "compare_lr": TRIALS[:2]}
    folder = studied.paths.artifacts / "captures"
    folder.mkdir()
    Image.new("RGB", (30, 20)).save(folder / "overfit.png")
    assert "8_images" in captures.find_captures(studied)["overfit"].alt
    os.utime(folder / "overfit.png", (1, 1))
    assert captures.find_captures(studied) == {}


def test_without_runs_one_is_told_what_to_do(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert main(["captures"]) == 2
    assert "no runs to show yet; compute them: make report" in capsys.readouterr().err


@pytest.mark.slow
def test_tensorboard_is_really_photographed(studied):
    pytest.importorskip("playwright.sync_api")
    names = [path.stem for path in captures.take_captures(studied)]
    assert names == ["overfit", "compare_lr"] == list(captures.find_captures(studied))
    for name, capture in captures.find_captures(studied).items():
        picture = Image.open(capture.path).convert("RGB")
        assert picture.width >= 2 * captures.WIDTHS[2] and picture.height > 500
        shown = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b) in picture.getcolors(1 << 20)}
        wanted = {"overfit": {style.BLUE}, "compare_lr": {style.BLUE, style.ORANGE}}
        assert wanted[name] <= shown
