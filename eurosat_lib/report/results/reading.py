"""What a finished run has published: its results as the objects that they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import ValidationError

from eurosat_lib import stages
from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.record import Record
from eurosat_lib.report.runs.reading import Run, find_run, find_runs

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Results:
    """The results of one run, read from its ``artifacts/[NAME/]results/`` alone."""

    run: Run

    @property
    def folder(self) -> Path:
        """The run's artifacts."""
        return self.run.paths.artifacts

    @property
    def trees(self) -> dict[str, dict[str, Any]]:
        """By stage, in the order of the report: scope, provenance, configuration, result."""
        known = self.run.results
        return {stage: known[stage] for stage in stages.STAGES if stage in known}

    def get(self, kind: type[R]) -> R | None:
        """Return the result of a kind; ``None`` if the run has none.

        Raises:
            UserError: it was written by another version of the library.
        """
        tree = self.trees.get(kind.stage)
        try:
            return kind.model_validate(tree["result"]) if tree else None
        except (ValidationError, KeyError) as error:
            where = self.folder / "results" / f"{kind.stage}.json"
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{where}: written by another version of the library: {reason}"
            ) from None

    def need(self, kind: type[R]) -> R:
        """Return the result of a kind.

        Raises:
            UserError: the run has none.
        """
        found = self.get(kind)
        if found is None:
            raise UserError(f"{self.run.label}: no result of {kind.stage}; make report first")
        return found

    def origin(self, stage: str) -> dict[str, Any]:
        """Return the provenance of a result; empty without one."""
        return self.trees.get(stage, {}).get("provenance", {})

    @cached_property
    def profile(self) -> str:
        """Profile of the final training; empty without one."""
        return self.trees.get("train", {}).get("scope", {}).get("profile", "")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Configuration of the final training, as it was asked for."""
        return self.trees.get("train", {}).get("config", {})

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Parameters that the run was given, as ``params.yaml`` has them."""
        path = self.folder / "params.yaml"
        return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}

    @property
    def place(self) -> str:
        """Folder of the artifacts as the documentation names it: ``artifacts/eurosat``."""
        return self.folder.relative_to(self.run.paths.root).as_posix()


def read_results(config: Config, name: str) -> Results:
    """Read a run.

    Raises:
        UserError: there is no run of this name.
    """
    return Results(find_run(Path(config.paths.root), name))


def published(root: Path) -> Iterator[Results]:
    """Find the runs that were made ready for git: those with a model card."""
    yield from (Results(run) for run in find_runs(root) if run.paths.sealed)


def kind_of(stage: str) -> type[Record]:
    """Return what a stage gives."""
    return get_type_hints(stages.STAGES[stage])["return"]
