"""The network measured: operations counted as they run, receptive field seen by its gradient."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from eurosat_lib.model import DilatedCNN

SMALLEST, LARGEST = 64, 4096  # pixels: sides of the images tried for the footprint
ENERGY = 0.95  # share of the gradient's energy that the effective field holds


@dataclass(frozen=True)
class Footprint:
    """What one output of stage 3 depends on, found by backpropagation.

    Attributes:
        side: pixels, of the square outside which the gradient is exactly zero.
        energy_side: pixels, of the centred square that holds 95 % of the gradient's energy.
        profile: share of the energy in each column of the footprint, (side,), sums to 1.
    """

    side: int
    energy_side: int
    profile: tuple[float, ...]


def count_flop(model: nn.Module, input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Count the floating-point operations of one image, as PyTorch dispatches them.

    Runs on the meta device: shapes only, no arithmetic. A multiply-accumulate is two operations;
    BatchNorm, ReLU and pooling are not counted (``torch.utils.flop_counter``).

    Args:
        model: the network, left as it is.
        input_shape: (channels, height, width).

    Returns:
        Operations of the forward pass, and of forward and backward pass together.
    """
    double = copy.deepcopy(model).to("meta").train()
    images = torch.empty(2, *input_shape, device="meta")  # BatchNorm wants more than one value
    with FlopCounterMode(display=False) as forward:
        outputs = double(images)
    with FlopCounterMode(display=False) as backward:
        outputs.sum().backward()
    once, back = forward.get_total_flops() // 2, backward.get_total_flops() // 2
    return once, once + back


def measure_field(model: DilatedCNN) -> Footprint:
    """Find the receptive field of a stage-3 output from the gradient of a linearised copy.

    The gradient of the network itself shows too little: ReLU and max-pooling close paths that
    another image would open, and positive and negative paths may cancel. In the copy all weights
    are equal and positive, BatchNorm is the identity and max-pooling an average: every path is
    open and nothing cancels, so the support of its gradient is the union over all images and
    weights. Its values are, up to a factor, the mean squared gradient over random weights
    (Luo et al., NeurIPS 2016, arXiv:1701.04128), hence the energies.

    The image grows until the footprint no longer touches its border.

    Raises:
        ValueError: the field is larger than ``LARGEST`` pixels.
    """
    linear, size = _linearised(model), SMALLEST
    while size <= LARGEST:
        gradient = _central_gradient(linear, size)
        touched = gradient.nonzero()
        first, last = touched.min(0).values, touched.max(0).values
        if int(first.min()) > 0 and int(last.max()) < size - 1:
            seen = gradient[first[0] : last[0] + 1, first[1] : last[1] + 1]
            return _footprint(seen / seen.sum())
        size *= 2
    raise ValueError(f"the receptive field exceeds {LARGEST} pixels")


def _linearised(model: DilatedCNN) -> nn.Module:
    stages = copy.deepcopy(model.stages).cpu().float().eval().requires_grad_(False)
    for stage in stages:
        for index, layer in enumerate(stage):
            if isinstance(layer, nn.Conv2d):
                nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.reset_parameters()
            elif isinstance(layer, nn.MaxPool2d):
                stage[index] = nn.AvgPool2d(layer.kernel_size)
    return stages


def _central_gradient(stages: nn.Module, size: int) -> Tensor:
    """Return the gradient (size, size) of the central output; ReLU sees positive values only."""
    image = torch.ones(1, 3, size, size, requires_grad=True)
    features = stages(image)  # (1, C3, size / 4, size / 4)
    middle = features.shape[-1] // 2
    features[0, :, middle, middle].sum().backward()
    return image.grad[0].sum(0)


def _footprint(energy: Tensor) -> Footprint:
    height, width = energy.shape
    inset = 0
    while 2 * (inset + 1) < min(height, width):
        inner = energy[inset + 1 : height - inset - 1, inset + 1 : width - inset - 1]
        if float(inner.sum()) < ENERGY:
            break
        inset += 1
    side = max(height, width)
    return Footprint(side, side - 2 * inset, tuple(energy.sum(0).tolist()))
