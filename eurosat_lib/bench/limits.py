"""The machine's own limits: its matrix product, and the network's convolutions alone."""

from __future__ import annotations

import statistics

import torch
from torch import Tensor, nn

from eurosat_lib.bench.rows import clock
from eurosat_lib.config import Config
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime

SIDES = (1024, 2048, 4096)  # of the matrices; the best of them is the machine's peak
PRODUCTS = {"cpu": 1, "cuda": 50}  # launched together, so that the launch does not count


def peak_flops(config: Config, n: int = 5) -> float:
    """Measure the fastest matrix product in the precision of the training: operations/s.

    Both layouts of the second operand are tried: libraries often prefer one.
    """
    runtime = Runtime.of(config)
    dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    count, rates = PRODUCTS[runtime.device.type], []
    for side in SIDES:
        a = torch.randn(side, side, device=runtime.device, dtype=dtype)
        for b in (a, a.T.contiguous().T):
            _products(a, b, count)
            for _ in range(n):
                seconds = clock(lambda a=a, b=b: _products(a, b, count), runtime.device)
                rates.append(2 * side**3 * count / seconds)
    return max(rates)


def _products(a: Tensor, b: Tensor, count: int) -> None:
    for _ in range(count):
        torch.mm(a, b)


def share_outside_convolutions(config: Config, blocks: int, n: int) -> float:
    """Time a step piece by piece, each in its place; return the share that is not convolution.

    Pieces are the convolutions, and between them BatchNorm, ReLU and pooling; at the end head and
    loss. Forward and backward of all of them in turn, as in a step, so that caches and memory are
    those of a step.
    """
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config, blocks)).train()
    size, batch = config.data.image_size, config.data.batch_size
    images = torch.randn(batch, 3, size, size, device=runtime.device)
    images = images.contiguous(memory_format=torch.channels_last)
    pieces = _pieces(model)
    shares = []
    for _ in range(n + 1):
        times = _time_pieces(runtime, pieces, images)
        inside = sum(t for piece, t in zip(pieces, times, strict=True) if _is_conv(piece))
        shares.append(1 - inside / sum(times))
    return statistics.median(shares[1:])


def _is_conv(piece: nn.Module) -> bool:
    return isinstance(piece, nn.Conv2d)


def _pieces(model: nn.Module) -> list[nn.Module]:
    pieces: list[nn.Module] = []
    layers = [layer for stage in model.stages for layer in stage.as_run()]
    for layer in [*layers, model.pool, model.head]:
        if _is_conv(layer) or _is_conv(pieces[-1]):
            pieces.append(layer if _is_conv(layer) else nn.Sequential(layer))
        else:
            pieces[-1].append(layer)
    return pieces


def _time_pieces(runtime: Runtime, pieces: list[nn.Module], images: Tensor) -> list[float]:
    times, passed, x = [0.0] * len(pieces), [], images
    for number, piece in enumerate(pieces):

        def forward(piece: nn.Module = piece, x: Tensor = x) -> None:
            with runtime.autocast():
                passed.append((x, piece(x)))

        times[number] += clock(forward, runtime.device)
        x = passed[-1][1].detach().requires_grad_()
    gradient = torch.ones_like(x)
    for number in reversed(range(len(pieces))):
        x, y = passed.pop()
        wanted = [*pieces[number].parameters(), *([x] if number else [])]
        found: list[Tensor] = []

        def backward(y: Tensor = y, wanted: list = wanted, found: list = found) -> None:
            found += torch.autograd.grad(y, wanted, gradient)  # noqa: B023 - called at once

        times[number] += clock(backward, runtime.device)
        gradient = found[-1]
    return times
