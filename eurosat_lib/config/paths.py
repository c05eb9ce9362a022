"""Folders of a run, below the project's root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

# Folders below artifacts/, runs/ and reports/ that a run's name must not take.
RESERVED = {"results", "overfit_small", "lr_finder", "grid_search", "refined_grid_search", "train"}
RESERVED |= {"explore_dataset", "evaluate", "captures", "answers", "template", "notebooks"}
RESERVED |= {"compare_finalists", "train_spatial"}
RESERVED |= {"comparaisons", "index.html", "rapport.html", "rapport.pdf", "accueil.ipynb"}
CARD = "MODEL_CARD.md"  # of the checkpoint, in the artifacts of a run that git holds


class Section(BaseModel):
    """Base of all sections: frozen, strict types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Paths(Section):
    """Folders of a run, below the project's root."""

    root: str
    name: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name.casefold() in RESERVED:
            raise ValueError(f"{name} is a folder of every run")
        return name

    @property
    def artifacts(self) -> Path:
        """Results of this run."""
        return Path(self.root, "artifacts", self.name)

    @property
    def card(self) -> Path:
        """Model card of this run's checkpoint; there once the run is made ready for git."""
        return self.artifacts / CARD

    @property
    def sealed(self) -> bool:
        """Whether git holds the results of this run: they are not replaced."""
        return self.card.is_file()

    @property
    def runs(self) -> Path:
        """TensorBoard events of this run."""
        return Path(self.root, "runs", self.name)

    @property
    def reports(self) -> Path:
        """Report and executed notebooks of this run."""
        return Path(self.root, "reports", self.name)

    @property
    def stages(self) -> Path:
        """Cache of stage results, shared by all runs but those that have a folder of their own."""
        own = self.artifacts / ".stages"
        return own if own.is_dir() else Path(self.root, "artifacts", ".stages")
