"""From facts to words to prose: what an answer says, and how it is put into ``reports/answers``.

One function per answer (``d4``, ``s1_1``, ``m8`` in the modules of ``ROOMS``) takes the
facts of the stages and returns values that are already written (``"73,87 %"``) and verdicts that
are words (``"gain"``). The sentences, and nothing else, are in ``reports/answers/<name>.md``.
"""

from __future__ import annotations

import functools
import importlib
import re
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import FIXED, liste, nombre, pct, power, signe

ROOMS = ("words_data", "words_training", "words_results")  # modules that hold the functions
ANSWERS = Path("reports", "answers")
HERE = Path(__file__).resolve()
FAULTS = (jinja2.TemplateError, UserError, ArithmeticError, TypeError, ValueError, RecursionError)
MISSING = re.compile(r"\b(nan|NaN|NaT|None|undefined|inf)\b")


def words_of(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of one answer.

    Args:
        name: ``D4``, ``S1.1``, ``M8.recette`` …
        facts: facts of each stage under its name, and what the cell gave besides.

    Returns:
        Written values and verdict words by name; nothing for an answer that is only prose.

    Raises:
        UserError: the facts lack something that the answer needs.
    """
    function = name.lower().replace(".", "_")
    for room in ROOMS:
        write = getattr(importlib.import_module(f"eurosat_lib.report.{room}"), function, None)
        if write is not None:
            break
    else:
        return {}
    try:
        return write(facts)
    except KeyError as error:
        raise UserError(f"answer {name}: the fact {error} is missing{_where(error)}") from error
    except (UserError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"answer {name}: {error}{_where(error)}") from error


def render(name: str, facts: Mapping[str, Any]) -> str:
    """Return an answer as Markdown: its words in its prose.

    Raises:
        UserError: no such answer, a faulty template, or a value that is missing; the message names
            file, line and value.
    """
    folder = answers_folder()
    if not (folder / f"{name}.md").is_file():
        hint = did_you_mean(name, (path.stem for path in folder.glob("*.md")))
        raise UserError(f"{ANSWERS.as_posix()}/{name}.md: no such answer{hint}")
    return fill(name, words_of(name, facts))


def fill(name: str, words: Mapping[str, Any]) -> str:
    """Put words into the prose of an answer; see ``render``."""
    folder = answers_folder()
    file = f"{ANSWERS.as_posix()}/{name}.md"
    try:
        text = _environment(folder).get_template(f"{name}.md").render(words)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.message}") from None
    except FAULTS as error:
        unknown = re.search(r"'([^']+)' is undefined", str(error))
        hint = did_you_mean(unknown[1], words) if unknown else ""
        raise UserError(f"{file}{_line(error, folder)}: {error}{hint}") from None
    if not text.strip():
        raise UserError(f"{file}: the answer is empty")
    return text.strip() + "\n"


def answers_folder() -> Path:
    """Return ``reports/answers`` of the project: above the current folder, else the package's."""
    here = Path.cwd()
    for root in (here, *here.parents, HERE.parents[2]):
        if (root / ANSWERS).is_dir():
            return root / ANSWERS
    raise UserError(f"{ANSWERS}: no such folder, from {here} upwards")


def magnitude(difference: float, digits: int = 1) -> str:
    """Write a difference of two fractions without its sign: ``5,7 points``."""
    return signe(abs(difference), digits).lstrip("+")


def points_and_interval(mean: float, low: float | None, high: float | None) -> str:
    """Write a difference of two fractions, in points: ``+1,2 point [0,3 ; 2,1]``."""
    if low is None or high is None:
        return signe(mean)
    return f"{signe(mean)} [{nombre(100 * low, 1)}{FIXED};{FIXED}{nombre(100 * high, 1)}]"


def agree(count: int, singular: str, several: str) -> str:
    """Write a count with the words that agree with it: ``2 images sont``, ``1 image est``."""
    return f"{nombre(count)}{FIXED}{several if abs(count) >= 2 else singular}"


def share(count: int, total: int, digits: int = 1) -> str:
    """Write the share that a count is of a total: ``11,5 %``."""
    return pct(count / total, digits)


def rates(values: Iterable[float]) -> str:
    """Enumerate learning rates or weight decays: ``7 × 10⁻⁵, 1,5 × 10⁻⁴ et 3 × 10⁻⁴``."""
    return liste(power(value, 1) for value in values)


def options(config: Mapping[str, Any], synthetic: bool) -> str:
    """Return the options that name this run on the command line: `` --profile quick --name x``."""
    name = config["paths"]["name"]
    given = f" --profile {config['profile']}"
    given += " --data synthetic" if synthetic else ""
    return given + (f" --name {name}" if name else "")


def make_options(config: Mapping[str, Any], synthetic: bool, given: Any) -> str:
    """Return the variables that name this run for make: `` PROFILE=quick NAME=x``.

    Args:
        config: the resolved configuration.
        synthetic: the drawn images were used.
        given: the parameters given to this run, kept in ``params.yaml``; may be empty.
    """
    name = config["paths"]["name"]
    variables = f" PROFILE={config['profile']}" + (" DATA=synthetic" if synthetic else "")
    variables += f" NAME={name}" if name else ""
    return variables + (f' PARAMS="-f {results_folder(config)}params.yaml"' if given else "")


def results_folder(config: Mapping[str, Any]) -> str:
    """Return where the results of this run are, as the course writes it: ``artifacts/x/``."""
    name = config["paths"]["name"]
    return f"artifacts/{name}/" if name else "artifacts/"


@functools.cache
def _environment(folder: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder, encoding="utf-8-sig"),
        undefined=jinja2.StrictUndefined,
        finalize=_present,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def _present(value: Any) -> Any:
    """Refuse a value that nobody wrote: a missing one, a float, a NaN in a text."""
    if value is None or isinstance(value, bool | float | list | dict):
        raise UserError(f"{value!r} is not a written value")
    if isinstance(value, str) and (found := MISSING.search(value)):
        raise UserError(f"the value is missing ({found[0]})")
    return value


def _line(error: BaseException, folder: Path) -> str:
    """Return in which line of the answer an error was raised, and that line."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.lineno]
    lines = [f for f in frames if Path(f.filename).parent == folder]
    if not lines:
        return ""
    path, number = Path(lines[-1].filename), lines[-1].lineno
    quoted = path.read_text(encoding="utf-8").splitlines()[number - 1].strip()
    inside = re.search(r"\{\{.*?\}\}", quoted)
    return f", line {number}, {inside[0] if inside else quoted}"


def _where(error: BaseException) -> str:
    """Return the place in the words functions where an error was raised: `` (words_data:12)``."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(f.filename).stem}:{f.lineno}" for f in frames if "words_" in f.filename]
    return f" ({places[-1]})" if places else ""
