import pytest

from eurosat_lib import estimate, stages
from eurosat_lib.config import override
from tests.conftest import ROOT


@pytest.fixture
def slow_machine(monkeypatch, blobs):
    """One second per trained image and block, a tenth of that per evaluated image."""
    monkeypatch.setattr(estimate.work, "load_dataset", lambda config: blobs)
    monkeypatch.setattr(
        estimate.work, "seconds_per_image", lambda config, blocks: (blocks, blocks / 10)
    )


def test_stages_are_counted_by_hand(on_blobs, slow_machine):
    seconds = estimate.stage_seconds(on_blobs)
    assert seconds["lr_finder"] == 1 * 12 * 16 * 3
    assert seconds["overfit_small"] == 4 * 8 * 3
    # 2 rates x 1 decay x 2 dilations, 2 epochs of 48 images and 40 validation images
    assert seconds["grid_search"] == pytest.approx(4 * 2 * (48 + 4) * (2 + 3))
    assert seconds["train"] == pytest.approx(2 * (96 + 4) * 3)
    assert seconds["evaluate"] == pytest.approx(80 * 0.3)
    assert seconds["find_duplicates"] == 5.0


def test_kept_results_and_trials_cost_nothing(on_blobs, slow_machine):
    full = estimate.stage_seconds(on_blobs)
    stages.grid_search(override(on_blobs, {"grid.lr": [1e-3]}))
    half = estimate.stage_seconds(on_blobs)
    assert half["grid_search"] == pytest.approx(full["grid_search"] / 2)
    stages.grid_search(on_blobs)
    assert estimate.stage_seconds(on_blobs)["grid_search"] == 0.0


def test_nothing_is_computed_by_estimating(on_blobs, slow_machine):
    estimate.stage_seconds(on_blobs)
    assert not list(on_blobs.paths.stages.glob("*/result.json"))


def test_every_notebook_has_an_estimate(on_blobs, slow_machine):
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(estimate.notebook_seconds(on_blobs)) == names


def test_speed_is_measured_once(tiny):
    first = estimate.seconds_per_image(tiny, 2)
    assert 0 < first[1] < 1 and 0 < first[0] < 1
    assert estimate.seconds_per_image(tiny, 2) == first
