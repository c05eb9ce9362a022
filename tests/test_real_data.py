"""Facts of the real data set, found again; needs EUROSAT_DATA."""

import os
import time

import pytest

from eurosat_lib import data, protocol
from eurosat_lib.config import load_config, override

absent = pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set")
pytestmark = [pytest.mark.realdata, absent]


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
    counts = {"found": 122, "across": 68, "relabelled": 13, "test_images": 41}
    assert protocol.find_overlaps(config).facts() == counts


@pytest.mark.skipif("EUROSAT_SPLITS" not in os.environ, reason="EUROSAT_SPLITS is not set")
def test_the_spatial_split_has_the_same_images(config):
    standard, cut = data.load_dataset(config), data.load_dataset(data.on_spatial(config))
    first, second = ({*d.train.names, *d.validation.names, *d.test.names} for d in (standard, cut))
    assert first == second and len(first) == 27000
    assert len(set(standard.test.names) & set(cut.test.names)) == 1038


def test_baselines(config):
    found = protocol.compute_baselines(override(config, {"data.train_limit": 2000})).facts()
    assert found["majority_class"] == "Residential" and found["best_linear"] > 0.5
    assert found["majority_test"] == pytest.approx(0.1026, abs=5e-5)
