"""What all views share: where they can be shown, and the line that stands for one elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import Any, ParamSpec

from eurosat_lib.errors import UserError, in_french
from eurosat_lib.french import typeset
from eurosat_lib.progress import FILE_VARIABLE

P = ParamSpec("P")

ELSEWHERE = "Vue interactive : ouvrir ce notebook dans JupyterLab et exécuter cette cellule."
ABSENT = "Vue interactive indisponible : ipywidgets n’est pas installé (pip install ipywidgets)."


class Note:
    """A line in the place of a view."""

    def __init__(self, text: str) -> None:
        """Keep the text, with French spacing."""
        self.text = typeset(text)

    def __repr__(self) -> str:
        """Return the text: what a notebook shows."""
        return self.text


def view(build: Callable[P, Any]) -> Callable[P, Any]:
    """Make a view: a widget where one can be moved, a line that says why not elsewhere.

    While a report is built (``EUROSAT_PROGRESS`` is set) nothing is computed for it.
    """

    @wraps(build)
    def show(*args: P.args, **kwargs: P.kwargs) -> Any:
        """Build the view, or say in a line why there is none."""
        if os.environ.get(FILE_VARIABLE):
            return Note(ELSEWHERE)
        if find_spec("ipywidgets") is None:
            return Note(ABSENT)
        try:
            return build(*args, **kwargs)
        except UserError as error:
            return Note(f"Vue interactive indisponible : {in_french(error)}")

    return show
