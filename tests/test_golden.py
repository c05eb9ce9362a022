"""Pixels and a training on real images are those of the first edition, to the bit.

``golden.json`` comes from commit 817793f; its bits hold for the processor and PyTorch it names.
"""

import csv
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from settings import ROOT

from eurosat_lib import protocol
from eurosat_lib.config import Config, load_config
from eurosat_lib.data import load_dataset

RECORD = json.loads((ROOT / "tests/golden.json").read_text(encoding="utf-8"))
COUNTS = {"train": 400, "validation": 150, "test": 150}  # the first images of each
TRAINING = {
    "model.channels": [16, 32, 64],
    "data.batch_size": 32,
    "train.lr": 2e-3,
    "train.weight_decay": 1e-5,
    "train.blocks_per_stage": 2,
    "train.dilation_stage3": 2,
    "train.max_epochs": 3,
    "compute.device": "cpu",
    "compute.precision": "fp32",
    "compute.threads": 1,
}

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set"),
]


@pytest.fixture
def config(root) -> Config:
    """The experiment of the record, on its cut of the real images."""
    (root / "cut/data").mkdir(parents=True)
    for split, count in COUNTS.items():
        shards = sorted(Path(os.environ["EUROSAT_DATA"], "data").glob(f"{split}-*.parquet"))
        if not shards:
            pytest.skip("the record was made from the parquet files")
        table = pq.read_table(shards[0]).slice(0, count)
        pq.write_table(table, root / f"cut/data/{split}-00000-of-00001.parquet")
    values = TRAINING | {"data.source": str(root / "cut")}
    return load_config(root / "configs/config.yaml", "full", values)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def machine() -> dict:
    """What bits depend on: processor, version of PyTorch, threads."""
    if not Path("/proc/cpuinfo").is_file():
        return {}
    first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    found = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in first)}
    own = {key: found.get(key) for key in ("vendor_id", "cpu family", "model", "stepping")}
    bf16 = "avx512_bf16" in found.get("flags", "").split()
    return own | {"avx512_bf16": bf16, "torch": torch.__version__, "threads": 1}


def test_pixels_labels_and_names_are_those_of_the_record(config):
    data, found = load_dataset(config), {}
    for name in COUNTS:
        split = getattr(data, name)
        parts = {"pixels": split.images.tobytes(), "labels": split.labels.astype(np.int64)}
        parts |= {"names": "\n".join(split.names).encode()}
        digests = {part: sha256(bytes(content)) for part, content in parts.items()}
        found[name] = {"shape": [*split.images.shape]} | digests
    assert found == RECORD["data"]


@pytest.mark.skipif(machine() != RECORD["machine"], reason="bits differ between machines")
def test_a_training_is_that_of_the_record_to_the_bit(config):
    protocol.train(config)
    state = torch.load(config.paths.artifacts / "best.ckpt", weights_only=True)["model"]
    weights = b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state))
    history = (config.paths.artifacts / "history.csv").read_text(encoding="utf-8")
    columns = RECORD["training"]["history.csv"][0]
    rows = [{c: row[c] for c in columns} for row in csv.DictReader(history.splitlines())]
    assert {"history.csv": rows, "best.ckpt": sha256(weights)} == RECORD["training"]
