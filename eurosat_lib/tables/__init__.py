"""Every table of the report: a DataFrame with French headings.

Numbers stay numbers where a column is of one kind; ``attrs`` holds what ``report.table`` needs to
write them: ``table(frame, "légende", **frame.attrs)``.
"""

from eurosat_lib.tables.audit import findings, overlap_counts, seam_counts
from eurosat_lib.tables.checks import baselines, initial_loss, layers, overfit, variants
from eurosat_lib.tables.data import (
    augmentation,
    classes,
    pipeline,
    preprocessing,
    splits,
)
from eurosat_lib.tables.errors import calibration, look_alikes, robustness
from eurosat_lib.tables.evaluation import confusions, metrics, per_class
from eurosat_lib.tables.finalists import finalists
from eurosat_lib.tables.recipes import recipe_scores, recipe_steps
from eurosat_lib.tables.repeats import finalists_on_test, openings, seeds, spatial_seeds
from eurosat_lib.tables.run import artifacts, durations, environment
from eurosat_lib.tables.search import comparison, effects, grid, lr_rules, refined
from eurosat_lib.tables.spatial import split_classes, split_scores
from eurosat_lib.tables.theory import theory
from eurosat_lib.tables.training import configuration, history

__all__ = [
    "artifacts",
    "augmentation",
    "baselines",
    "calibration",
    "classes",
    "comparison",
    "configuration",
    "confusions",
    "durations",
    "effects",
    "environment",
    "finalists",
    "finalists_on_test",
    "findings",
    "grid",
    "history",
    "initial_loss",
    "layers",
    "look_alikes",
    "lr_rules",
    "metrics",
    "openings",
    "overfit",
    "overlap_counts",
    "per_class",
    "pipeline",
    "preprocessing",
    "recipe_scores",
    "recipe_steps",
    "refined",
    "robustness",
    "seam_counts",
    "seeds",
    "spatial_seeds",
    "split_classes",
    "split_scores",
    "splits",
    "theory",
    "variants",
]
