"""What one factor changes, everything else equal: matched pairs and their sign test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scipy.stats import binomtest

from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit, Hyperparameters

FACTORS = ("lr", "weight_decay", "dilation_stage3", "blocks_per_stage")


class Effect(Record):
    """Change of the score when one factor goes from its lowest to its highest value.

    Pairs of trials that differ in nothing else are compared.
    """

    factor: str
    low: float
    high: float
    differences: tuple[float, ...]  # score at high minus score at low, one per pair

    def facts(self) -> dict:
        """Return mean, extent and sign counts of the differences."""
        n = len(self.differences)
        return {
            "low": self.low,
            "high": self.high,
            "pairs": n,
            "mean": sum(self.differences) / n if n else 0.0,
            "min": min(self.differences, default=0.0),
            "max": max(self.differences, default=0.0),
            "wins_high": sum(d > 0 for d in self.differences),
            "wins_low": sum(d < 0 for d in self.differences),
            "p_value": sign_test(self.differences),
        }


def effect(trials: Iterable[Fit], factor: str) -> Effect:
    """Match the trials that differ only in a factor, at its two extremes."""
    fits = [fit for fit in trials if not fit.diverged]
    values = sorted({getattr(fit.hyperparameters, factor) for fit in fits})
    low, high = (values[0], values[-1]) if values else (0.0, 0.0)
    score = {_point(fit): fit.score for fit in fits}
    differences = []
    for fit in fits:
        if low == high or getattr(fit.hyperparameters, factor) != low:
            continue
        twin = fit.hyperparameters.model_copy(update={factor: high})
        if _key(twin) in score:
            differences.append(score[_key(twin)] - fit.score)
    return Effect(factor=factor, low=low, high=high, differences=tuple(differences))


def sign_test(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of the exact sign test; ties are left out."""
    signs = [d > 0 for d in differences if d != 0]
    return float(binomtest(sum(signs), len(signs)).pvalue) if signs else 1.0


def _point(fit: Fit) -> tuple:
    return _key(fit.hyperparameters)


def _key(point: Hyperparameters) -> tuple:
    return tuple(getattr(point, factor) for factor in FACTORS)
