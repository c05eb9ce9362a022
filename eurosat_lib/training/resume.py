"""The state of a training between two epochs: the last one, and the one before in reserve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eurosat_lib.errors import UserError
from eurosat_lib.progress import announce
from eurosat_lib.training.checkpoint import load_checkpoint, save_checkpoint

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


def keep_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the newest state; the one before stays until the next."""
    last = folder / LAST
    if last.is_file():
        last.replace(folder / PREVIOUS)
    save_checkpoint(last, state)


def restore_state(
    folder: Path, restore: Callable[[dict[str, Any]], None], start: Callable[[], None]
) -> bool:
    """Go back to the newest sound state; a damaged or foreign one is refused with a line.

    Args:
        folder: where the states are kept.
        restore: takes a state; raises if it is not one of this training.
        start: undoes what a refused state left behind.

    Returns:
        Whether there was one.
    """
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            restore(load_checkpoint(path))
        except (UserError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).removeprefix(f"{path}: ").split())[:120]
            announce(f"{path.name} refused ({reason}): going on from an older state")
            path.unlink()
            start()
        else:
            return True
    return False


def forget_states(folder: Path) -> None:
    """Remove the states of a finished training."""
    for name in (LAST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
