"""Whether the spatial split can be had beside the standard one, and if not, why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from eurosat_lib.config import Config, override
from eurosat_lib.data.lists import VARIABLE, ListsUnavailable
from eurosat_lib.data.probe import recent_failure, remember_failure
from eurosat_lib.data.sources import describe_source, load_dataset, signature
from eurosat_lib.errors import UserError

STAMP = "lists"  # remembers for a while that the Hub did not give them


@dataclass(frozen=True)
class Absence:
    """Why there is no spatial split.

    Attributes:
        kind: switched off; the run is not on the standard split; drawn images; lists missing.
        reason: one line, for the user.
    """

    kind: Literal["disabled", "split", "synthetic", "lists"]
    reason: str


def on_spatial(config: Config) -> Config:
    """Return the same configuration on the spatial split."""
    return override(config, {"data.split": "spatial"})


def spatial_absence(config: Config) -> Absence | None:
    """Say why a run has no spatial split beside its own; ``None`` when it has one.

    Lists that the Hub does not give are not asked for again for ten minutes.
    """
    if not config.spatial.enabled:
        return Absence("disabled", "spatial.enabled is false")
    if config.data.split != "standard":
        return Absence("split", f"data.split is {config.data.split} already")
    if describe_source(config).synthetic:
        return Absence("synthetic", "the built-in synthetic images have no geography")
    remembered = None if os.environ.get(VARIABLE) else recent_failure(STAMP)
    if remembered:
        return Absence("lists", str(ListsUnavailable(remembered)))
    try:
        load_dataset(on_spatial(config))
    except ListsUnavailable as error:
        remember_failure(error.reason, STAMP)
        return Absence("lists", str(error))
    except UserError as error:
        return Absence("lists", str(error))
    return None


def spatial_signature(config: Config) -> str:
    """Return a text that changes with the spatial split, or with the kind of its absence."""
    absence = spatial_absence(config)
    return f"no spatial split: {absence.kind}" if absence else signature(on_spatial(config))
