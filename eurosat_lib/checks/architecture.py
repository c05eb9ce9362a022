"""The network on paper and as it runs: layers, parameters, receptive field, operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar

from eurosat_lib.checks.measure import ENERGY, count_flop, measure_field
from eurosat_lib.config import Config
from eurosat_lib.model import (
    LayerRow,
    build_model,
    count_parameters,
    count_parameters_by_formula,
    layer_table,
    receptive_field,
)
from eurosat_lib.record import Record


class Layer(Record):
    """One row of the layer table; the shape is without the batch."""

    name: str
    kind: str
    detail: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int


class Variant(Record):
    """One choice of the two hyperparameters: each number by formula, and measured."""

    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    parameters_by_formula: int
    tensors: int
    receptive_field: int  # input pixels, by formula
    measured_field: int  # the same, from the gradient
    energy_field: int  # side of the square with 95 % of the gradient's energy
    profile: tuple[float, ...]  # share of the energy by column of the field
    gflop_forward: float  # one image, 2 operations a multiply-accumulate, by formula
    gflop_forward_counted: float
    gflop: float  # forward and backward, one image, by formula
    gflop_counted: float


class Architecture(Record):
    """The configured network, layer by layer, and its variants of the grid."""

    stage: ClassVar[str] = "test_model"

    input_shape: tuple[int, int, int]
    output_shape: tuple[int, ...]
    channels: tuple[int, int, int]
    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    parameters_by_formula: int
    tensors: int
    layers: tuple[Layer, ...]
    variants: tuple[Variant, ...]

    @property
    def current(self) -> Variant:
        """Return the configured variant."""
        return next(
            v
            for v in self.variants
            if (v.blocks_per_stage, v.dilation_stage3)
            == (self.blocks_per_stage, self.dilation_stage3)
        )

    def facts(self) -> dict:
        """Return the numbers of the network; the layer table stays out."""
        hidden = {"layers": True, "variants": {"__all__": {"profile"}}}
        return self.model_dump(mode="json", exclude=hidden) | {
            "receptive_field": self.current.receptive_field,
            "gflop": self.current.gflop,
            "energy_field": self.current.energy_field,
            "energy": ENERGY,
            "fields_agree": all(v.receptive_field == v.measured_field for v in self.variants),
        }


def test_model(config: Config) -> Architecture:
    """Build the configured network and its variants, and count."""
    size = config.data.image_size
    model = build_model(config)
    layers = layer_table(model, (3, size, size))
    blocks = sorted({config.model.blocks_per_stage, *config.grid.blocks_per_stage})
    dilations = sorted({config.model.dilation_stage3, *config.grid.dilation_stage3})
    return Architecture(
        input_shape=(3, size, size),
        output_shape=layers[-1].output_shape,
        channels=config.model.channels,
        blocks_per_stage=config.model.blocks_per_stage,
        dilation_stage3=config.model.dilation_stage3,
        parameters=count_parameters(model),
        parameters_by_formula=count_parameters_by_formula(
            config.model.channels, config.model.blocks_per_stage
        ),
        tensors=len(list(model.parameters())),
        layers=tuple(Layer(**asdict(row)) for row in layers),
        variants=tuple(_variant(config, b, d) for b in blocks for d in dilations),
    )


test_model.__test__ = False  # the course's name for the stage; pytest must not collect it


def _variant(config: Config, blocks: int, dilation: int) -> Variant:
    model, size = build_model(config, blocks, dilation), config.data.image_size
    rows = layer_table(model, (3, size, size))
    forward, training = count_flop(model, (3, size, size))
    seen = measure_field(model)
    return Variant(
        blocks_per_stage=blocks,
        dilation_stage3=dilation,
        parameters=count_parameters(model),
        parameters_by_formula=count_parameters_by_formula(config.model.channels, blocks),
        tensors=len(list(model.parameters())),
        receptive_field=receptive_field(blocks, dilation),
        measured_field=seen.side,
        energy_field=seen.energy_side,
        profile=seen.profile,
        gflop_forward=2 * sum(row.macs for row in rows) / 1e9,
        gflop_forward_counted=forward / 1e9,
        gflop=training_flop(rows) / 1e9,
        gflop_counted=training / 1e9,
    )


def training_flop(rows: Sequence[LayerRow]) -> int:
    """Count, on paper, the operations of forward and backward pass for one image.

    Each layer works once forward, once for the gradient of its weights and once for that of its
    input; the first layer does without the last, as nobody asks for the gradient of the image.
    """
    macs = [row.macs for row in rows if row.macs]
    return 2 * (3 * sum(macs) - macs[0])
