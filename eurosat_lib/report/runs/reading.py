"""Find the runs of a project and read what they left: facts, results, predictions, files."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.schema import RESERVED, Paths

# Facts that the pages show.
TRAIN = ("name", "epochs", "seed", "best_epoch", "best_val_accuracy", "seconds")
TEST = ("accuracy", "low", "high", "n", "confidence_level", "macro_f1", "checkpoint_sha256")
UNNAMED = "sans nom"  # what the pages call the run without a name


@dataclass(frozen=True)
class Run:
    """One run; what it has not computed is empty."""

    paths: Paths

    @property
    def name(self) -> str:
        """Name of the run; empty for the unnamed one."""
        return self.paths.name

    @property
    def label(self) -> str:
        """Name for the reader of a page."""
        return self.name or UNNAMED

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Facts by stage, as the report states them."""
        return _read(self.paths.artifacts / "facts.json")

    @cached_property
    def results(self) -> dict[str, dict[str, Any]]:
        """By stage: ``scope``, ``provenance``, ``config`` and ``result``.

        What was not computed, a learning rate chosen by hand, has no provenance and is no result.
        """
        return {stage: tree for stage, tree in self._published.items() if tree.get("provenance")}

    @property
    def chosen_lr(self) -> dict[str, Any] | None:
        """The choice made by hand in notebook 04 that the run's grid was built on, or ``None``."""
        grid = self.results.get("grid_search", {}).get("result", {})
        choice = self._published.get("chosen_lr", {}).get("result")
        return choice if grid.get("origin") == "chosen_lr" else None

    @cached_property
    def _published(self) -> dict[str, dict[str, Any]]:
        files = sorted((self.paths.artifacts / "results").glob("*.json"))
        return {path.stem: _read(path) for path in files}

    @property
    def train(self) -> dict[str, Any] | None:
        """Facts of the final training; ``None`` without any, or of another version."""
        return _complete(self.facts.get("train"), TRAIN)

    @property
    def test(self) -> dict[str, Any] | None:
        """Facts of the evaluation on the test split; ``None`` without any."""
        return _complete(self.facts.get("evaluate"), TEST)

    @property
    def spatial(self) -> dict[str, Any] | None:
        """Facts of the test on the spatial split, trained there too; ``None`` without any."""
        return _complete(self.facts.get("evaluate_spatial"), TEST)

    @property
    def seconds(self) -> float:
        """Time that its results took to compute, wherever that was done."""
        return sum(tree["provenance"]["seconds"] for tree in self.results.values())

    @property
    def started(self) -> str:
        """When its last result was begun (ISO, UTC); empty without any."""
        return max((tree["provenance"]["started"] for tree in self.results.values()), default="")

    @cached_property
    def tested_other(self) -> bool:
        """Whether the test scores are those of another checkpoint than the run's ``best.ckpt``."""
        best, scores = self.paths.artifacts / "best.ckpt", self.test
        if not scores or not best.is_file():
            return False
        return hashlib.sha256(best.read_bytes()).hexdigest() != scores["checkpoint_sha256"]

    def predictions(self) -> dict[str, tuple[str, str]]:
        """Return test image -> (true class, predicted class); empty without an evaluation."""
        path = self.paths.artifacts / "predictions.csv"
        if not path.is_file():
            return {}
        with open(path, encoding="utf-8", newline="") as file:
            return {row["name"]: (row["truth"], row["prediction"]) for row in csv.DictReader(file)}


def find_runs(root: Path) -> list[Run]:
    """Return the runs that have left facts: the unnamed one, then by name."""
    folders = sorted(path.parent for path in (root / "artifacts").glob("*/facts.json"))
    names = [folder.name for folder in folders if folder.name.casefold() not in RESERVED]
    runs = [Run(Paths(root=str(root), name=name)) for name in ("", *_valid(names))]
    return [run for run in runs if run.facts]


def find_run(root: Path, name: str) -> Run:
    """Return one run.

    Raises:
        UserError: there is none of this name, or it has computed nothing.
    """
    runs = {run.name: run for run in find_runs(root)}
    if name not in runs:
        known = ", ".join(run.name or "the unnamed one" for run in runs.values()) or "none yet"
        what = f"{name}: no such run" if name else "the unnamed run has no results"
        raise UserError(f"{what}{did_you_mean(name, runs)}; runs: {known}")
    return runs[name]


def _valid(names: list[str]) -> Iterator[str]:
    """Pass by folders that no run can have made."""
    for name in names:
        try:
            Paths(root="", name=name)
        except ValueError:
            continue
        yield name


def _complete(facts: dict[str, Any] | None, needed: tuple[str, ...]) -> dict[str, Any] | None:
    return facts if facts and all(key in facts for key in needed) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}
