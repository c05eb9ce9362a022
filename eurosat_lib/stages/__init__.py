"""The stages of the experiment, in order: each a function of the configuration, kept in a cache.

Notebooks, command line and tests call these. A stage loads its result if nothing it depends on has
changed, computes it otherwise, and publishes it to the run's ``artifacts/`` and ``runs/``.
"""

from collections.abc import Callable

from eurosat_lib.config import Config
from eurosat_lib.pipeline import ON_DEMAND
from eurosat_lib.record import Record
from eurosat_lib.stages.ablation import ablate_recipe
from eurosat_lib.stages.choice import choose_lr, chosen_lr, forget_lr
from eurosat_lib.stages.core import latest, provenance, same_machine, scope
from eurosat_lib.stages.errors import analyse_errors, explain_predictions, measure_robustness
from eurosat_lib.stages.exploration import (
    draw_landscape,
    explore_dataset,
    find_duplicates,
    find_overlaps,
    find_seams,
)
from eurosat_lib.stages.final import evaluate, train, train_if_missing
from eurosat_lib.stages.finalists import compare_finalists
from eurosat_lib.stages.preparation import (
    check_initial_loss,
    check_training,
    compute_baselines,
    lr_finder,
    overfit_small,
    shuffled_labels,
    test_model,
    verify_pipeline,
)
from eurosat_lib.stages.recipes import found_recipe, train_recipe, validate_recipe
from eurosat_lib.stages.repeats import (
    compare_finalists_on_test,
    evaluate_seeds,
    evaluate_spatial_seeds,
)
from eurosat_lib.stages.search import compare_curves, grid_search, refined_grid_search
from eurosat_lib.stages.spatial import compare_splits, evaluate_spatial, train_spatial

# In the order of the report; the course's commands keep their names.
STAGES: dict[str, Callable[[Config], Record]] = {
    "explore_dataset": explore_dataset,
    "find_duplicates": find_duplicates,
    "find_overlaps": find_overlaps,
    "find_seams": find_seams,
    "draw_landscape": draw_landscape,
    "verify_pipeline": verify_pipeline,
    "compute_baselines": compute_baselines,
    "test_model": test_model,
    "check_initial_loss": check_initial_loss,
    "overfit_small": overfit_small,
    "shuffled_labels": shuffled_labels,
    "check_training": check_training,
    "lr_finder": lr_finder,
    "grid_search": grid_search,
    "refined_grid_search": refined_grid_search,
    "compare_finalists": compare_finalists,
    "train": train,
    "compare_curves": compare_curves,
    "validate_recipe": validate_recipe,
    "ablate_recipe": ablate_recipe,
    "train_recipe": train_recipe,
    "evaluate": evaluate,
    "analyse_errors": analyse_errors,
    "measure_robustness": measure_robustness,
    "explain_predictions": explain_predictions,
    "compare_finalists_on_test": compare_finalists_on_test,
    "evaluate_seeds": evaluate_seeds,
    "train_spatial": train_spatial,
    "evaluate_spatial": evaluate_spatial,
    "compare_splits": compare_splits,
    "evaluate_spatial_seeds": evaluate_spatial_seeds,
}

__all__ = [
    "ON_DEMAND",
    "STAGES",
    "choose_lr",
    "chosen_lr",
    "forget_lr",
    "found_recipe",
    "latest",
    "provenance",
    "same_machine",
    "scope",
    "train_if_missing",
    *STAGES,
]
