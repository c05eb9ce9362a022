"""Facts of the real data set, found again; needs EUROSAT_DATA."""

from __future__ import annotations

import os

import pytest

from eurosat_lib import stages
from eurosat_lib.config import load_config, override

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set"),
]
COUNTS = {
    "train": (1791, 1787, 1799, 1505, 1492, 1195, 1481, 1863, 1460, 1827),
    "validation": (613, 605, 628, 499, 507, 409, 481, 583, 511, 564),
    "test": (596, 608, 573, 496, 501, 396, 538, 554, 529, 609),
}


@pytest.fixture
def config(root):
    return load_config(root / "configs/config.yaml", "full")


def test_counts_and_faults(config):
    audit = stages.explore_dataset(config)
    assert audit.counts == COUNTS
    assert audit.image_shape == (3, 64, 64)
    assert audit.duplicates == 0
    assert audit.published_lists
    assert not audit.facts()["synthetic"]
    assert (audit.black, audit.nodata, audit.flat) == (0, 0, 0)
    assert audit.facts()["centred_classes"] == ["Industrial", "River"]


def test_the_same_ground_is_in_several_splits(config):
    near = {(p.first.name, p.second.name) for p in stages.find_duplicates(config).pairs}
    assert ("River_597.jpg", "River_492.jpg") in near and len(near) == 6
    overlaps = stages.find_overlaps(config).facts()
    assert (overlaps["found"], overlaps["across"], overlaps["relabelled"]) == (122, 68, 13)
    assert stages.find_seams(config).facts()["found"]


def test_majority_baseline(config):
    baselines = stages.compute_baselines(override(config, {"data.train_limit": 2000}))
    assert baselines.majority_class == "Residential"
    assert round(100 * baselines.majority_validation, 2) == 10.80
    assert round(100 * baselines.majority_test, 2) == 10.26
    assert baselines.best_linear > 0.5


def test_preprocessed_values_and_batches(config):
    pipeline = stages.verify_pipeline(config)
    assert pipeline.batch_shape == (64, 3, 64, 64)
    assert pipeline.coherent and pipeline.repeatable and pipeline.reshuffled
    assert pipeline.value_min >= -2.1180
    assert pipeline.value_max == pytest.approx(2.640, abs=1e-3)
    assert pipeline.batches == {"train": 254, "validation": 85, "test": 85}


def test_initial_loss_at_full_width(config):
    check = stages.check_initial_loss(override(config, {"initial_loss.n_seeds": 2}))
    assert check.loss == pytest.approx(check.theory, abs=0.1)
    assert check.facts()["reached"] == check.facts()["tensors"] == 26


@pytest.mark.slow
def test_overfit_at_full_width(config):
    result = stages.overfit_small(config)
    assert result.reached
    assert result.losses[-1] < 0.01
