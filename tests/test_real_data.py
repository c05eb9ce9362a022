"""Facts of the real data set, found again; needs EUROSAT_DATA."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from eurosat_lib import data, protocol
from eurosat_lib.config import load_config, override

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set"),
]
SPATIAL = {
    "train": [1788, 1309, 1854, 1698, 1659, 1767, 1716, 1927, 1507, 975],
    "validation": [394, 614, 330, 462, 488, 118, 477, 566, 662, 1289],
    "test": [818, 1077, 816, 340, 353, 115, 307, 507, 331, 736],
}


@pytest.fixture
def config(root):
    return load_config(root / "configs/config.yaml", "full")


def test_the_images_are_the_published_ones_and_load_at_once(config):
    audit = protocol.explore_dataset(config)
    assert audit.counts["validation"] == (613, 605, 628, 499, 507, 409, 481, 583, 511, 564)
    assert audit.published_lists and audit.duplicates == 0
    assert (audit.black, audit.nodata, audit.flat, audit.faint) == (0, 0, 0, 2617)
    data._map.cache_clear()
    start = time.perf_counter()
    assert data.load_dataset(config).fingerprint.startswith("8245e1cc")
    assert time.perf_counter() - start < 0.5


def test_the_same_ground_is_in_several_splits(config):
    overlaps = protocol.find_overlaps(config).facts()
    assert (overlaps["found"], overlaps["across"], overlaps["relabelled"]) == (122, 68, 13)
    assert overlaps["test_images"] == 41


@pytest.mark.skipif("EUROSAT_SPLITS" not in os.environ, reason="EUROSAT_SPLITS is not set")
def test_the_spatial_split_has_the_same_images(config):
    standard, cut = data.load_dataset(config), data.load_dataset(data.on_spatial(config))
    for name, counts in SPATIAL.items():
        assert np.bincount(getattr(cut, name).labels).tolist() == counts
    first, second = ({*d.train.names, *d.validation.names, *d.test.names} for d in (standard, cut))
    assert first == second and len(first) == 27000
    assert len(set(standard.test.names) & set(cut.test.names)) == 1038


def test_baselines(config):
    stage = protocol.compute_baselines(override(config, {"data.train_limit": 2000}))
    baselines = stage.facts()
    assert baselines["majority_class"] == "Residential"
    assert round(100 * baselines["majority_test"], 2) == 10.26
    assert baselines["best_linear"] > 0.5
