"""What differs in the parameters of runs, from the configuration stored with each result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from eurosat_lib.config import PARAMETERS, load_config
from eurosat_lib.errors import UserError
from eurosat_lib.report.runs.reading import Run

# Which stage speaks for a section or key of the configuration; the final training for all others.
SPEAKERS = {
    "controls": "check_training",
    "initial_loss": "check_initial_loss",
    "overfit": "overfit_small",
    "lr_finder": "lr_finder",
    "grid": "grid_search",
    "refined_grid": "refined_grid_search",
    "finalists": "compare_finalists",
    "train.seeds": "evaluate_seeds",
    "spatial": "evaluate_spatial_seeds",
    "evaluate": "evaluate",
}
CHOSEN = "chosen_lr"  # stands among the settings where the grid was built on it
ASIDE = ("paths", "identity", "compute")  # no part of what identifies a result
LABELS = {key: name for name, key in PARAMETERS.items()} | {CHOSEN: "LR choisi à la main (04)"}


def settings(run: Run) -> dict[str, Any]:
    """Return the settings of a run, by dotted key: each section as its own stage was given it."""
    trees = {stage: tree["config"] for stage, tree in run.results.items() if "config" in tree}
    if not trees:
        return {}
    base = trees.get("train") or trees[max(trees, key=lambda s: _started(run, s))]
    merged = flatten({key: value for key, value in base.items() if key not in ASIDE})
    for place, stage in SPEAKERS.items():
        own = flatten(trees.get(stage, {}))
        merged |= {k: v for k, v in own.items() if k == place or k.startswith(f"{place}.")}
    choice = run.chosen_lr
    return merged | ({CHOSEN: choice["lr"]} if choice else {})


def differing(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose values are not the same in all runs, in the order of the file.

    Args:
        runs: settings of each; runs without any (results of an older version) do not count.
    """
    known = [run for run in runs if run]
    keys = dict.fromkeys(key for run in known for key in run)
    return [key for key in keys if any(run.get(key) != known[0].get(key) for run in known)]


def chosen(runs: Sequence[Mapping[str, Any]], config_path: str) -> list[str]:
    """Return the differing keys that somebody chose: those a profile alone explains are left out.

    The profile itself stands first where it differs.
    """
    own = {
        key
        for run in runs
        for key, value in run.items()
        if _default(config_path, run["profile"]).get(key, value) != value
    }
    return [key for key in differing(runs) if key in own or key in ("profile", CHOSEN)]


def label(key: str) -> str:
    """Name a setting as the user gives it: the notebooks' parameter, else the dotted key."""
    return LABELS.get(key, key)


def flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Turn sections into dotted keys; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


@cache
def _default(config_path: str, profile: str) -> dict[str, Any]:
    """Return the settings of a profile as its files are now; empty if there is none so named."""
    try:
        return flatten(load_config(config_path, profile).model_dump(mode="json"))
    except UserError:
        return {}


def _started(run: Run, stage: str) -> str:
    return run.results[stage]["provenance"]["started"]
