"""Every table of the report: a DataFrame with French headings.

Numbers stay numbers where a column is of one kind; ``attrs`` holds what ``report.table`` needs to
write them: ``table(frame, "légende", **frame.attrs)``. A missing result gives no table: ``None``.
"""

# ruff: noqa: F401, I001
# fmt: off
from eurosat_lib.tables.data import (
    baselines, classes, findings, initial_loss, layers, overfit, overlap_counts, pipeline,
    variants,
)
from eurosat_lib.tables.evaluation import (
    artifacts, calibration, confusions, environment, finalists_on_test, look_alikes,
    metrics, openings, per_class, robustness, seeds, spatial_seeds, split_classes, split_scores,
)
from eurosat_lib.tables.search import (
    comparison, configuration, effects, finalists, grid, history, lr_rules, recipe_scores,
    recipe_steps, refined,
)
