"""Whether the effect of one factor depends on another: the contrast of two effects."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from eurosat_lib.grid.effects import FACTORS, NEAR_REPLICATES
from eurosat_lib.grid.intervals import FEWEST, LEVEL, SAME, mean_interval
from eurosat_lib.grid.measures import MEASURES
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit

CROSSED = tuple(name for name in FACTORS if name != NEAR_REPLICATES)


class Interaction(Record):
    """Effect of ``b`` at the highest value of ``a`` minus its effect at the lowest."""

    a: str
    b: str
    measure: str
    estimate: float
    interval: tuple[float, float] | None  # at LEVEL
    freedom: int  # degrees of freedom of its error

    @property
    def sign(self) -> int:
        """Sign if the interval leaves 0 out, else 0."""
        low, high = self.interval or (0.0, 0.0)
        return (low > 0) - (high < 0)


def interactions(trials: Iterable[Fit], measure: str = "score") -> list[Interaction]:
    """Estimate the interactions of learning rate, dilation and depth, two by two.

    Near-replicates (trials that differ only in weight decay) are averaged first. With three seeds
    or more, the contrast of each seed is a unit. With fewer, an unreplicated factorial: the error
    is what the main effects and the tested interaction leave unexplained (Box, Hunter & Hunter,
    *Statistics for Experimenters*), so other interactions, if there are any, widen the interval.
    """
    table = _cells([fit for fit in trials if not fit.diverged], measure)
    varied = [f for f in CROSSED if len(table) and table[f].nunique() > 1]
    found = (_interaction(table, a, b, measure) for a, b in combinations(varied, 2))
    return [interaction for interaction in found if interaction]


def _cells(fits: list[Fit], measure: str) -> pd.DataFrame:
    rows = [
        {f: getattr(fit.hyperparameters, f) for f in CROSSED}
        | {"seed": fit.seed, "y": MEASURES[measure](fit)}
        for fit in fits
    ]
    if not rows:
        return pd.DataFrame(columns=[*CROSSED, "seed", "y"])
    return pd.DataFrame(rows).groupby([*CROSSED, "seed"], as_index=False)["y"].mean()


def _interaction(table: pd.DataFrame, a: str, b: str, measure: str) -> Interaction | None:
    seeds = [part for _, part in table.groupby("seed")]
    contrasts = [c for c in (_contrast(part, a, b) for part in seeds) if c is not None]
    if not contrasts:
        return None
    estimate, names = statistics.fmean(contrasts), {"a": a, "b": b, "measure": measure}
    if len(contrasts) >= FEWEST:
        interval, freedom = mean_interval(contrasts), len(contrasts) - 1
    else:
        interval, freedom = _pooled(table, a, b, estimate)
    return Interaction(**names, estimate=estimate, interval=interval, freedom=freedom)


def _contrast(cells: pd.DataFrame, a: str, b: str) -> float | None:
    """Difference of differences over the corners; ``None`` if one of them is empty."""
    mean: Mapping = cells.groupby([a, b])["y"].mean()
    lows, highs = zip(*((table.min(), table.max()) for table in (cells[a], cells[b])), strict=True)
    corners = [(highs[0], highs[1]), (highs[0], lows[1]), (lows[0], highs[1]), lows]
    if any(corner not in mean.index for corner in corners):
        return None
    return float(sum(s * mean[c] for s, c in zip((1, -1, -1, 1), corners, strict=True)))


def _pooled(
    table: pd.DataFrame, a: str, b: str, estimate: float
) -> tuple[tuple[float, float] | None, int]:
    """Interval from the residual of main effects and one interaction, by least squares."""
    cells = table.groupby(list(CROSSED), as_index=False)["y"].mean()
    crossed = cells[a].astype(str) + "/" + cells[b].astype(str)
    others = [cells[f].astype(str) for f in CROSSED if f not in (a, b)]
    columns = [pd.get_dummies(c, dtype=float, drop_first=True) for c in others]
    design = np.hstack([pd.get_dummies(crossed, dtype=float), *columns])
    y = cells["y"].to_numpy()
    solution, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    freedom = len(y) - int(rank)
    if freedom < FEWEST - 1:
        return None, freedom
    sd = float(np.sqrt(((y - design @ solution) ** 2).sum() / freedom))
    corners = cells[a].isin([cells[a].min(), cells[a].max()])
    corners &= cells[b].isin([cells[b].min(), cells[b].max()])
    sizes = cells[corners].groupby([a, b]).size()
    half = student.ppf((1 + LEVEL) / 2, freedom) * sd * float(np.sqrt((1 / sizes).sum()))
    return (None if sd < SAME else (estimate - half, estimate + half)), freedom
