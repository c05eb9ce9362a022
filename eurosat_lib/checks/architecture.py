"""The network on paper and in memory: layers, shapes, parameters, receptive field."""

from __future__ import annotations

from dataclasses import asdict
from typing import ClassVar

from eurosat_lib.config import Config
from eurosat_lib.model import (
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
    """Size of the network for one choice of the two hyperparameters."""

    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    tensors: int
    receptive_field: int  # input pixels
    gflop: float  # training one image, three times the forward pass, 2 operations a MAC


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
        return self.model_dump(mode="json", exclude={"layers"}) | {
            "receptive_field": self.current.receptive_field,
            "gflop": self.current.gflop,
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
    model = build_model(config, blocks, dilation)
    rows = layer_table(model, (3, config.data.image_size, config.data.image_size))
    return Variant(
        blocks_per_stage=blocks,
        dilation_stage3=dilation,
        parameters=count_parameters(model),
        tensors=len(list(model.parameters())),
        receptive_field=receptive_field(blocks, dilation),
        gflop=3 * 2 * sum(row.macs for row in rows) / 1e9,
    )
