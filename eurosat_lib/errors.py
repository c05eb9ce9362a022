"""The one exception that stands for wrong user input."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """The input is wrong: one line that says what, where, and what to do (exit code 2)."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``' (did you mean X?)'`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
