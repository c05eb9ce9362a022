"""The one exception that stands for wrong user input."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

FRENCH = "Quelque chose est à corriger avant de continuer."  # where no raiser says it in French


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
        return [self.french or FRENCH, f"Détail : {self}"]


def in_french(error: Exception) -> str:
    """Return the French line of an error, else its text."""
    return getattr(error, "french", "") or str(error)


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


class Interrupted(KeyboardInterrupt):
    """A computation was stopped by hand; called again, it goes on from what was finished."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a trace-back: nothing is wrong with the code."""
        return [
            "Calcul arrêté. Ce qui était terminé est gardé : exécuter de nouveau cette cellule "
            "reprend là où il en était."
        ]
