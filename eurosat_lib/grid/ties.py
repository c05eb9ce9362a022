"""Which points the ranking cannot tell from the best: the noise of a score, Gupta's margin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from eurosat_lib.grid.candidates import Candidate
from eurosat_lib.grid.effects import FACTORS, NEAR_REPLICATES
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit


class Noise(Record):
    """Standard deviation of a point's score, and what it was measured on."""

    training: float  # between trainings; 0 if nothing tells it
    images: float  # of the share of right answers among so many validation images
    freedom: int | None  # degrees of freedom of ``training``; ``None`` if nothing tells it
    source: str  # "seeds", "twins" (trials that differ only in weight decay) or "images"
    seeds: int  # trainings per point

    @property
    def sd(self) -> float:
        """Standard deviation of a score, both parts together."""
        return math.hypot(self.training / math.sqrt(self.seeds), self.images)


def noise(points: Sequence[Candidate]) -> Noise:
    """Estimate how much a score would move if a point were trained, and judged, again.

    Between trainings: the spread over seeds within a point, or, with one seed, the spread between
    near-replicates, trials that differ only in weight decay. The latter share weights and batches
    and understate the noise. Over images: binomial, as if each trial had validation images of its
    own, which overstates it.
    """
    sound = [p for p in points if not p.diverged]
    fits = [fit for point in sound for fit in point.fits]
    seeds = max((len(point.fits) for point in sound), default=1)
    if seeds > 1:
        source, groups = "seeds", [[fit.score for fit in point.fits] for point in sound]
    else:
        source, groups = "twins", _twins(fits)
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum(float(np.var(group)) * len(group) for group in groups)
    share = float(np.mean([fit.score for fit in fits])) if fits else 0.0
    images = fits[0].validation_images if fits else 1
    return Noise(
        training=math.sqrt(squares / freedom) if freedom else 0.0,
        images=math.sqrt(share * (1 - share) / images),
        freedom=freedom or None,
        source=source if freedom else "images",
        seeds=seeds,
    )


def margin(points: Sequence[Candidate], level: float = 0.95) -> float:
    """Return how far behind the best a point may be and still be the best in truth.

    The points within the margin hold the truly best one with probability ``level`` at least
    (Gupta 1965, *Technometrics* 7, subset selection), normal scores of equal noise assumed.
    """
    found, count = noise(points), sum(not point.diverged for point in points)
    if count < 2:
        return 0.0
    return gupta(level, count, found.freedom or math.inf) * found.sd


@cache
def gupta(level: float, count: int, freedom: float) -> float:
    """Quantile of the largest of ``count - 1`` differences to one more score, per unit of noise.

    The one-sided constant of Dunnett times the square root of two, by quadrature.

    Args:
        level: probability that the differences stay below.
        count: normal scores of equal mean and noise.
        freedom: degrees of freedom of the estimated noise; infinite if it is known.
    """
    grid = (np.arange(400) + 0.5) / 400
    z = norm.ppf(grid)[:, None]
    ratio = np.sqrt(chi2.ppf(grid, freedom) / freedom) if math.isfinite(freedom) else np.ones(1)

    def missing(c: float) -> float:
        return float((norm.cdf(z + c * ratio) ** (count - 1)).mean()) - level

    return float(brentq(missing, 0.0, 100.0, xtol=1e-4))


def tied(points: Sequence[Candidate]) -> list[Candidate]:
    """List the points that the ranking cannot tell from the best, the best first."""
    ranking = sorted((p for p in points if not p.diverged), key=lambda point: -point.score)
    within = margin(points)
    return [point for point in ranking if ranking[0].score - point.score <= within]


def _twins(fits: Iterable[Fit]) -> list[list[float]]:
    groups: dict[tuple, list[float]] = {}
    others = [name for name in FACTORS if name != NEAR_REPLICATES]
    for fit in fits:
        key = (*(getattr(fit.hyperparameters, name) for name in others), fit.seed)
        groups.setdefault(key, []).append(fit.score)
    return list(groups.values())
