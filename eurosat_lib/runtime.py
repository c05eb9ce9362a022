"""Where the work runs: device, precision, threads, seeds, and how to describe them."""

import ctypes
import os
import platform
import random
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError

# Read by cuBLAS when CUDA starts and by PyTorch's compiler, which times kernels and takes the
# fastest: without them some sums differ from run to run.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("TORCHINDUCTOR_DETERMINISTIC", "1")

MPS_SOUND = "2.14"  # before, BatchNorm's gradients are wrong there (pytorch issue 175189)
THREADS = torch.get_num_threads()  # PyTorch's own choice, when no configuration has changed it
CPUINFO = Path("/proc/cpuinfo")
ANY_CPU = platform.processor() or platform.machine()  # where there is no such file
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # numbers of these settings in glibc's malloc.h


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def restore_modes() -> None:
    """Turn gradients on and autocast off: a stop amid PyTorch's own switches leaves them so."""
    torch.set_grad_enabled(True)
    for kind in ("cpu", "cuda", "mps"):
        torch.set_autocast_enabled(kind, False)


def get_device(prefer: str = "auto") -> torch.device:
    """Return the device to compute on, ``auto``: CUDA, else MPS, else the CPU.

    UserError if the one asked for is not there.
    """
    there = {"cuda": torch.cuda.is_available()}
    there["mps"] = torch.__version__ >= MPS_SOUND and torch.backends.mps.is_available()
    if prefer == "auto":
        prefer = next((name for name, found in there.items() if found), "cpu")
    if not there.get(prefer, True):
        told = f"PyTorch {torch.__version__} sees no {prefer.upper()} device"
        raise UserError(f"compute.device = {prefer}: {told} (MPS: from {MPS_SOUND} on)")
    return torch.device(prefer)


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Return the CPU generator of one epoch; it depends on nothing but (seed, epoch)."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> 1))


@dataclass(frozen=True)
class Runtime:
    """Device and precision, resolved for this machine."""

    device: torch.device
    precision: str  # "fp32" or "bf16"

    def __post_init__(self) -> None:
        """Have a GPU give the same bits each time, and float32 that is float32."""
        if self.device.type == "cuda":
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.conv.fp32_precision = "ieee"
            torch.backends.cuda.matmul.fp32_precision = "ieee"

    @classmethod
    def of(cls, config: Config) -> "Runtime":
        """Resolve ``compute.*``; UserError if the device is not there.

        For the whole process: sets the CPU threads (null: PyTorch's own choice) and, on a CPU,
        keeps freed memory.
        """
        torch.set_num_threads(config.compute.threads or THREADS)
        device, precision = get_device(config.compute.device), config.compute.precision
        if device.type == "cpu":
            keep_freed_memory()
        if precision == "auto":
            precision = "bf16" if _has_fast_bf16(device) else "fp32"
        return cls(device, precision)

    @classmethod
    def names(cls, config: Config) -> list[str]:
        """Return kind of device and precision; named ones need not be of this machine."""
        own = config.compute
        if "auto" not in (own.device, own.precision):
            return [own.device, own.precision]
        here = cls.of(config)
        return [here.device.type, here.precision]

    def autocast(self) -> AbstractContextManager:
        """Context of a forward pass: bfloat16 where it is cheap and safe, or nothing."""
        if self.precision == "bf16":  # each weight is used once: a cache of casts has no use
            return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
        return nullcontext()

    def place(self, model: torch.nn.Module) -> torch.nn.Module:
        """Move a network to the device, in the memory layout its convolutions prefer."""
        return model.to(self.device, memory_format=torch.channels_last)

    def describe(self) -> dict[str, str]:
        """Name the device (``CPU AMD EPYC, 2 threads``), the precision and the processor.

        Names such as ``AMD EPYC`` cover several processors, with other bits and speeds:
        ``AuthenticAMD family 25 model 17 stepping 1``.
        """
        known, count = _cpuinfo(), torch.get_num_threads()
        name = known.get("model name", ANY_CPU)
        device = f"CPU {name}, {count} thread{'s' if count > 1 else ''}"
        if self.device.type == "cuda":
            device = torch.cuda.get_device_name(self.device)
        elif self.device.type == "mps":
            device = f"{name} GPU (MPS)"
        keys = {"vendor_id": "", "cpu family": "family ", "model": "model "}
        keys["stepping"] = "stepping "
        words = [before + known[key] for key, before in keys.items() if key in known]
        processor = " ".join(words) or ANY_CPU
        return {"device": device, "precision": self.precision, "processor": processor}


def keep_freed_memory(keep: bool = True) -> None:
    """Let the C library, where it is glibc, keep what tensors free, for the next step.

    By default it gives blocks above 32 MiB back to the system at once, and the kernel clears
    each page anew: a tenth to a quarter of a training step on a CPU. False goes back to that.
    """
    large, free = (2**30, 2**31 - 1) if keep else (2**25, 2**26)  # bytes
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, large)
        mallopt(M_TRIM_THRESHOLD, free)


def _has_fast_bf16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 in hardware (emulation is slower than fp32)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "mps" or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo().get("flags", "").split()))


def describe_environment() -> dict[str, str]:
    """Return the versions that matter to a rerun: Python, PyTorch, CUDA, libraries, system."""
    packages = ("torch", "torchvision", "datasets", "numpy", "scikit-learn", "papermill")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "cuda": (torch.version.cuda if torch.cuda.is_available() else "") or "",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }


@cache
def _cpuinfo() -> dict[str, str]:
    """Read what Linux says of its first core; empty elsewhere."""
    try:
        first = CPUINFO.read_text(encoding="ascii", errors="ignore").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
