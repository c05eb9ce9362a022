"""Grid searches: points, trials, ranking, effects, comparisons."""

from eurosat_lib.grid.comparisons import Comparison, Comparisons, Curve, compare
from eurosat_lib.grid.effects import FACTORS, Effect, effect, sign_test
from eurosat_lib.grid.points import grid_points, refined_points, run_trials
from eurosat_lib.grid.search import Grid, GridSearch, RefinedGrid, csv_rows

__all__ = [
    "FACTORS",
    "Comparison",
    "Comparisons",
    "Curve",
    "Effect",
    "Grid",
    "GridSearch",
    "RefinedGrid",
    "compare",
    "csv_rows",
    "effect",
    "grid_points",
    "refined_points",
    "run_trials",
    "sign_test",
]
