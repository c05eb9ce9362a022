"""The one exception that stands for wrong user input."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """The input is wrong: one line that says what, where, and what to do (exit code 2).

    Attributes:
        french: the same for the reader of a notebook; empty if the raiser does not say it.
    """

    def __init__(self, text: str = "", french: str = "") -> None:
        """Take the line for the console, and perhaps one for notebooks."""
        super().__init__(text)
        self.french = french

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a trace-back: the cause is not in the code."""
        return [self.french or "À corriger avant de continuer.", f"Détail : {self}"]


@contextmanager
def explained(french: str) -> Iterator[None]:
    """Say in French what a ``UserError`` from within means, unless it does so itself."""
    try:
        yield
    except UserError as error:
        error.french = error.french or french
        raise


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``' (did you mean X?)'`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def one_line(error: BaseException) -> str:
    """Return the kind of an error and its first line, at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def of_system(error: OSError | MemoryError) -> UserError:
    """Say in one line what the system refuses, of which file, and what to do."""
    number, place = getattr(error, "errno", None), getattr(error, "filename", None)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        todo = "memory ran out: close other programs, or take a smaller batch_size"
    elif number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        todo = "make room there; the same command goes on from here"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        todo = "give the rights to read and write there"
    elif number in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENOENT):
        todo = "move away what stands in this place"
    else:
        todo = "mend it, and give the same command again"
    text = f"{place or 'memory or output'}: {reason}; {todo}"
    return UserError(text, "Un fichier ne peut être lu ou écrit, ou la mémoire manque.")


class Interrupted(KeyboardInterrupt):
    """A computation was stopped by hand; called again, it goes on from what was finished."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a trace-back: nothing is wrong with the code."""
        return [
            "Calcul arrêté. Ce qui était terminé est gardé : exécuter de nouveau cette cellule "
            "reprend là où il en était."
        ]
