"""The names of all stages, in their order; light, for a quick answer on the console."""

from __future__ import annotations

# What each notebook computes, in the order of the pipeline.
NOTEBOOK_STAGES: dict[str, tuple[str, ...]] = {
    "01_data": (
        "explore_dataset",
        "find_duplicates",
        "find_overlaps",
        "find_seams",
        "draw_landscape",
        "verify_pipeline",
    ),
    "02_baselines": ("compute_baselines",),
    "03_model_checks": (
        "test_model",
        "check_initial_loss",
        "overfit_small",
        "shuffled_labels",
        "check_training",
    ),
    "04_lr_finder": ("lr_finder",),
    "05_grid": ("grid_search",),
    "06_train": ("refined_grid_search", "compare_finalists", "train", "compare_curves"),
    "07_eval": (
        "evaluate",
        "analyse_errors",
        "measure_robustness",
        "explain_predictions",
        "compare_finalists_on_test",
        "evaluate_seeds",
        "train_spatial",
        "evaluate_spatial",
        "compare_splits",
        "evaluate_spatial_seeds",
    ),
}
ON_DEMAND = ("validate_recipe", "ablate_recipe", "train_recipe")  # section 8, if one asks for them
SECTION_8 = "06_train"  # the notebook that shows them
STAGE_NAMES = tuple(
    name
    for notebook, names in NOTEBOOK_STAGES.items()
    for name in (*names, *(ON_DEMAND if notebook == SECTION_8 else ()))
)
