"""Facts of the real data set, found again; needs EUROSAT_DATA."""

from __future__ import annotations

import os

import numpy as np
import pytest

from eurosat_lib import protocol
from eurosat_lib.config import load_config, override
from eurosat_lib.data import load_dataset, on_spatial

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set"),
]
COUNTS = {
    "train": (1791, 1787, 1799, 1505, 1492, 1195, 1481, 1863, 1460, 1827),
    "validation": (613, 605, 628, 499, 507, 409, 481, 583, 511, 564),
    "test": (596, 608, 573, 496, 501, 396, 538, 554, 529, 609),
}

SPATIAL = {
    "train": (1788, 1309, 1854, 1698, 1659, 1767, 1716, 1927, 1507, 975),
    "validation": (394, 614, 330, 462, 488, 118, 477, 566, 662, 1289),
    "test": (818, 1077, 816, 340, 353, 115, 307, 507, 331, 736),
}


@pytest.fixture
def config(root):
    return load_config(root / "configs/config.yaml", "full")


def test_counts_and_faults(config):
    audit = protocol.explore_dataset(config)
    assert audit.counts == COUNTS
    assert audit.image_shape == (3, 64, 64)
    assert audit.duplicates == 0
    assert audit.published_lists
    assert not audit.facts()["synthetic"]
    assert (audit.black, audit.nodata, audit.flat) == (0, 0, 0)
    assert audit.facts()["centred_classes"] == ["Industrial", "River"]


def test_the_same_ground_is_in_several_splits(config):
    overlaps = protocol.find_overlaps(config).facts()
    assert (overlaps["found"], overlaps["across"], overlaps["relabelled"]) == (122, 68, 13)


@pytest.mark.skipif("EUROSAT_SPLITS" not in os.environ, reason="EUROSAT_SPLITS is not set")
def test_the_spatial_split_has_the_same_images(config):
    standard, cut = load_dataset(config), load_dataset(on_spatial(config))
    for name, counts in SPATIAL.items():
        assert tuple(np.bincount(getattr(cut, name).labels)) == counts
    names = [
        {name for split in (d.train, d.validation, d.test) for name in split.names}
        for d in (standard, cut)
    ]
    assert names[0] == names[1] and len(names[0]) == 27000
    assert len(set(standard.test.names) & set(cut.test.names)) == 1038
    assert cut.fingerprint != standard.fingerprint


def test_majority_baseline(config):
    baselines = protocol.compute_baselines(override(config, {"data.train_limit": 2000}))
    assert baselines.majority_class == "Residential"
    assert round(100 * baselines.majority_validation, 2) == 10.80
    assert round(100 * baselines.majority_test, 2) == 10.26
    assert baselines.best_linear > 0.5


def test_preprocessed_values_and_batches(config):
    pipeline = protocol.verify_pipeline(config)
    assert pipeline.batch_shape == (64, 3, 64, 64)
    assert pipeline.repeatable and pipeline.reshuffled
    assert pipeline.value_min >= -2.1180
    assert pipeline.value_max == pytest.approx(2.640, abs=1e-3)
    assert pipeline.batches == {"train": 254, "validation": 85, "test": 85}


def test_initial_loss_at_full_width(config):
    check = protocol.check_initial_loss(override(config, {"initial_loss.n_seeds": 2}))
    assert check.loss == pytest.approx(check.theory, abs=0.1)
    assert check.facts()["reached"] == check.facts()["tensors"] == 26
