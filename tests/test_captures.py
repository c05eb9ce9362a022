"""Screenshots of TensorBoard: what is shown, when a picture is stale, and one real session."""

import json
import os

import pytest
from PIL import Image

from eurosat_lib import captures
from eurosat_lib.french import SHORT
from eurosat_lib.plots import style
from eurosat_lib.report.__main__ import main
from eurosat_lib.tracking import TRAINING_TAGS, Run, write_run

CURVES = dict.fromkeys(TRAINING_TAGS, (2.0, 1.0, 2 / 3))
TRIALS = ("lr1e-3_wd1e-5_D2_B2", "lr2e-3_wd1e-5_D2_B2", "lr1e-3_wd1e-5_D3_B2")


@pytest.fixture
def studied(tiny):
    """A run with a small study: one training by heart, three trials, two of them compared."""
    for name in ("overfit_small/8_images", *(f"grid_search/{trial}" for trial in TRIALS)):
        write_run(tiny.paths.runs / name, Run(CURVES))
    factors = {name: {"curves": []} for name in SHORT}
    factors["lr"]["curves"] = [{"name": name} for name in TRIALS[:2]]
    tiny.paths.artifacts.mkdir(parents=True)
    tree = {"compare_curves": {"source": "grid_search", "name": TRIALS[0], **factors}}
    (tiny.paths.artifacts / "facts.json").write_text(json.dumps(tree))
    return tiny


def test_a_view_shows_finished_runs_and_a_picture_older_than_them_is_stale(studied):
    (studied.paths.runs / "overfit_small/unfinished").mkdir()
    path = studied.paths.artifacts / "captures/overfit.png"
    path.parent.mkdir()
    Image.new("RGB", (30, 20)).save(path)
    alt = "Page de TensorBoard. train/accuracy, train/loss : 8_images."
    assert captures.find_captures(studied) == {"overfit": (path, alt)}
    os.utime(path, (1, 1))
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
    for path, _ in captures.find_captures(studied).values():
        picture = Image.open(path).convert("RGB")
        assert picture.width >= 2 * captures.WIDTH and picture.height > 500
        shown = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b) in picture.getcolors(1 << 20)}
        assert style.BLUE in shown and (style.ORANGE in shown) == (path.stem == "compare_lr")
