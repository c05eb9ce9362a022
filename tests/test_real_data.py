"""Facts of the real data set, found again; needs EUROSAT_DATA."""

import os
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from settings import ROOT

from eurosat_lib import data, protocol
from eurosat_lib.config import load_config, override
from eurosat_lib.evaluation import open_checkpoint
from eurosat_lib.files import read_csv, read_json
from eurosat_lib.runtime import _cpuinfo

absent = pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set")
pytestmark = [pytest.mark.realdata, absent]
RECORD = read_json(ROOT / "tests/golden.json")
COUNTS = {"train": 400, "validation": 150, "test": 150}  # the first images of each
TRAINING = {
    **{"model.channels": [16, 32, 64], "data.batch_size": 32},
    "train": {"lr": 2e-3, "weight_decay": 1e-5, "max_epochs": 3},
    **{"train.blocks_per_stage": 2, "train.dilation_stage3": 2},
    "compute": {"device": "cpu", "precision": "fp32", "threads": 1},
}


def machine() -> dict:
    """What bits depend on: processor, version of PyTorch, threads."""
    found = _cpuinfo()
    own = {key: found.get(key) for key in ("vendor_id", "cpu family", "model", "stepping")}
    bf16 = "avx512_bf16" in found.get("flags", "").split()
    return own | {"avx512_bf16": bf16, "torch": torch.__version__, "threads": 1}


@pytest.mark.skipif(machine() != RECORD["machine"], reason="bits differ between machines")
def test_a_training_is_that_of_the_record_to_the_bit(root):
    """The record, ``golden.json``, is the first edition's, of commit 817793f."""
    (root / "cut/data").mkdir(parents=True)
    for split, count in COUNTS.items():
        shards = sorted(Path(os.environ["EUROSAT_DATA"], "data").glob(f"{split}-*.parquet"))
        if not shards:
            pytest.skip("the record was made from the parquet files")
        table = pq.read_table(shards[0]).slice(0, count)
        pq.write_table(table, root / f"cut/data/{split}-00000-of-00001.parquet")
    values = TRAINING | {"data.source": str(root / "cut")}
    config = load_config(root / "configs/config.yaml", "full", values)
    protocol.train(config)
    state = torch.load(config.paths.artifacts / "best.ckpt", weights_only=True)["model"]
    weights = b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state))
    columns = RECORD["training"]["history.csv"][0]
    history = read_csv(config.paths.artifacts / "history.csv")
    rows = [{column: row[column] for column in columns} for row in history]
    found = {"history.csv": rows, "best.ckpt": sha256(weights).hexdigest()}
    assert found == RECORD["training"]


def test_the_images_are_the_published_ones_and_load_at_once(full):
    audit = protocol.explore_dataset(full)
    assert audit.counts["validation"] == (613, 605, 628, 499, 507, 409, 481, 583, 511, 564)
    assert audit.published_lists and audit.duplicates == 0
    assert (audit.black, audit.nodata, audit.flat, audit.faint) == (0, 0, 0, 2617)
    data._map.cache_clear()
    start = time.perf_counter()
    assert data.load_dataset(full).fingerprint.startswith("8245e1cc")
    assert time.perf_counter() - start < 0.5


def test_the_same_ground_is_in_several_splits(full):
    counts = {"found": 122, "across": 68, "relabelled": 13, "test_images": 41}
    assert protocol.find_overlaps(full).facts() == counts


@pytest.mark.skipif("EUROSAT_SPLITS" not in os.environ, reason="EUROSAT_SPLITS is not set")
def test_the_spatial_split_has_the_same_images(full):
    standard, cut = data.load_dataset(full), data.load_dataset(data.on_spatial(full))
    first, second = ({*d.train.names, *d.validation.names, *d.test.names} for d in (standard, cut))
    assert first == second and len(first) == 27000
    assert len(set(standard.test.names) & set(cut.test.names)) == 1038


def test_baselines(full):
    found = protocol.compute_baselines(override(full, {"data.train_limit": 2000})).facts()
    assert found["majority_class"] == "Residential" and found["best_linear"] > 0.5
    assert found["majority_test"] == pytest.approx(0.1026, abs=5e-5)


def test_the_committed_network_says_of_an_image_what_its_table_says(full):
    """Of all that it got wrong and of each twentieth other; ties are rounding's to break."""
    folder = ROOT / "artifacts/eurosat"
    metrics, table = read_json(folder / "metrics.json"), pd.read_csv(folder / "predictions.csv")
    assert (len(table), table["correct"].sum()) == (metrics["n"], metrics["correct"])
    precision = read_json(folder / "results/evaluate.json")["provenance"]["precision"]
    first, second = np.sort(table.filter(like="p_"))[:, :-3:-1].T
    clear = first - second > (0.1 if precision == "bf16" else 1e-3)
    assert clear.mean() > 0.99
    config = override(full, {"compute.precision": "fp32"})
    dataset = data.load_dataset(config)
    assert (*table["name"],) == dataset.test.names
    looked = np.flatnonzero(clear & ((table["correct"] == 0) | (table.index % 20 == 0)))
    network, _ = open_checkpoint(config, dataset, folder / "best.ckpt")
    said = network.logits(dataset.test.images[looked]).argmax(1)
    assert [dataset.classes[k] for k in said] == table["prediction"][looked].to_list()
