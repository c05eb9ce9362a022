import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from eurosat_lib import runtime as room
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.runtime import (
    Runtime,
    describe_device,
    describe_environment,
    epoch_generator,
    get_device,
    processor,
    set_seed,
)

CPUINFO = (
    "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nstepping\t: 1\n\nmodel\t: 2\n"
)


def test_seed_covers_python_numpy_and_torch():
    def draw():
        return random.random(), np.random.rand(), float(torch.rand(1))

    set_seed(3)
    first = draw()
    set_seed(3)
    assert draw() == first
    assert draw() != first


def test_epoch_generator_depends_on_seed_and_epoch_only():
    def draw(seed, epoch):
        return torch.rand(4, generator=epoch_generator(seed, epoch)).tolist()

    first = draw(42, 1)
    torch.rand(5)
    assert draw(42, 1) == first
    assert first not in (draw(42, 2), draw(43, 1), draw(1, 42))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_device_without_cuda(tiny):
    assert get_device("auto").type == get_device("cpu").type == "cpu"
    with pytest.raises(UserError, match="no CUDA device"):
        get_device("cuda")


def test_precision_is_resolved_and_used(tiny):
    x = torch.randn(8, 8)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        runtime = Runtime.of(override(tiny, {"compute.precision": precision}))
        with runtime.autocast():
            assert (x @ x).dtype == dtype
    assert Runtime.of(override(tiny, {"compute.precision": "auto"})).precision in ("fp32", "bf16")


def test_descriptions_name_versions_and_device(tiny):
    environment = describe_environment()
    assert environment["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert describe_device(Runtime.of(tiny)).startswith("CPU ")


FAULTS = """
import resource, sys, torch
from eurosat_lib.runtime import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "keep" else False)
for step in range(24):
    if step == 4:  # the memory has found its place
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(48 * 2**18)  # 48 MiB, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_memory_is_used_again_without_page_faults():
    """The kernel hands out 48 MiB anew for each tensor, unless the C library keeps them."""

    def faults(how):
        command = [sys.executable, "-c", FAULTS, how]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return out[0] == "True", int(out[1])

    known, kept = faults("keep")
    if not known:
        pytest.skip("not glibc")
    assert kept < 0.4 * faults("default")[1]


def test_a_processor_is_known_by_more_than_its_name(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    for path, name in (("cpuinfo", "AuthenticAMD family 25 model 17 stepping 1"), ("none", None)):
        room._cpuinfo.cache_clear()
        monkeypatch.setattr(room, "CPUINFO", tmp_path / path)
        assert processor() == name or (name is None and processor())
    room._cpuinfo.cache_clear()


def test_apples_device_is_seen_and_computes_in_float32(tiny, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert get_device("auto").type == get_device("mps").type == "mps"
    auto = override(tiny, {"compute.device": "mps", "compute.precision": "auto"})
    assert Runtime.of(auto).precision == "fp32"


def test_threads_of_one_configuration_do_not_stay(tiny):
    before = torch.get_num_threads()
    Runtime.of(tiny)
    assert torch.get_num_threads() == 1
    Runtime.of(override(tiny, {"compute.threads": None}))
    assert torch.get_num_threads() == room.THREADS
    torch.set_num_threads(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_cuda_repeats_itself(tiny, blobs, tmp_path):
    from eurosat_lib.train import fit

    point = {"lr": 3e-3, "weight_decay": 1e-5, "blocks_per_stage": 2, "dilation_stage3": 2}
    values = {f"train.{name}": value for name, value in point.items()}
    config = override(tiny, {"compute.device": "cuda", **values})
    one, two = (fit(config, blobs, tmp_path / n, tmp_path / f"r{n}") for n in "ab")
    rows = [[record.model_dump(exclude={"seconds"}) for record in r.epochs] for r in (one, two)]
    assert rows[0] == rows[1]
