"""Where a run stands, notebook by notebook: what is kept, what is missing and why, how long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.estimate import NOTEBOOK_STAGES, kept_stages, stage_seconds
from eurosat_lib.report.runs.settings import flatten, label
from eurosat_lib.stages.core import scope
from eurosat_lib.stages.files import read_json
from eurosat_lib.stages.publish import result_path

# Sections of the configuration that explain why a result is another: of all stages, and its own.
COMMON = ("seed", "data", "preprocess", "augment", "model")
OWN = {
    "check_initial_loss": ("initial_loss",),
    "overfit_small": ("overfit",),
    "shuffled_labels": ("overfit", "controls"),
    "check_training": ("controls",),
    "lr_finder": ("lr_finder",),
    "grid_search": ("grid",),
    "refined_grid_search": ("refined_grid",),
    "compare_finalists": ("finalists",),
    "train": ("train",),
    "evaluate_seeds": ("train",),
    "train_spatial": ("train",),
    "evaluate_spatial_seeds": ("train", "spatial"),
}
SPATIAL = ("train_spatial", "evaluate_spatial")
SHOWN = 3  # settings that differ, at most


@dataclass(frozen=True)
class Step:
    """One notebook.

    Attributes:
        path: of the notebook.
        title: its own, for instance ``01 · Données``.
        done: its stages whose results are kept for just this configuration.
        missing: the other ones -> why: ``""`` if never computed, else what is not the same.
        when: start of the last of these that the run has published (ISO, UTC); empty without.
        where: device that computed it.
        seconds: estimated for the missing ones, on this machine.
    """

    path: Path
    title: str
    done: tuple[str, ...]
    missing: Mapping[str, str]
    when: str
    where: str
    seconds: float


def find_steps(config: Config) -> list[Step]:
    """Return the seven notebooks, in order.

    Raises:
        UserError: the images cannot be had.
    """
    kept = kept_stages(config)
    seconds = stage_seconds(config, kept=kept)
    return [_step(config, name, kept, seconds) for name in NOTEBOOK_STAGES]


def _step(config: Config, name: str, kept: set[str], seconds: Mapping[str, float]) -> Step:
    stages = NOTEBOOK_STAGES[name]
    path = Path(config.paths.root, "notebooks", f"{name}.ipynb")
    trees = {stage: read_json(result_path(config, stage)) or {} for stage in stages}
    origins = [trees[s]["provenance"] for s in stages if s in kept and trees[s].get("provenance")]
    last = max(origins, key=lambda origin: origin["started"], default={})
    missing = {s: _reason(config, s, trees[s]) for s in stages if s not in kept}
    return Step(
        path=path,
        title=_title(path),
        done=tuple(stage for stage in stages if stage in kept),
        missing=missing,
        when=last.get("started", ""),
        where=last.get("device", ""),
        seconds=sum(seconds.get(stage, 0.0) for stage in missing),
    )


def _reason(config: Config, stage: str, tree: Mapping[str, Any]) -> str:
    """Say in French why a published result is not the one asked for; empty without one."""
    if not tree.get("config"):
        return ""
    if tree["config"]["profile"] != config.profile:
        return f"profil {tree['config']['profile']}"
    cut = stage in SPATIAL  # has images of its own
    if not cut and tree["scope"].get("data") != scope(config)["data"]:
        return "autres images"
    before, now = flatten(tree["config"]), flatten(config.model_dump(mode="json"))
    sections = (*COMMON, *OWN.get(stage, ("evaluate",)))
    keys = [k for k in now if k.split(".")[0] in sections and before.get(k) != now[k]]
    values = [f"{label(key)} = {_value(before.get(key))}" for key in keys]
    more = ["…"] if len(values) > SHOWN else []
    return ", ".join(values[:SHOWN] + more) or "code ou résultats antérieurs changés"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}".replace(".", ",")
    return "automatique" if value is None else str(value)


def _title(path: Path) -> str:
    """Return the heading of a notebook; its name if there is none."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = "".join(cells[0]["source"]).splitlines()
    except (OSError, ValueError, KeyError, IndexError):
        return path.stem
    return lines[0].lstrip("# ") if lines else path.stem
