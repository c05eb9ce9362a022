"""What was expected of each factor, written before the trials, and whether they support it."""

from __future__ import annotations

from collections.abc import Iterable

from eurosat_lib.grid.effects import Effect, effect
from eurosat_lib.record import Record
from eurosat_lib.training.records import Fit

NEGLIGIBLE = 0.01  # a change of one point of accuracy or less is called "no change"


class Statement(Record):
    """An expectation: raising a factor moves a measure up, down, or by no more than a point."""

    factor: str
    measure: str
    direction: str  # "up", "down", "flat"

    def verdict(self, found: Effect) -> str:
        """Judge by the effect's interval: ``supported``, ``refuted`` or ``undecided``.

        A direction is supported if the whole interval lies on its side of 0; "flat" if it lies
        within a point of 0, and refuted if it lies beyond on one side.
        """
        if found.interval is None:
            return "undecided"
        low, high = found.interval
        if self.direction == "flat":
            inside = low > -NEGLIGIBLE and high < NEGLIGIBLE
            outside = low > NEGLIGIBLE or high < -NEGLIGIBLE
        else:
            inside = low > 0 if self.direction == "up" else high < 0
            outside = high < 0 if self.direction == "up" else low > 0
        return "supported" if inside else "refuted" if outside else "undecided"


# At most TOGETHER of them: see ``intervals``.
EXPECTED = (
    Statement(factor="lr", measure="speed", direction="up"),
    Statement(factor="lr", measure="score", direction="up"),
    Statement(factor="weight_decay", measure="gap", direction="down"),
    Statement(factor="weight_decay", measure="score", direction="flat"),
    Statement(factor="dilation_stage3", measure="score", direction="up"),
    Statement(factor="blocks_per_stage", measure="score", direction="up"),
)


def judge(trials: Iterable[Fit]) -> list[dict]:
    """Judge every expectation: its words, the effect's facts and the verdict."""
    fits = list(trials)
    judged = []
    for statement in EXPECTED:
        found = effect(fits, statement.factor, statement.measure)
        judged.append(
            statement.model_dump() | found.facts() | {"verdict": statement.verdict(found)}
        )
    return judged
