"""Screenshots of TensorBoard: what is shown, when a picture is stale, and one real session."""

import shutil

import pytest
from PIL import Image

from eurosat_lib import captures
from eurosat_lib.files import write_json
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
    compare(tiny, "lr", TRIALS[:2])
    return tiny


def compare(config, factor, names):
    """Note which trials one factor sets apart; the others set apart none."""
    factors = {name: {"curves": []} for name in SHORT}
    factors[factor]["curves"] = [{"name": name} for name in names]
    tree = {"compare_curves": {"source": "grid_search", "name": TRIALS[0], **factors}}
    write_json(config.paths.artifacts / "facts.json", tree)


def test_a_picture_is_shown_while_it_is_of_the_runs_as_they_are(studied, monkeypatch):
    pytest.importorskip("playwright.sync_api")
    monkeypatch.setattr(captures, "open_browser", lambda _: None)
    monkeypatch.setattr(captures, "_photograph", lambda *_: b"PNG")
    (studied.paths.runs / "overfit_small/unfinished").mkdir()
    path, lr = captures.take_captures(studied)
    alts = {name: alt for name, (_, alt) in captures.find_captures(studied).items()}
    assert path.read_bytes() == b"PNG" and alts == {
        "overfit": "Page de TensorBoard. train/accuracy, train/loss : 8_images.",
        "compare_lr": f"Page de TensorBoard. train/loss, val/accuracy : {', '.join(TRIALS[:2])}.",
    }
    compare(studied, "lr", TRIALS[1:])  # of older runs, but others
    assert [*captures.find_captures(studied)] == ["overfit"]
    compare(studied, "weight_decay", TRIALS[:2])
    assert [one.stem for one in captures.take_captures(studied)] == ["overfit", "compare_wd"]
    write_run(studied.paths.runs / "overfit_small/8_images", Run(CURVES, seconds={1: 2.0}))
    assert [*captures.find_captures(studied)] == ["compare_wd"]
    shutil.rmtree(studied.paths.runs / "grid_search" / TRIALS[0])
    assert captures.find_captures(studied) == {} and lr.exists()
    monkeypatch.setenv("FROZEN", "1")  # as they are
    assert [*captures.find_captures(studied)] == ["overfit", "compare_lr", "compare_wd"]


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
