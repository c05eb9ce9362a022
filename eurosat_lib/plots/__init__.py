"""Every figure of the report: each function returns a Matplotlib figure, made outside pyplot.

Each has French labels with units and an alt text with the numbers (its ``get_label()``); what it
shows is said by its caption.
"""

# ruff: noqa: F401, I001
# fmt: off
from eurosat_lib.plots.style import BLUE, SEED_COLOURS, log_figures, run_colours
from eurosat_lib.plots.data import (
    augmentation_draws, class_colours, class_distribution, examples, extremes, mean_images,
    overlaps,
)
from eurosat_lib.plots.checks import (
    architecture, baselines, gradient_norms, initial_losses, overfit, receptive_field,
)
from eurosat_lib.plots.training import (
    comparison, lr_sweep, recipe_curves, run_curves, training_curves,
)
from eurosat_lib.plots.search import (
    finalists, grid_curves, grid_effects, grid_heatmaps, grid_parallel, grid_ranking,
    lr_by_depth, refined_heatmap,
)
from eurosat_lib.plots.evaluation import (
    confusion, grad_cam, per_class, reliability, risk_coverage, robustness, split_comparison,
    worst_errors,
)
