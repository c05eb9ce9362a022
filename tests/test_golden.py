"""A training on real images is that of the first edition, to the bit.

``golden.json`` comes from commit 817793f; its bits hold for the processor and PyTorch it names.
"""

import json
import os
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from settings import ROOT

from eurosat_lib import protocol
from eurosat_lib.config import load_config
from eurosat_lib.files import read_csv
from eurosat_lib.runtime import _cpuinfo

RECORD = json.loads((ROOT / "tests/golden.json").read_text(encoding="utf-8"))
COUNTS = {"train": 400, "validation": 150, "test": 150}  # the first images of each
TRAINING = {
    "model.channels": [16, 32, 64],
    "data.batch_size": 32,
    "train": {"lr": 2e-3, "weight_decay": 1e-5, "max_epochs": 3},
    "train.blocks_per_stage": 2,
    "train.dilation_stage3": 2,
    "compute": {"device": "cpu", "precision": "fp32", "threads": 1},
}


def machine() -> dict:
    """What bits depend on: processor, version of PyTorch, threads."""
    found = _cpuinfo()
    own = {key: found.get(key) for key in ("vendor_id", "cpu family", "model", "stepping")}
    bf16 = "avx512_bf16" in found.get("flags", "").split()
    return own | {"avx512_bf16": bf16, "torch": torch.__version__, "threads": 1}


@pytest.mark.realdata
@pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set")
@pytest.mark.skipif(machine() != RECORD["machine"], reason="bits differ between machines")
def test_a_training_is_that_of_the_record_to_the_bit(root):
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
