"""How strong the signal is at each layer of the untrained network, forward and backward."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib.record import Record


class LayerSignal(Record):
    """How strong the output of a convolution or linear layer is, and the gradient there.

    Root mean squares are over images, channels and positions.
    """

    name: str
    rms: float  # of the output, before BatchNorm; mean over the initialisations
    expected: float  # the same, by theory
    zeros: float | None  # share that BatchNorm leaves at or below 0 and ReLU cuts; None: no ReLU
    dead: int  # channels that ReLU cuts for the whole batch, most over the initialisations
    gradient: float  # L2 norm, of the loss with respect to the output; first initialisation

    @property
    def ratio(self) -> float:
        """Measured over expected strength."""
        return self.rms / self.expected


@dataclass
class Seen:
    """What one forward (and backward) pass shows at a layer."""

    rms: float
    expected: float
    zeros: float | None = None
    dead: int = 0
    gradient: float = 0.0

    def take(self, gradient: Tensor) -> None:
        """Note the norm of the gradient that comes back."""
        self.gradient = float(gradient.float().norm())


@contextmanager
def watch(model: nn.Module) -> Iterator[dict[str, Seen]]:
    """Observe the convolutions and linear layers of a network while the context lasts.

    Yields:
        layer name -> what the last forward pass showed, filled while it runs; gradients come
        with the backward pass.
    """
    seen: dict[str, Seen] = {}

    def hook(name: str):
        """Make the observer of one layer."""

        def observe(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            """Note the size of the output, and of its gradient once it comes back."""
            if isinstance(layer, nn.Conv2d | nn.Linear):
                now = Seen(_rms(output), expected_rms(layer, inputs[0]))
                seen[name] = now
                if output.requires_grad:
                    output.register_hook(
                        lambda g: setattr(now, "gradient", float(g.float().norm()))
                    )
            elif isinstance(layer, nn.BatchNorm2d):  # ReLU may come after the max-pooling
                off = output.detach() <= 0
                last = next(reversed(seen.values()))
                last.zeros = float(off.float().mean())
                last.dead = int(off.transpose(0, 1).flatten(1).all(1).sum())

        return observe

    handles = [m.register_forward_hook(hook(n)) for n, m in model.named_modules() if _is_leaf(m)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def expected_rms(layer: nn.Conv2d | nn.Linear, inputs: Tensor) -> float:
    """Return the root mean square that PyTorch's initialisation gives the output, on average.

    Weights and bias are uniform in ±1/√n for n inputs a unit (``nn.Conv2d``, ``nn.Linear``),
    hence of variance 1 / 3n, and independent: E[y²] = (Σ x² + 1) / 3n, the sum over the inputs
    that the unit reads. Zeros of the padding are among them.

    Args:
        layer: freshly initialised.
        inputs: of the layer, (B, C, H, W) or (B, C).
    """
    sums = inputs.detach().float().square().sum(1, keepdim=True)
    n = layer.weight[0].numel()
    if isinstance(layer, nn.Conv2d):
        ones = sums.new_ones(1, 1, *layer.kernel_size)
        with torch.autocast(sums.device.type, enabled=False):
            sums = F.conv2d(sums, ones, None, layer.stride, layer.padding, layer.dilation)
    return float(((sums.mean() + 1) / (3 * n)).sqrt())


def summarise(passes: Sequence[Mapping[str, Seen]]) -> tuple[LayerSignal, ...]:
    """Join the passes of several initialisations, in the order of the layers.

    Args:
        passes: from :func:`watch`, one per initialisation; the first went backward too.
    """
    return tuple(_join(name, [one[name] for one in passes]) for name in passes[0])


def _join(name: str, all_seen: Sequence[Seen]) -> LayerSignal:
    zeros = [s.zeros for s in all_seen if s.zeros is not None]
    return LayerSignal(
        name=name,
        rms=_mean_square(s.rms for s in all_seen),
        expected=_mean_square(s.expected for s in all_seen),
        zeros=statistics.fmean(zeros) if zeros else None,
        dead=max(s.dead for s in all_seen),
        gradient=all_seen[0].gradient,
    )


def _mean_square(values: Iterator[float]) -> float:
    """Root of the mean square: the theory speaks of squares."""
    return statistics.fmean(v**2 for v in values) ** 0.5


def _rms(values: Tensor) -> float:
    return float(values.detach().float().square().mean().sqrt())


def _is_leaf(layer: nn.Module) -> bool:
    return not list(layer.children())
