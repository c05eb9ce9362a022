"""Count and measure the network: parameters, receptive field, layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eurosat_lib.model.network import NUM_CLASSES


def count_parameters(model: nn.Module) -> int:
    """Count the trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_parameters_by_formula(
    channels: tuple[int, int, int], blocks: int, num_classes: int = NUM_CLASSES
) -> int:
    """Count them on paper: 9 c_in c_out + c_out a convolution, 2 c_out a BatchNorm, the head."""
    total, inputs = 0, 3
    for width in channels:
        for _ in range(blocks):
            total += 9 * inputs * width + width + 2 * width
            inputs = width
    return total + inputs * num_classes + num_classes


def receptive_field(blocks: int, dilation: int) -> int:
    """Return the side, in input pixels, of what one output of stage 3 sees.

    Each 3x3 convolution adds 2 x dilation x stride so far; each 2x2 pooling adds that stride and
    doubles it (Araujo et al., Distill 2019, doi:10.23915/distill.00021).
    """
    field, stride = 1, 1
    for stage_dilation, pool in ((1, True), (1, True), (dilation, False)):
        field += blocks * 2 * stage_dilation * stride
        if pool:
            field += stride
            stride *= 2
    return field


@dataclass(frozen=True)
class LayerRow:
    """One row of the layer table."""

    name: str
    kind: str
    detail: str
    output_shape: tuple[int, ...]  # without the batch
    parameters: int
    macs: int  # multiply-accumulates for one image


def layer_table(model: nn.Module, input_shape: tuple[int, int, int]) -> list[LayerRow]:
    """List the layers in the order of the forward pass, by running one image through them.

    Args:
        model: the network, on any device.
        input_shape: (channels, height, width).
    """
    rows: list[LayerRow] = []

    def record(name: str, layer: nn.Module):
        """Make the hook that describes one layer."""

        def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            rows.append(_layer_row(name, layer, output))

        return hook

    leaves = [(n, m) for n, m in model.named_modules() if not list(m.children())]
    handles = [layer.register_forward_hook(record(name, layer)) for name, layer in leaves]
    device = next(model.parameters()).device
    training = model.training
    try:
        model.eval()
        with torch.inference_mode():
            model(torch.zeros(1, *input_shape, device=device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return rows


def _layer_row(name: str, layer: nn.Module, output: Tensor) -> LayerRow:
    detail, macs = "", 0
    if isinstance(layer, nn.Conv2d):
        detail = f"{layer.in_channels} → {layer.out_channels}, 3×3, dilation {layer.dilation[0]}"
        macs = layer.weight.numel() * output.shape[-1] * output.shape[-2]
    elif isinstance(layer, nn.Linear):
        detail, macs = f"{layer.in_features} → {layer.out_features}", layer.weight.numel()
    elif isinstance(layer, nn.MaxPool2d):
        detail = "2×2"
    parameters = sum(p.numel() for p in layer.parameters())
    kind = type(layer).__name__
    return LayerRow(name, kind, detail, tuple(output.shape[1:]), parameters, macs)
