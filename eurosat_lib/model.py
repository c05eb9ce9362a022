"""The network: three stages of convolution blocks, the last one dilated, and a linear head.

Beside it, what can be counted of it: parameters, receptive field, layers.
"""

import copy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from eurosat_lib.config import Config

NUM_CLASSES = 10


class DilatedCNN(nn.Module):
    """Stages of [Conv 3x3 -> BatchNorm -> ReLU], max-pool after two of them, dilation in the last.

    Input float32 (B, 3, H, W), H and W at least 4; output logits (B, num_classes).
    """

    def __init__(
        self,
        channels: tuple[int, int, int] = (64, 128, 256),
        blocks_per_stage: int = 2,
        dilation_stage3: int = 2,
        num_classes: int = NUM_CLASSES,
    ) -> None:
        """Build the network with PyTorch's default initialisation."""
        super().__init__()
        widths = (3, *channels)
        dilations = (1, 1, dilation_stage3)
        self.stages = nn.Sequential(
            *(
                _stage(widths[i], widths[i + 1], blocks_per_stage, dilations[i], pool=i < 2)
                for i in range(3)
            )
        )
        self.pool = GlobalAveragePool()
        self.head = nn.Linear(channels[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, num_classes) of normalised images (B, 3, H, W)."""
        features = self.stages(images)  # (B, C3, H / 4, W / 4)
        return self.head(self.pool(features))  # (B, C3) -> (B, num_classes)


class Stage(nn.Sequential):
    """Layers of one stage, in the order of the protocol."""

    def as_run(self) -> list[nn.Module]:
        """Return the layers in the order in which they run.

        In training a max-pool comes before the last ReLU. The two commute to the bit, gradients
        included, and only a quarter of the values is left to the ReLU.
        """
        *layers, relu, last = self
        if self.training and isinstance(last, nn.MaxPool2d):
            return [*layers, last, relu]
        return list(self)

    def forward(self, images: Tensor) -> Tensor:
        """Run the layers."""
        for layer in self.as_run():
            images = layer(images)
        return images


def _stage(inputs: int, outputs: int, blocks: int, dilation: int, pool: bool) -> Stage:
    """Build a stage of so many blocks; only its first changes the number of channels."""
    layers: list[nn.Module] = []
    for block in range(blocks):
        channels = outputs if block else inputs
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=dilation, dilation=dilation),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return Stage(*layers, *([nn.MaxPool2d(2)] if pool else []))


class GlobalAveragePool(nn.Module):
    """Mean over all positions: (B, C, H, W) -> (B, C).

    Taken over the last-but-one axis of (B, HW, C), so that the gradient comes back channels last:
    that of ``AdaptiveAvgPool2d`` does not, and the ReLU before pays for it five times over.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Average each channel of each image."""
        return features.permute(0, 2, 3, 1).flatten(1, 2).mean(1)


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """Copy a network for evaluation, each BatchNorm merged into the convolution before it.

    Outputs are the same up to rounding; a network without such pairs is copied as it is.
    """
    model = copy.deepcopy(model).eval()
    for sequence in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        for i, (first, second) in enumerate(pairwise(list(sequence))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                sequence[i], sequence[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return model


def build_model(
    config: Config, blocks_per_stage: int | None = None, dilation_stage3: int | None = None
) -> DilatedCNN:
    """Build the network of ``config.model``; two of its values may be given instead.

    Weights depend on PyTorch's global generator: call ``set_seed`` first.
    """
    model = config.model
    return DilatedCNN(
        model.channels,
        blocks_per_stage or model.blocks_per_stage,
        dilation_stage3 or model.dilation_stage3,
    )


def count_parameters(model: nn.Module) -> int:
    """Count the trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


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
    """Describe a layer by what it gave for one image."""
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
