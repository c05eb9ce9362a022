"""Device, precision, threads, seeds."""

import random

import numpy as np
import pytest
import torch
from torch.torch_version import TorchVersion

from eurosat_lib import runtime as room
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.runtime import Runtime, epoch_generator, get_device, set_seed

CORE = "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nstepping\t: 1\n\n"


def test_seed_covers_python_numpy_and_torch_and_an_epoch_has_its_own():
    def draw():
        return random.random(), np.random.rand(), float(torch.rand(1))

    def order(seed, epoch):
        return torch.rand(4, generator=epoch_generator(seed, epoch)).tolist()

    set_seed(3)
    first, epoch = draw(), order(42, 1)
    set_seed(3)
    assert draw() == first != draw()
    assert order(42, 1) == epoch
    assert epoch not in (order(42, 2), order(43, 1), order(1, 42))


def test_devices_are_seen_and_apples_computes_in_float32(tiny, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.14.0"))
    for there, auto in ((False, "cpu"), (True, "mps")):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=there: there)
        assert get_device("auto").type == auto
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", TorchVersion("2.13.1+cpu"))
        assert get_device("auto").type == "cpu"
    with pytest.raises(UserError, match="no CUDA device"):
        get_device("cuda")
    mps = override(tiny, {"compute.device": "mps", "compute.precision": "auto"})
    assert Runtime.of(mps).precision == "fp32"


def test_precision_is_used_and_threads_of_one_configuration_do_not_stay(tiny):
    x, before = torch.randn(8, 8), torch.get_num_threads()
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Runtime.of(override(tiny, {"compute.precision": precision})).autocast():
            assert (x @ x).dtype == dtype
    assert torch.get_num_threads() == 1
    Runtime.of(override(tiny, {"compute.threads": None}))
    assert torch.get_num_threads() == room.THREADS
    torch.set_num_threads(before)


def test_a_processor_is_known_by_more_than_its_name(tiny, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(CORE + "model\t: 2\n")
    found = []
    for name in ("cpuinfo", "none"):
        room._cpuinfo.cache_clear()
        monkeypatch.setattr(room, "CPUINFO", tmp_path / name)
        found.append(Runtime.of(tiny).describe()["processor"])
    room._cpuinfo.cache_clear()
    assert found == ["AuthenticAMD family 25 model 17 stepping 1", room.ANY_CPU]
