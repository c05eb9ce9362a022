"""What each notebook computes, and the seconds of what trains no network."""

from __future__ import annotations

# Seconds on all of EuroSAT (two cores of an AMD EPYC), for stages that train no network.
LOOKS = {
    "explore_dataset": 3.0,
    "find_overlaps": 2.5,
    "draw_landscape": 2.0,
    "find_duplicates": 3.0,
    "find_seams": 1.0,
    "compute_baselines": 3.5,
    "analyse_errors": 0.5,
    "explain_predictions": 0.2,
}
ALL_IMAGES = 27_000  # of EuroSAT
MOMENTS = ("verify_pipeline", "test_model", "compare_curves", "compare_splits")  # below a second
SPATIAL = ("train_spatial", "evaluate_spatial", "evaluate_spatial_seeds")
# What each notebook computes, in the order of the pipeline.
NOTEBOOK_STAGES: dict[str, tuple[str, ...]] = {
    "01_data": (
        "explore_dataset",
        "find_overlaps",
        "draw_landscape",
        "find_duplicates",
        "find_seams",
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
TIMED = tuple(name for names in NOTEBOOK_STAGES.values() for name in names if name not in MOMENTS)
# Of these, the ones that look at the final checkpoint: another training makes them void.
OF_CHECKPOINT = ("evaluate", "analyse_errors", "measure_robustness", "explain_predictions")
