"""Render an answer: plain Markdown with Jinja2 in ``reports/answers/<id>.md``, and measured facts.

Nothing missing goes through: an unknown name, ``None`` or a NaN is an error that names the file,
the line and the value.
"""

from __future__ import annotations

import functools
import math
import numbers
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import FILTERS, nombre
from eurosat_lib.report.folders import find_folder

MISSING = re.compile(r"\b(nan|NaN|NaT|None|undefined|inf)\b")
TAGS_ALONE = re.compile(r"^[ \t]*((?:\{%(?:(?!%\}).)*%\}[ \t]*)+)\n", re.MULTILINE)


def render(name: str, context: Mapping[str, Any], folder: Path | None = None) -> str:
    """Render one answer to Markdown.

    Args:
        name: ``D1``…``D11``, ``M0``…``M9``, or ``S…`` for the list of a section.
        context: names the template may use.
        folder: where ``<name>.md`` is; ``reports/answers`` of the project if not given.

    Raises:
        UserError: no such answer, a faulty template, or a value that is missing.
    """
    folder = folder or find_folder("reports/answers")
    if not (folder / f"{name}.md").is_file():
        hint = did_you_mean(name, (path.stem for path in folder.glob("*.md")))
        raise UserError(f"{folder / name}.md: no such answer{hint}")
    where = f"{folder.parent.name}/{folder.name}/{name}.md"
    try:
        text = _environment(folder).get_template(f"{name}.md").render(context)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"{where}, line {error.lineno}: {error.message}") from None
    except jinja2.UndefinedError as error:
        known = did_you_mean(_quoted(str(error)), context)
        raise UserError(f"{where}{_line(error, folder)}: {error}{known}") from None
    except Exception as error:
        raise UserError(f"{where}{_line(error, folder)}: {error}") from error
    if not text.strip():
        raise UserError(f"{where}: the answer is empty")
    return text.strip() + "\n"


def context_of(results: tuple[Any, ...], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names a template sees.

    Args:
        results: stage results (``.stage``, ``.facts()``): the facts of the first stand at top
            level, those of each under its stage's name.
        extra: further names; they win.
    """
    context: dict[str, Any] = dict(results[0].facts()) if results else {}
    context |= {result.stage: result.facts() for result in results}
    return context | dict(extra)


class _Loader(jinja2.FileSystemLoader):
    """Reads templates; a line that holds only ``{% … %}`` tags leaves no empty line behind."""

    def get_source(self, environment: jinja2.Environment, template: str) -> Any:
        """Read a template, the lines of tags alone made empty."""
        source, filename, uptodate = super().get_source(environment, template)
        # The newline goes into a comment, so that line numbers stay true.
        return TAGS_ALONE.sub(r"\1{#\n#}", source), filename, uptodate


def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=_Loader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=_present,
        autoescape=False,
    )
    environment.filters |= {name: _defined(write) for name, write in FILTERS.items()}
    return environment


def _defined(write: Callable[..., str]) -> Callable[..., str]:
    """Let a filter complain of an unknown name by its name."""

    @functools.wraps(write)
    def checked(value: Any, *arguments: Any, **options: Any) -> str:
        _name_if_undefined(value)
        return write(value, *arguments, **options)

    return checked


def _name_if_undefined(value: Any) -> None:
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises UndefinedError, with the name


def _present(value: Any) -> Any:
    """Refuse a value that is missing; write plain floats and booleans in French."""
    _name_if_undefined(value)
    missing = _missing(value)
    if missing is not None:
        raise UserError(f"the value is missing ({missing})")
    if isinstance(value, bool):
        return "oui" if value else "non"
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return nombre(value)
    return value


def _missing(value: Any) -> str | None:
    if value is None:
        return "None"
    if isinstance(value, str):
        found = MISSING.search(value)
        return found and found[0]
    if isinstance(value, numbers.Real):
        return None if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return next((found for item in value if (found := _missing(item))), None)
    return None


def _line(error: BaseException, folder: Path) -> str:
    """Say in which line of the template an error was raised, and quote that line."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f for f in frames if Path(f.filename).parent == folder and f.lineno]
    if not lines:
        return ""
    path, number = Path(lines[-1].filename), lines[-1].lineno
    quoted = path.read_text(encoding="utf-8").splitlines()[number - 1].strip()
    inside = re.search(r"\{[{%].*[%}]\}", quoted)
    return f", line {number}, {inside[0] if inside else quoted}"


def _quoted(message: str) -> str:
    found = re.search(r"'([^']+)' is undefined", message)
    return found[1] if found else message
