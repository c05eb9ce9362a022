"""Where the work runs: device, precision, threads, seeds, and how to describe them."""

from __future__ import annotations

import ctypes
import os
import platform
import random
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError

# Read by cuBLAS when CUDA starts: without it some of its sums differ from run to run.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # numbers of these settings in glibc's malloc.h


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def get_device(prefer: str = "auto") -> torch.device:
    """Return the device to compute on.

    Args:
        prefer: ``auto`` (CUDA if there is one), ``cpu`` or ``cuda``.

    Raises:
        UserError: CUDA is asked for and absent.
    """
    if prefer == "cuda" and not torch.cuda.is_available():
        raise UserError("compute.device: cuda is asked for, but PyTorch sees no CUDA device")
    if prefer == "auto":
        prefer = "cuda" if torch.cuda.is_available() else "cpu"
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

    @classmethod
    def of(cls, config: Config) -> Runtime:
        """Resolve ``compute.*`` and set the number of CPU threads."""
        if config.compute.threads:
            torch.set_num_threads(config.compute.threads)
        device = get_device(config.compute.device)
        if device.type == "cuda":
            _make_cuda_repeatable()
        else:
            keep_freed_memory()
        precision = config.compute.precision
        if precision == "auto":
            precision = "bf16" if _has_fast_bf16(device) else "fp32"
        return cls(device, precision)

    def autocast(self) -> AbstractContextManager:
        """Context of a forward pass: bfloat16 where it is cheap and safe, or nothing."""
        if self.precision == "bf16":  # each weight is used once: a cache of casts has no use
            return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
        return nullcontext()

    def place(self, model: torch.nn.Module) -> torch.nn.Module:
        """Move a network to the device, in the memory layout its convolutions prefer."""
        return model.to(self.device, memory_format=torch.channels_last)


def _make_cuda_repeatable() -> None:
    """Choose kernels that give the same bits each time, and float32 that is float32."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    torch.backends.cuda.matmul.fp32_precision = "ieee"


def keep_freed_memory(keep: bool = True) -> bool:
    """Let the C library keep what tensors free, to be used again by the next step.

    By default glibc gives blocks above 32 MiB back to the system at once, and the kernel clears
    each page anew at the next step: a tenth to a quarter of a training step on a CPU.

    Args:
        keep: False goes back to the values that glibc's own adaptation ends at.

    Returns:
        Whether the C library knows the setting (glibc does); without it all goes on as before.
    """
    sizes = (2**30, 2**31 - 1) if keep else (2**25, 2**26)  # bytes
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    names = (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)
    return all([mallopt(name, size) == 1 for name, size in zip(names, sizes, strict=True)])


def _has_fast_bf16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 in hardware (emulation is slower than fp32)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.backends.cpu.get_cpu_capability()
    if capabilities != "AVX512":
        return False
    return _cpu_flag("avx512_bf16") or _cpu_flag("amx_bf16")


def _cpu_flag(name: str) -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as lines:
            return any(name in line.split() for line in lines if line.startswith("flags"))
    except OSError:
        return False


def describe_device(runtime: Runtime) -> str:
    """Name the device as a reader would, for instance ``CPU AMD EPYC, 2 threads``."""
    if runtime.device.type == "cuda":
        return torch.cuda.get_device_name(runtime.device)
    threads = torch.get_num_threads()
    return f"CPU {_cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"


def describe_environment() -> dict[str, str]:
    """Return the versions that matter to a rerun: Python, PyTorch, CUDA, libraries, system."""
    packages = ("torch", "torchvision", "datasets", "numpy", "scikit-learn", "papermill")
    found = {name: version(name) for name in packages}
    cuda = torch.version.cuda if torch.cuda.is_available() else ""
    return {
        "python": platform.python_version(),
        **found,
        "cuda": cuda or "",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
