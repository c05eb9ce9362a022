"""Ask beforehand whether stages would replace what git holds of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.record import Record
from eurosat_lib.stages.cache import NotKept, only_kept
from eurosat_lib.stages.sealed import FREE, OLDER, differs, refusal


def protect(
    config: Config, stages: Mapping[str, Callable[[Config], Record]], names: Iterable[str]
) -> list[str]:
    """Refuse stages that would compute or load another result than a sealed run published.

    Nothing is computed for the answer. Runs that are not sealed pass.

    Args:
        config: of the run.
        stages: all of them.
        names: those that are about to be called.

    Returns:
        Stages whose published result stands though the code that computes it has changed.

    Raises:
        UserError: names the results that would be replaced.
    """
    if not config.paths.sealed:
        return []
    OLDER.clear()
    folder = config.paths.artifacts / "results"
    known = [n for n in names if n not in FREE and (folder / f"{n}.json").is_file()]
    changed = [name for name in known if _changes(config, stages[name])]
    if changed:
        raise refusal(config, changed)
    return [name for name in known if name in OLDER]


def _changes(config: Config, stage: Callable[[Config], Record]) -> bool:
    try:
        with only_kept():
            return differs(config, stage(config))
    except (NotKept, UserError):
        return True
