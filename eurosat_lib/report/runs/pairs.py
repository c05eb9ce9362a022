"""Two runs on the test split: image by image where both saw the same images, else by counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eurosat_lib.stats import mcnemar, newcombe, paired_difference

Predictions = Mapping[str, tuple[str, str]]  # test image -> (true class, predicted class)


@dataclass(frozen=True)
class Paired:
    """Both runs on the same images, counted; accuracies are fractions in [0, 1]."""

    both: int  # images that both get right
    only_first: int
    only_second: int
    neither: int
    level: float

    @property
    def n(self) -> int:
        """Test images."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first."""
        return (self.only_second - self.only_first) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of the difference (Bonett & Price 2012)."""
        return paired_difference(self.only_second, self.only_first, self.n, self.level)

    @property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided."""
        return mcnemar(self.only_first, self.only_second)

    @property
    def decided(self) -> bool:
        """Whether the test tells the two apart."""
        return self.p_value < 1 - self.level


@dataclass(frozen=True)
class Unpaired:
    """Both runs on images of their own: two independent proportions."""

    correct: tuple[int, int]
    n: tuple[int, int]
    level: float

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first."""
        return self.correct[1] / self.n[1] - self.correct[0] / self.n[0]

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of the difference (Newcombe 1998, method 10)."""
        (first, second), (n_first, n_second) = self.correct, self.n
        return newcombe(second, n_second, first, n_first, self.level)

    @property
    def decided(self) -> bool:
        """Whether the interval leaves zero out."""
        low, high = self.interval
        return low > 0 or high < 0


def pair(first: Predictions, second: Predictions, level: float) -> Paired | Unpaired | None:
    """Compare the predictions of two runs.

    Args:
        first: of the first run; empty if it was not evaluated.
        second: of the second run.
        level: of the intervals, in (0.5, 1).

    Returns:
        ``Paired`` if both saw the same images with the same true classes, ``Unpaired`` if not,
        ``None`` if a run has no predictions.
    """
    if not first or not second:
        return None
    right = [{name: t == p for name, (t, p) in run.items()} for run in (first, second)]
    if {n: t for n, (t, _) in first.items()} != {n: t for n, (t, _) in second.items()}:
        counts = (sum(right[0].values()), sum(right[1].values()))
        return Unpaired(counts, (len(first), len(second)), level)
    outcomes = [(right[0][name], right[1][name]) for name in first]
    count = outcomes.count
    cells = (count((a, b)) for a, b in ((True, True), (True, False), (False, True)))
    both, only_first, only_second = cells
    return Paired(both, only_first, only_second, count((False, False)), level)
