"""Take back what a run has published and no longer stands for; the cache keeps it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from eurosat_lib.config import Config
from eurosat_lib.stages import files
from eurosat_lib.stages.publish import result_path


def withdraw(config: Config, stages: Iterable[str], names: Iterable[str] = ()) -> bool:
    """Remove published results, their facts, runs and files; what the cache keeps stays.

    Args:
        config: for the folders of the run.
        stages: names.
        names: of files in ``artifacts/``.

    Returns:
        Whether there was any of these results.
    """
    paths = [result_path(config, stage) for stage in stages]
    known = any(path.is_file() for path in paths)
    for path in (*paths, *(config.paths.artifacts / name for name in names)):
        path.unlink(missing_ok=True)
    for stage in stages:
        shutil.rmtree(config.paths.runs / stage, ignore_errors=True)
    facts = config.paths.artifacts / "facts.json"
    if facts.is_file():
        with files.locked(facts.with_name(".facts.lock")):
            left = {k: v for k, v in (files.read_json(facts) or {}).items() if k not in stages}
            files.write_json(facts, left)
    return known
