"""The best points of the searches, trained again with seeds that did not choose them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import ClassVar

from eurosat_lib.grid.candidates import Candidate
from eurosat_lib.grid.effects import FACTORS, NEAR_REPLICATES
from eurosat_lib.grid.intervals import mean_interval
from eurosat_lib.grid.search import GridSearch
from eurosat_lib.record import Record


class Finalist(Record):
    """One point: the score that chose it, and its trainings with new seeds."""

    origin: str  # stage of the search that it comes from
    selected: float  # score in that search, with the seed that chose it
    again: Candidate

    @property
    def scores(self) -> tuple[float, ...]:
        """Score of each new training, in the order of the seeds; 0 if it diverged."""
        return tuple(fit.score for fit in self.again.fits)

    @property
    def mean(self) -> float:
        """Mean score over the new seeds."""
        return statistics.fmean(self.scores)

    @property
    def sd(self) -> float:
        """Standard deviation over the new seeds."""
        return statistics.stdev(self.scores)


class Finalists(Record):
    """The finalists, all trained with the same new seeds, so that they are paired by seed."""

    stage: ClassVar[str] = "compare_finalists"

    finalists: tuple[Finalist, ...]  # in the order that chose them

    @property
    def ranking(self) -> list[Finalist]:
        """Finalists by mean score over the new seeds; equal means keep their order."""
        return sorted(self.finalists, key=lambda f: (bool(f.again.diverged), -f.mean))

    @property
    def leader(self) -> Candidate:
        """Return the finalist of best mean: the configuration of the final training."""
        return self.ranking[0].again

    @property
    def level(self) -> float:
        """Level of each interval: those of all pairs together hold with probability 95 %.

        All pairs, not only those with the leader: which one leads is seen in the same scores.
        """
        return 1 - 0.05 / max(1, math.comb(len(self.finalists), 2))

    def lead(self, other: Finalist) -> tuple[float, tuple[float, float] | None]:
        """Return the leader's mean advantage over another, seed by seed, and its interval."""
        pairs = zip(self.ranking[0].scores, other.scores, strict=True)
        differences = [a - b for a, b in pairs]
        return statistics.fmean(differences), mean_interval(differences, self.level)

    def beaten(self, other: Finalist) -> bool:
        """Tell whether the leader's advantage over another leaves 0 out."""
        interval = self.lead(other)[1]
        return interval is not None and interval[0] > 0

    def facts(self) -> dict:
        """Return the means, spreads and differences to the leader."""
        first, fits = self.ranking[0], self.finalists[0].again.fits
        chosen = self.finalists[0]
        rows = []
        for finalist in self.ranking:
            lead, interval = self.lead(finalist)
            low, high = interval or (None, None)
            rows.append(
                {
                    "name": finalist.again.name,
                    "origin": finalist.origin,
                    "selected": finalist.selected,
                    "mean": finalist.mean,
                    "sd": finalist.sd,
                    "lead": lead,
                    "ci_low": low,
                    "ci_high": high,
                    "beaten": self.beaten(finalist),
                }
            )
        return {
            "finalists": rows,
            "name": first.again.name,
            "leader": first.again.name,
            "leader_mean": first.mean,
            "leader_sd": first.sd,
            "chosen_first": chosen.again.name,
            "n_beaten": sum(row["beaten"] for row in rows),
            "shrinkage": statistics.fmean(f.selected - f.mean for f in self.finalists),
            "n_seeds": len(fits),
            "seeds": [fit.seed for fit in fits],
            "level": self.level,
            "epochs": first.again.length[0],
            "train_images": fits[0].train_images,
            **{name: getattr(first.again.hyperparameters, name) for name in FACTORS},
        }


def choose_finalists(searches: Sequence[GridSearch], count: int) -> list[tuple[str, Candidate]]:
    """Pick the best point of each search, then the next best; no near-replicate of one picked.

    Args:
        searches: in order; if their trials had other lengths, scores do not compare and only
            the last one counts.
        count: how many.

    Returns:
        (stage, point), by decreasing score; fewer if there are no more.
    """
    if len({search.best.length for search in searches}) > 1:
        searches = searches[-1:]
    pool = [(s.stage, p) for s in searches for p in s.ranking if not p.diverged]
    heads = [s.best.hyperparameters for s in searches]
    pool.sort(key=lambda entry: (entry[1].hyperparameters not in heads, -entry[1].score))
    picked: dict[tuple, tuple[str, Candidate]] = {}
    for stage, point in pool:
        key = tuple(getattr(point.hyperparameters, f) for f in FACTORS if f != NEAR_REPLICATES)
        if len(picked) < count:
            picked.setdefault(key, (stage, point))
    return sorted(picked.values(), key=lambda entry: -entry[1].score)
