"""The data: where the images come from, decoded once, as uint8 arrays and as batches."""

from eurosat_lib.data.sources import describe_source, load_dataset, pinned_source, signature
from eurosat_lib.data.types import CLASSES, EuroSAT, Source, Split

__all__ = [
    "CLASSES",
    "EuroSAT",
    "Source",
    "Split",
    "describe_source",
    "load_dataset",
    "pinned_source",
    "signature",
]
