import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from eurosat_lib.config import override
from eurosat_lib.data import store
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.data.types import Split
from eurosat_lib.transforms import get_preprocess_transforms

CPU = torch.device("cpu")


@pytest.fixture
def mapped(tmp_path, blobs):
    """The training blobs as a memory-mapped file, as the cache gives them."""
    np.save(tmp_path / "images.npy", blobs.train.images)
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    return Split(images, blobs.train.labels, blobs.train.names)


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("limit", [None, 24])
def test_streamed_batches_equal_resident_ones(tiny, mapped, monkeypatch, size, limit):
    config = override(tiny, {"data.image_size": size})
    resident = make_loader(config, mapped, limit, augment=True)
    assert isinstance(resident.images, store.Resident)
    store._stores.clear()
    monkeypatch.setattr(store, "CPU_BYTES", 1000)
    streamed = make_loader(config, mapped, limit, augment=True)
    assert isinstance(streamed.images, store.Streamed)
    pairs = list(zip(resident.epoch(3), streamed.epoch(3), strict=True))
    assert len(pairs) == len(resident)
    for (x, a), (y, b) in pairs:
        assert torch.equal(x, y) and torch.equal(a, b)


def test_images_of_full_size_are_not_copied(tiny, mapped):
    config = override(tiny, {"data.image_size": 64})
    loader = make_loader(config, mapped)
    assert loader.images.images.data_ptr() == mapped.images.ctypes.data


def test_a_store_is_made_once_per_task(tiny, mapped, blobs):
    preprocess, index = get_preprocess_transforms(tiny), np.arange(96)
    first = store.open_store(mapped, index, preprocess, CPU)
    assert store.open_store(mapped, index, preprocess, CPU) is first
    assert store.open_store(mapped, index[::-1], preprocess, CPU) is not first
    assert store.open_store(blobs.train, index, preprocess, CPU) is not first
    for count in range(1, 2 * store.KEPT):
        store.open_store(mapped, index[:count], preprocess, CPU)
    assert len(store._stores) == store.KEPT


BIG = """
import re, sys
import numpy as np, torch
from eurosat_lib.config import load_config
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.data.types import Split
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime
from eurosat_lib.training.steps import TrainStep, make_optimizer, train_epoch

path, n, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
config = load_config(file, "full", {"data.batch_size": 500, "model.channels": [1, 1, 1]})
images = np.load(path, mmap_mode="r")
split = Split(images, np.arange(n) % 10, tuple(map(str, range(n))))
runtime = Runtime.of(config)
model = runtime.place(build_model(config))
step = TrainStep(model, make_optimizer(model, 1e-3, 0.0), runtime)
loader = make_loader(config, split, augment=True)
train_epoch(step, loader.epoch(0), max_steps=12)
images = sum(len(loader.images.take(rows)) for rows in torch.arange(n).split(1000))
# Not ru_maxrss: that starts at the memory of the process that started this one.
print(images, re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
def test_a_set_larger_than_allowed_trains_in_bounded_memory(tmp_path, root):
    """200,000 images, 2.4 GB in a sparse file: trained on 6,000 of them, then all read once."""
    count, path = 200_000, tmp_path / "big.npy"
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, 64, 64)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * 3 * 64 * 64)
    command = [sys.executable, "-c", BIG, str(path), str(count)]
    command.append(str(root / "configs/config.yaml"))
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    images, peak = map(int, out.split())
    assert images == count
    assert peak * 1024 < 2e9
