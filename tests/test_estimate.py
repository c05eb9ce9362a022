import re

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
    assert seconds["compare_finalists_on_test"] == pytest.approx(2 * 80 * 0.3)
    assert seconds["find_duplicates"] == pytest.approx(3.0 * 176 / 27_000)


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
    names = {path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert set(estimate.notebook_seconds(on_blobs)) == names


def test_every_stage_of_a_notebook_is_known():
    earlier = set()
    for name, known in estimate.NOTEBOOK_STAGES.items():
        earlier |= set(known)
        text = (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
        called = set(re.findall(r"\bstages\.(\w+)", text)) & set(stages.STAGES)
        assert called <= earlier, name
    on_demand = {"train_recipe", "ablate_recipe", "validate_recipe"}  # by make, no notebook
    assert earlier == set(stages.STAGES) - on_demand


def test_another_run_finds_what_is_kept_step_by_step(on_blobs, slow_machine):
    """A new name has published nothing; its searches are kept all the same, and cost nothing."""
    for stage in ("lr_finder", "grid_search", "refined_grid_search", "compare_finalists", "train"):
        stages.STAGES[stage](on_blobs)
    other = override(on_blobs, {"paths.name": "other"})
    seconds = estimate.stage_seconds(other)
    names = ("grid_search", "refined_grid_search", "compare_finalists", "train")
    assert [seconds[name] for name in names] == [0.0] * 4
    assert {"train", "grid_search"} <= estimate.kept_stages(other)
    assert not other.paths.artifacts.exists()


def test_another_training_makes_the_evaluation_void(on_blobs, slow_machine):
    stages.train(on_blobs)
    stages.evaluate(on_blobs)
    assert estimate.stage_seconds(on_blobs)["evaluate"] == 0.0
    longer = override(on_blobs, {"train.max_epochs": 3})
    assert estimate.stage_seconds(longer)["evaluate"] == pytest.approx(80 * 0.3)


def test_speed_is_measured_once(tiny):
    first = estimate.seconds_per_image(tiny, 2)
    assert 0 < first[1] < 1 and 0 < first[0] < 1
    assert estimate.seconds_per_image(tiny, 2) == first
