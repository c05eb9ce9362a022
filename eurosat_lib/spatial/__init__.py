"""The spatial split beside the standard one: how much of the test accuracy neighbours explain."""

from eurosat_lib.spatial.comparison import SplitComparison, compare
from eurosat_lib.spatial.intervals import combined
from eurosat_lib.spatial.records import SpatialEvaluation, SpatialSeeds, SpatialTraining
from eurosat_lib.spatial.sides import ClassPair, Side

__all__ = [
    "ClassPair",
    "Side",
    "SpatialEvaluation",
    "SpatialSeeds",
    "SpatialTraining",
    "SplitComparison",
    "combined",
    "compare",
]
