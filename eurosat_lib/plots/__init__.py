"""Every figure of the report: each function returns a Matplotlib figure, made outside pyplot.

Each has a title, French labels with units, and an alt text with the numbers (its ``get_label()``).
"""

from eurosat_lib.plots.audit import duplicate_search, landscape
from eurosat_lib.plots.board import log_figures
from eurosat_lib.plots.calibration import reliability, risk_coverage
from eurosat_lib.plots.checks import baselines, gradient_norms, initial_losses
from eurosat_lib.plots.controls import overfit, signals
from eurosat_lib.plots.data import class_colours, class_distribution
from eurosat_lib.plots.effects import grid_effects
from eurosat_lib.plots.evaluation import confusion, per_class
from eurosat_lib.plots.explanations import grad_cam, worst_errors
from eurosat_lib.plots.field import footprints, receptive_field
from eurosat_lib.plots.grid import grid_curves, grid_ranking
from eurosat_lib.plots.heatmaps import grid_heatmaps, refined_heatmap
from eurosat_lib.plots.images import augmentation_draws, examples
from eurosat_lib.plots.lr import lr_sweep
from eurosat_lib.plots.neighbours import overlaps, seams
from eurosat_lib.plots.network import architecture
from eurosat_lib.plots.recipes import recipe_curves
from eurosat_lib.plots.robustness import robustness
from eurosat_lib.plots.runs import run_curves
from eurosat_lib.plots.search import finalists, grid_interactions, grid_parallel
from eurosat_lib.plots.spatial import split_comparison
from eurosat_lib.plots.tiles import duplicate_pairs, extremes, mean_images
from eurosat_lib.plots.training import comparison, training_curves

__all__ = [
    "architecture",
    "augmentation_draws",
    "baselines",
    "class_colours",
    "class_distribution",
    "comparison",
    "confusion",
    "duplicate_pairs",
    "duplicate_search",
    "examples",
    "extremes",
    "finalists",
    "footprints",
    "grad_cam",
    "gradient_norms",
    "grid_curves",
    "grid_effects",
    "grid_heatmaps",
    "grid_interactions",
    "grid_parallel",
    "grid_ranking",
    "initial_losses",
    "landscape",
    "log_figures",
    "lr_sweep",
    "mean_images",
    "overfit",
    "overlaps",
    "per_class",
    "receptive_field",
    "recipe_curves",
    "refined_heatmap",
    "reliability",
    "risk_coverage",
    "robustness",
    "run_curves",
    "seams",
    "signals",
    "split_comparison",
    "training_curves",
    "worst_errors",
]
