"""How every table is built, and cells that several of them have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from eurosat_lib.french import intervalle, nombre, pct
from eurosat_lib.stats import summarise_seeds

DASH = "—"
MEAN = "moyenne ± écart-type (n = {})"  # row of several seeds


def frame(columns: Iterable[str], rows: Iterable[Sequence], **options: Any) -> pd.DataFrame:
    """Build a table; ``report.table`` finds its options in ``attrs``."""
    table = pd.DataFrame(list(rows), columns=list(columns))
    table.attrs = options
    return table


def interval_at(level: float) -> str:
    """Name the column or row of the intervals at a level."""
    return f"Intervalle à {pct(level, 0)}"


def mean_and_spread(values: Sequence[float], level: float) -> tuple[str, str]:
    """Write mean ± standard deviation of one share per seed, and the interval of the mean."""
    found = summarise_seeds(values, level)
    bounds = DASH if found["low"] is None else intervalle((found["low"], found["high"]), 2)
    return f"{pct(found['mean'], 2)} ± {nombre(100 * found['sd'], 2)}", bounds
