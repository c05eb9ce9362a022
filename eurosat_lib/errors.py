"""Wrong user input in one line, stops by a signal, and what the system refuses."""

from __future__ import annotations

import difflib
import errno
import signal
from collections.abc import Iterable
from typing import NoReturn


class UserError(Exception):
    """The input is wrong: one line that says what, where, and what to do (exit code 2)."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a trace-back: the cause is not in the code."""
        return ["À corriger avant de continuer.", f"Détail : {self}"]


class Interrupted(KeyboardInterrupt):
    """A computation was stopped by hand; called again, it goes on from what was finished."""

    def _render_traceback_(self) -> list[str]:
        said = "Calcul arrêté. Ce qui était terminé est gardé : exécuter de nouveau cette cellule "
        return [f"{said}reprend là où il en était."]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``' (did you mean X?)'`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def one_line(error: BaseException) -> str:
    """Return the kind of an error and what it says, at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def of_system(error: OSError | MemoryError) -> UserError:
    """Say in one line what the system refuses, of which file, and what to do."""
    if isinstance(error, MemoryError):
        return UserError("memory ran out: close other programs, or take a smaller batch_size")
    todo = "mend this place, and give the same command again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        todo = "make room there; the same command goes on from here"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        todo = "give the rights to read and write there"
    elif error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENOENT):
        todo = "move away what stands in this place"
    reason = error.strerror or str(error) or type(error).__name__
    return UserError(f"{error.filename or 'memory or output'}: {reason}; {todo}")


def hear_signals() -> None:
    """Make SIGTERM and SIGHUP stop a command as Ctrl-C does, unless they are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, signal.default_int_handler if number == 2 else _stop)


def _stop(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)


def stop_code(stop: KeyboardInterrupt) -> int:
    """Return the exit code of a command that a signal stopped: 128 + the signal's number."""
    return 128 + next((int(number) for number in stop.args if isinstance(number, int)), 2)
