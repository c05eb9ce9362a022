"""What one factor changes, everything else equal: matched pairs, and their independent units."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import numpy as np

from eurosat_lib.grid.intervals import FEWEST, LEVEL, mean_interval
from eurosat_lib.grid.measures import MEASURES
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit

FACTORS = ("lr", "weight_decay", "dilation_stage3", "blocks_per_stage")
# In a few epochs a weight decay of 1e-5 or 1e-4 hardly moves the weights: with the same seed,
# trials that differ in nothing else are nearly the same training, not two independent ones.
NEAR_REPLICATES = "weight_decay"


class Pair(Record):
    """Two trials that differ in one factor: what its higher value changes."""

    difference: float  # measure at the high value minus measure at the low value
    block: str  # pairs of the same block are near-replicates
    seed: int


class Effect(Record):
    """Change of a measure when one factor goes from its lowest to its highest value.

    Trials that differ in nothing else make a pair. Pairs that differ only in weight decay are
    averaged to one unit (a block). From three seeds on, the units are the seeds: all pairs of a
    seed share its weights and batches.
    """

    factor: str
    measure: str
    low: float
    high: float
    pairs: tuple[Pair, ...]

    @property
    def by_seed(self) -> bool:
        """Tell whether the units are seeds and not blocks."""
        return len({pair.seed for pair in self.pairs}) >= FEWEST

    @property
    def units(self) -> tuple[float, ...]:
        """Mean difference of each independent unit."""
        groups: dict[str | int, list[float]] = {}
        for pair in self.pairs:
            key = pair.seed if self.by_seed else pair.block
            groups.setdefault(key, []).append(pair.difference)
        return tuple(statistics.fmean(group) for group in groups.values())

    @property
    def mean(self) -> float:
        """Mean of the units; 0 without any."""
        return statistics.fmean(self.units) if self.units else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """Interval of the mean at :data:`LEVEL`; ``None`` where the units support none."""
        return mean_interval(self.units, LEVEL)

    @property
    def sign(self) -> int:
        """Sign of the effect if the interval leaves 0 out, else 0."""
        low, high = self.interval or (0.0, 0.0)
        return (low > 0) - (high < 0)

    def facts(self) -> dict:
        """Return the mean, its interval, and how many pairs and units they rest on."""
        low, high = self.interval or (None, None)
        differences = [pair.difference for pair in self.pairs]
        return {
            "low": self.low,
            "high": self.high,
            "pairs": len(self.pairs),
            "units": len(self.units),
            "unit": "graine" if self.by_seed else "bloc",
            "mean": self.mean,
            "ci_low": low,
            "ci_high": high,
            "sign": self.sign,
            "min": min(differences, default=0.0),
            "max": max(differences, default=0.0),
            "wins_high": sum(unit > 0 for unit in self.units),
        }


def effect(trials: Iterable[Fit], factor: str, measure: str = "score") -> Effect:
    """Match the trials that differ only in a factor, at its two extremes.

    Args:
        trials: those that diverged are left out.
        factor: one of :data:`FACTORS`.
        measure: one of ``speed``, ``score``, ``gap``, ``spread``.
    """
    fits = [fit for fit in trials if not fit.diverged]
    values = sorted({getattr(fit.hyperparameters, factor) for fit in fits})
    low, high = (values[0], values[-1]) if values else (0.0, 0.0)
    value = {(fit.hyperparameters, fit.seed): MEASURES[measure](fit) for fit in fits}
    pairs = []
    for (point, seed), at_low in value.items():
        twin = (point.model_copy(update={factor: high}), seed)
        if low != high and getattr(point, factor) == low and twin in value:
            pairs.append(
                Pair(difference=value[twin] - at_low, block=_block(point, factor), seed=seed)
            )
    return Effect(factor=factor, measure=measure, low=low, high=high, pairs=tuple(pairs))


def twin_correlation(effects: Iterable[Effect]) -> float | None:
    """Correlate the differences of pairs that differ only in weight decay, over all effects.

    Args:
        effects: of several factors on one measure; each is centred before.

    Returns:
        Pearson's r; ``None`` with fewer than three twins. Near 1, twins say the same twice.
    """
    twins = []
    for e in effects:
        groups: dict[tuple[str, int], list[float]] = {}
        for pair in e.pairs:
            groups.setdefault((pair.block, pair.seed), []).append(pair.difference - e.mean)
        twins += [(group[0], group[-1]) for group in groups.values() if len(group) > 1]
    if len(twins) < 3:
        return None
    a, b = np.array(twins).T
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale > 0 else None


def _block(point: Record, factor: str) -> str:
    others = [name for name in FACTORS if name not in (factor, NEAR_REPLICATES)]
    return " ".join(f"{name}={getattr(point, name):g}" for name in others)
