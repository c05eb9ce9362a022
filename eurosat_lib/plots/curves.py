"""Read the curves of finished trainings back from ``runs/``, and draw them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.tracking import TRAINING_TAGS, read_run

Curves = dict[str, pd.DataFrame]


def read_curves(config: Config, stage: str, names: Iterable[str]) -> Curves:
    """Read runs of a stage.

    Args:
        config: for its folder ``runs``.
        stage: ``grid_search``, ``refined_grid_search`` or ``train``.
        names: of the runs.

    Returns:
        run name -> one row per epoch (index: epoch, from 1) and one column per tag, such as
        ``val/loss``; no row for a run that diverged in its first epoch.

    Raises:
        UserError: a run is not there.
    """
    return {name: _read(config, stage, name) for name in names}


def _read(config: Config, stage: str, name: str) -> pd.DataFrame:
    folder = config.paths.runs / stage / name
    if not folder.is_dir():
        where = f"runs/{config.paths.name}/{stage}/{name}".replace("//", "/")
        raise UserError(f"{where}: no such run; compute it: python -m eurosat_lib {stage}")
    return pd.DataFrame(read_run(folder, TRAINING_TAGS), columns=list(TRAINING_TAGS))


def draw(ax: Axes, curve: pd.DataFrame, tag: str, **style: Any) -> None:
    """Draw one tag of a run; a single epoch is a point, an empty run is nothing."""
    values = curve[tag].dropna()
    if len(values) == 1:
        style.setdefault("marker", "o")
    if len(values):
        ax.plot(values.index, values, **style)
