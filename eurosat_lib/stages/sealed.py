"""Sealed runs: their results are in git, so they stand in for the cache and are not replaced.

A run is sealed by the model card in its artifacts. In a fresh clone, without the stages' cache, a
stage takes the published result if its key is the one that would be computed now: same
configuration, data and code. What git does not hold (weights of trials and of the spatial
training, logits of each image) is then missing, and nothing else is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.record import Record
from eurosat_lib.stages.files import copy_file, read_json

# Depends on where the images lie, which may be another place than at the time.
FREE = ("explore_dataset",)


def is_there(config: Config, path: Path) -> bool:
    """Tell whether a stage's file is to be used: only a sealed run may do without it."""
    return path.is_file() or not config.paths.sealed


def copy_kept(config: Config, source: Path, target: Path) -> None:
    """Copy a stage's file to the run's artifacts, unless a sealed run is without it."""
    if is_there(config, source):
        copy_file(source, target)


def sealed_result(config: Config, stage: str, folder: str) -> Any:
    """Return what a sealed run published of a stage, if it is the result of this very key.

    Args:
        config: of the run.
        stage: its name.
        folder: name of the stage's folder in the cache: the stage and its key.

    Returns:
        Provenance and result, as the cache has them; ``None`` otherwise.
    """
    tree = read_json(config.paths.artifacts / "results" / f"{stage}.json")
    same = config.paths.sealed and tree and tree["provenance"].get("folder") == folder
    return tree if same else None


def differs(config: Config, result: Record) -> bool:
    """Tell whether a sealed run has published another result of this stage."""
    if not config.paths.sealed or result.stage in FREE:
        return False
    tree = read_json(config.paths.artifacts / "results" / f"{result.stage}.json")
    if not tree:
        return False
    return json.dumps(tree["result"]) != json.dumps(result.model_dump(mode="json"))  # NaN is NaN


def keep_sealed(config: Config, result: Record) -> None:
    """Refuse to replace the published result of a sealed run.

    Raises:
        UserError: this result is another one.
    """
    if differs(config, result):
        raise UserError(explain(config, [result.stage]))


def explain(config: Config, stages: list[str]) -> str:
    """Say which results would be replaced, and what to do."""
    name = config.paths.name
    tree = read_json(config.paths.artifacts / "results" / "train.json") or {}
    profile = tree.get("scope", {}).get("profile", "")
    shown = ", ".join(stages[:4]) + (f" and {len(stages) - 4} more" if len(stages) > 4 else "")
    if profile == config.profile:
        why = f"its configuration, data or code are not those of its results: {shown}"
    else:
        why = f"it is a run of the profile {profile}, not {config.profile}: {shown}"
    return (
        f"{name}: the results of this run are in git and would be replaced; {why}. Another NAME "
        f"keeps them; so does PROFILE={profile} with unchanged code. To give the run up, delete "
        f"{config.paths.card}"
    )
