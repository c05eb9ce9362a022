"""Grid searches: points, trials, ranking and ties, effects, comparisons, finalists."""

from eurosat_lib.grid.candidates import Candidate, candidates, run_name
from eurosat_lib.grid.comparisons import Comparison, Comparisons, Curve, compare
from eurosat_lib.grid.effects import FACTORS, Effect, effect, twin_correlation
from eurosat_lib.grid.finalists import Finalist, Finalists, choose_finalists
from eurosat_lib.grid.interactions import Interaction, interactions
from eurosat_lib.grid.intervals import LEVEL, mean_interval
from eurosat_lib.grid.measures import MEASURES
from eurosat_lib.grid.points import grid_points, refined_points
from eurosat_lib.grid.search import Grid, GridSearch, RefinedGrid, csv_rows
from eurosat_lib.grid.statements import EXPECTED, Statement, judge
from eurosat_lib.grid.ties import Noise, margin, noise, tied

__all__ = [
    "EXPECTED",
    "FACTORS",
    "LEVEL",
    "MEASURES",
    "Candidate",
    "Comparison",
    "Comparisons",
    "Curve",
    "Effect",
    "Finalist",
    "Finalists",
    "Grid",
    "GridSearch",
    "Interaction",
    "Noise",
    "RefinedGrid",
    "Statement",
    "candidates",
    "choose_finalists",
    "compare",
    "csv_rows",
    "effect",
    "grid_points",
    "interactions",
    "judge",
    "margin",
    "mean_interval",
    "noise",
    "refined_points",
    "run_name",
    "tied",
    "twin_correlation",
]
