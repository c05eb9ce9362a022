"""The stages whose time is estimated, and the seconds of what trains no network."""

from __future__ import annotations

from eurosat_lib.pipeline import NOTEBOOK_STAGES

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
TIMED = tuple(name for names in NOTEBOOK_STAGES.values() for name in names if name not in MOMENTS)
# Of these, the ones that look at the final checkpoint: another training makes them void.
OF_CHECKPOINT = ("evaluate", "analyse_errors", "measure_robustness", "explain_predictions")
