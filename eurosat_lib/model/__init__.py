"""The network, and what can be counted on it."""

from eurosat_lib.model.counting import (
    LayerRow,
    count_parameters,
    count_parameters_by_formula,
    layer_table,
    receptive_field,
)
from eurosat_lib.model.network import (
    NUM_CLASSES,
    DilatedCNN,
    GlobalAveragePool,
    Stage,
    build_model,
    fold_batchnorm,
)

__all__ = [
    "NUM_CLASSES",
    "DilatedCNN",
    "GlobalAveragePool",
    "LayerRow",
    "Stage",
    "build_model",
    "count_parameters",
    "count_parameters_by_formula",
    "fold_batchnorm",
    "layer_table",
    "receptive_field",
]
