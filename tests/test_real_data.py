"""Facts of the real data set, found again; needs EUROSAT_DATA."""

import os
import time

import numpy as np
import pandas as pd
import pytest
from settings import ROOT

from eurosat_lib import data, protocol
from eurosat_lib.config import load_config, override
from eurosat_lib.evaluation import open_checkpoint
from eurosat_lib.files import read_json

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


def test_the_committed_network_says_of_an_image_what_its_table_says(config):
    """Of all that it got wrong and of each twentieth other; ties are rounding's to break."""
    folder = ROOT / "artifacts/eurosat"
    metrics, table = read_json(folder / "metrics.json"), pd.read_csv(folder / "predictions.csv")
    assert (len(table), table["correct"].sum()) == (metrics["n"], metrics["correct"])
    precision = read_json(folder / "results/evaluate.json")["provenance"]["precision"]
    first, second = np.sort(table.filter(like="p_"))[:, :-3:-1].T
    clear = first - second > (0.1 if precision == "bf16" else 1e-3)
    assert clear.mean() > 0.99
    config = override(config, {"compute.precision": "fp32"})
    dataset = data.load_dataset(config)
    assert (*table["name"],) == dataset.test.names
    looked = np.flatnonzero(clear & ((table["correct"] == 0) | (table.index % 20 == 0)))
    network, _ = open_checkpoint(config, dataset, folder / "best.ckpt")
    said = network.logits(dataset.test.images[looked]).argmax(1)
    assert [dataset.classes[k] for k in said] == table["prediction"][looked].to_list()
