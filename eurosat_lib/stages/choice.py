"""A learning rate chosen by hand in notebook 04: kept with the run, used by 05, withdrawable."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from eurosat_lib.config import Config
from eurosat_lib.record import Record
from eurosat_lib.stages import publish
from eurosat_lib.stages.core import latest, scope
from eurosat_lib.stages.withdrawal import withdraw


class ChosenLR(Record):
    """A learning rate, and how it was read from the stored sweep."""

    stage: ClassVar[str] = "chosen_lr"

    lr: float
    rule: str  # of ``lr_finder.rules``, or "median" of all
    smoothing: float  # weight of the past, in [0, 1)

    def facts(self) -> dict:
        """Return the fields."""
        return self.model_dump()


def chosen_lr(config: Config) -> ChosenLR | None:
    """Return the rate chosen by hand for this run, if there is one for this experiment."""
    return latest(config, ChosenLR)


def choose_lr(config: Config, choice: ChosenLR) -> Path:
    """Keep a choice; the grid takes it instead of the finder's. Returns the file that holds it."""
    publish.publish(config, choice, {}, scope(config))
    return publish.result_path(config, choice.stage)


def forget_lr(config: Config) -> bool:
    """Withdraw the choice; returns whether there was one."""
    return withdraw(config, [ChosenLR.stage])
