"""The data: where the images come from, decoded once, as uint8 arrays and as batches."""

from typing import Any

from eurosat_lib.data.sources import describe_source, load_dataset, pinned_source, signature
from eurosat_lib.data.types import CLASSES, EuroSAT, Source, Split

__all__ = [
    "CLASSES",
    "EuroSAT",
    "Source",
    "Split",
    "describe_source",
    "get_dataloaders",
    "load_dataset",
    "pinned_source",
    "signature",
]


def __getattr__(name: str) -> Any:
    """Load the batches' side, and PyTorch with it, only when it is asked for."""
    if name == "get_dataloaders":
        from eurosat_lib.data.loaders import get_dataloaders

        return get_dataloaders
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
