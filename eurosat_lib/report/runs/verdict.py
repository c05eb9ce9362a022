"""Whether two computations of the same stage gave the same numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Entries that say when, how fast or where, and not what came out.
ASIDE = re.compile(r"seconds|duration|throughput|per_second|_ms$|started|folder|^stored$")
DIGITS = 6  # of a value that is shown


@dataclass(frozen=True)
class Verdict:
    """One stage, computed twice.

    Attributes:
        stage: its name.
        values: numbers and words that were compared.
        changed: how many of them are not the same to the bit.
        largest: largest relative difference of two numbers; infinite if words differ, or if a
            value is there in one result only.
        first: the first one that differs, ``fit.epochs.0.val_loss: 0.81 -> 0.82``; empty if none.
    """

    stage: str
    values: int
    changed: int
    largest: float
    first: str

    @property
    def same(self) -> bool:
        """Whether all values are the same to the bit."""
        return self.changed == 0

    def __str__(self) -> str:
        """Say it in one line."""
        if self.same:
            return f"{self.stage}: the same to the bit ({self.values} values)"
        within = "" if math.isinf(self.largest) else f", within {self.largest:.1e} (relative)"
        return f"{self.stage}: {self.changed} of {self.values} values differ{within}; {self.first}"


def judge(stage: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Verdict:
    """Compare two results of a stage, value by value; times and places are left aside."""
    first, second = dict(_leaves(before)), dict(_leaves(after))
    names = [*first, *(name for name in second if name not in first)]
    missing = object()
    pairs = {name: (first.get(name, missing), second.get(name, missing)) for name in names}
    changed = {name: both for name, both in pairs.items() if not _equal(*both)}
    shown = ""
    if changed:
        name, both = next(iter(changed.items()))
        shown = f"{name}: " + " -> ".join("absent" if v is missing else _show(v) for v in both)
    largest = max((_distance(*both) for both in changed.values()), default=0.0)
    return Verdict(stage, len(names), len(changed), largest, shown)


def _leaves(tree: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        pairs = [(key, value) for key, value in tree.items() if not ASIDE.search(key)]
    elif isinstance(tree, list):
        pairs = list(enumerate(tree))
    else:
        yield above, tree
        return
    for key, value in pairs:
        yield from _leaves(value, f"{above}.{key}" if above else str(key))


def _equal(a: Any, b: Any) -> bool:
    both_nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return both_nan or a == b


def _distance(a: Any, b: Any) -> float:
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b)):
        return math.inf
    if not all(map(math.isfinite, (a, b))):
        return math.inf
    return abs(a - b) / max(abs(a), abs(b))


def _show(value: Any) -> str:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
