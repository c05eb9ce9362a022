"""Part of a run computed again: which stages, and what they take as it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.report.runs.reading import Run
from eurosat_lib.schema import Paths

# A stage that computes these itself, and hours long: they must be asked for by name.
NEEDS = {
    "evaluate_spatial": ("train_spatial",),
    "compare_splits": ("train_spatial", "evaluate_spatial"),
    "evaluate_spatial_seeds": ("train_spatial", "evaluate_spatial"),
}
WEIGHTS = {"train": "best.ckpt", "train_spatial": "best_spatial.ckpt"}


def choose_stages(run: Run, known: Sequence[str], only: Sequence[str]) -> list[str]:
    """Return the stages to compute again, in the order of the report.

    Args:
        run: the run.
        known: all stages, in order.
        only: those that were asked for; none: all that the run has.

    Raises:
        UserError: no such stage, no such result, or one that needs another.
    """
    for stage in only:
        if stage not in known:
            raise UserError(f"STAGES: no stage {stage}{did_you_mean(stage, known)}")
        if stage not in run.results:
            raise UserError(f"STAGES: {run.name or 'the unnamed run'} has no result of {stage}")
        missing = [name for name in NEEDS.get(stage, ()) if name not in only]
        if missing and all(name in run.results for name in missing):
            raise UserError(f"STAGES: {stage} trains anew; name {' and '.join(missing)} as well")
    return [stage for stage in known if stage in run.results and (not only or stage in only)]


def give(run: Run, paths: Paths, computed: Sequence[str]) -> list[str]:
    """Copy what is not computed again, for the stages that build on it.

    Args:
        run: the run.
        paths: of its reproduction.
        computed: stages that are computed again.

    Returns:
        The stages whose results are taken as they are.
    """
    results = paths.artifacts / "results"
    results.mkdir(parents=True, exist_ok=True)
    taken = [p for p in (run.paths.artifacts / "results").glob("*.json") if p.stem not in computed]
    for path in taken:
        shutil.copy2(path, results / path.name)
    for stage, name in WEIGHTS.items():
        path = run.paths.artifacts / name
        if stage not in computed and path.is_file():
            shutil.copy2(path, paths.artifacts / name)
    return sorted(path.stem for path in taken)
