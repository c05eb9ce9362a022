"""Do the errors stay among classes that look alike? The expectation written down beforehand."""

from __future__ import annotations

import numpy as np

from eurosat_lib.evaluation.intervals import wilson
from eurosat_lib.record import Record

# Classes that look alike from above, named before any result: plants in rows or meadows, ribbons,
# roofs, dark smooth areas.
FAMILIES: dict[str, tuple[str, ...]] = {
    "végétation": ("AnnualCrop", "HerbaceousVegetation", "Pasture", "PermanentCrop"),
    "rubans": ("Highway", "River"),
    "bâti": ("Industrial", "Residential"),
    "surfaces sombres": ("Forest", "SeaLake"),
}


class Family(Record):
    """Classes expected to be taken for each other, and the errors among them."""

    name: str
    classes: tuple[str, ...]
    errors: int  # both classes in the family
    expected: float  # errors, if a wrong answer were any other class with equal chance


class Families(Record):
    """How far the errors stay within the families."""

    families: tuple[Family, ...]
    errors: int  # of all kinds
    level: float

    @property
    def within(self) -> int:
        """Errors between two classes of one family."""
        return sum(family.errors for family in self.families)

    @property
    def chance(self) -> float:
        """Share of the errors within the families if wrong answers fell anywhere; 0 if none."""
        return sum(family.expected for family in self.families) / max(self.errors, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the share of errors within the families."""
        return wilson(self.within, self.errors, self.level)

    def facts(self) -> dict:
        """Return the share, its interval, and what chance would give."""
        low, high = self.interval
        return {
            "within": self.within,
            "share": self.within / max(self.errors, 1),
            "low": low,
            "high": high,
            "chance": self.chance,
            "families": [family.model_dump() for family in self.families],
        }


def families(confusion: np.ndarray, classes: tuple[str, ...], level: float) -> Families:
    """Count the errors within each family.

    Args:
        confusion: int (K, K), images by true class (rows) and prediction.
        classes: their K names; families with fewer than two of them are left out.
        level: of the interval, in (0, 1).
    """
    wrong = confusion * (1 - np.eye(len(classes), dtype=int))
    found = []
    for name, members in FAMILIES.items():
        index = [classes.index(member) for member in members if member in classes]
        if len(index) < 2:
            continue
        rows = wrong[index]
        found.append(
            Family(
                name=name,
                classes=tuple(classes[i] for i in index),
                errors=int(rows[:, index].sum()),
                expected=float(rows.sum() * (len(index) - 1) / (len(classes) - 1)),
            )
        )
    return Families(families=tuple(found), errors=int(wrong.sum()), level=level)
