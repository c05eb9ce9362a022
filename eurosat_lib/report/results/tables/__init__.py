"""Every results table of the report as Markdown, in English: each a function of the results."""

from eurosat_lib.report.results.tables.checks import (
    baselines,
    initial_loss,
    overfit,
    shuffled,
    theory,
    variants,
)
from eurosat_lib.report.results.tables.comparisons import (
    finalists_on_test,
    seeds,
    spatial_seeds,
    split_classes,
    split_scores,
)
from eurosat_lib.report.results.tables.images import (
    classes,
    findings,
    overlap_counts,
    seam_counts,
)
from eurosat_lib.report.results.tables.machine import (
    durations,
    environment,
    opened,
    openings,
    pace,
)
from eurosat_lib.report.results.tables.recipes import (
    recipe_scores,
    recipe_settings,
    recipe_steps,
    recipe_trial,
)
from eurosat_lib.report.results.tables.scores import (
    calibration,
    confusions,
    look_alikes,
    metrics,
    per_class,
    robustness,
)
from eurosat_lib.report.results.tables.searches import (
    comparison,
    effects,
    grid,
    lr_rules,
    refined,
)
from eurosat_lib.report.results.tables.training import configuration, finalists, history

TABLES = {
    make.__name__: make
    for make in (
        *(metrics, per_class, confusions, look_alikes, calibration, robustness),
        *(finalists_on_test, seeds, split_scores, split_classes, spatial_seeds),
        *(lr_rules, grid, refined, effects, comparison),
        *(finalists, configuration, history),
        *(recipe_scores, recipe_settings, recipe_steps, recipe_trial),
        *(classes, findings, overlap_counts, seam_counts),
        *(baselines, variants, theory, initial_loss, overfit, shuffled),
        *(environment, durations, openings),
    )
}

__all__ = ["TABLES", "opened", "pace", *TABLES]
