"""Look at every image before training on any: faults, colours, doubles, neighbours, a map."""

from eurosat_lib.data.audit.duplicates import Duplicates, find_duplicates
from eurosat_lib.data.audit.explore import Audit, explore_dataset
from eurosat_lib.data.audit.landscape import Landscape, draw_landscape
from eurosat_lib.data.audit.overlaps import Overlaps, find_overlaps
from eurosat_lib.data.audit.seams import Seams, find_seams

__all__ = [
    "Audit",
    "Duplicates",
    "Landscape",
    "Overlaps",
    "Seams",
    "draw_landscape",
    "explore_dataset",
    "find_duplicates",
    "find_overlaps",
    "find_seams",
]
