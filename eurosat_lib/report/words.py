"""From facts to words to prose: what an answer says, and how it is put into ``reports/answers``.

One function per answer (``d4``, ``m8`` in the modules of ``ROOMS``) takes the facts of the stages
and returns written values (``"73,87 %"``), under the names of their facts where they have one,
and verdicts (``"gain"``) by the rules below. The sentences are in ``reports/answers/<name>.md``.
"""

from __future__ import annotations

import functools
import importlib
import re
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import intervalle, nombre, power, shape, signe
from eurosat_lib.stats import FEWEST, mean_interval

Facts = Mapping[str, Any]
Words = dict[str, Any]

ROOMS = ("words_data", "words_training", "words_results")  # modules that hold the functions
ANSWERS = Path("reports", "answers")
HERE = Path(__file__).resolve()
FAULTS = (jinja2.TemplateError, UserError, ArithmeticError, TypeError, ValueError, RecursionError)
LEARNT = 0.99  # training accuracy from which hardly an image is left to learn
RISEN = 1.1  # a final validation loss of so many times its minimum has risen
SHAKY = 0.02  # fall of the validation accuracy from one epoch to the next
MODERATE = 2.0  # largest class over smallest, below which the difference is called so
MISSING = re.compile(r"\b(nan|NaN|NaT|None|undefined|inf)\b")


def words_of(name: str, facts: Facts) -> Words:
    """Return the words of one answer; nothing for an answer that is only prose.

    Args:
        name: ``D4``, ``S1.1``, ``M8.recette`` …
        facts: facts of each stage under its name, and what the cell gave besides.

    Raises:
        UserError: the facts lack something that the answer needs.
    """
    function = name.lower().replace(".", "_")
    rooms = [importlib.import_module(f"eurosat_lib.report.{room}") for room in ROOMS]
    names = {room.__name__ for room in rooms}  # what a room imports is no answer's
    found = (vars(room).get(function) for room in rooms)
    write = next((one for one in found if getattr(one, "__module__", "") in names), None)
    if write is None:
        return {}
    try:
        return write(facts)
    except (KeyError, UserError, TypeError, ValueError, ZeroDivisionError) as error:
        fault = f"the fact {error} is missing" if isinstance(error, KeyError) else error
        place = traceback.extract_tb(error.__traceback__)[:2][-1]  # in the function
        where = f"{Path(place.filename).stem}:{place.lineno}"
        raise UserError(f"answer {name}: {fault} ({where})") from error


def render(name: str, facts: Facts) -> str:
    """Return an answer as Markdown: its words in its prose.

    Raises:
        UserError: names file, line and value of a missing answer, a fault, or a missing value.
    """
    folder = answers_folder()
    if not (folder / f"{name}.md").is_file():
        hint = did_you_mean(name, (path.stem for path in folder.glob("*.md")))
        raise UserError(f"{ANSWERS.as_posix()}/{name}.md: no such answer{hint}")
    return fill(name, words_of(name, facts))


def fill(name: str, words: Words) -> str:
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


def plain(facts: Facts) -> Words:
    """Write what needs no choice, under its own name: texts, counts, and shapes."""
    words: Words = {}
    for name, value in facts.items():
        if isinstance(value, list) and all(isinstance(item, int) for item in value):
            words[name] = shape(value)
        elif isinstance(value, str):
            words[name] = value
        elif isinstance(value, int) and not isinstance(value, bool):
            words[name] = nombre(value)
    return words


def written(how: Callable[..., str], facts: Facts, *names: str, **options: Any) -> Words:
    """Write facts under their own names: ``written(pct, found, "accuracy", digits=2)``."""
    return {name: how(facts[name], **options) for name in names}


def point(found: Facts) -> Words:
    """Write the four hyperparameters of anything that has them, and what is plain."""
    return plain(found) | written(power, found, "lr", "weight_decay")


def between(found: Facts, digits: int = 2) -> str:
    """Write the interval of a score: ``[96,05 % ; 97,03 %]``."""
    return intervalle((found["low"], found["high"]), digits)


def bounded(mean: float, low: float, high: float, digits: int = 1) -> str:
    """Write a difference of two fractions, in points: ``+1,2 point [0,3 ; 2,1]``."""
    return f"{signe(mean, digits)} {intervalle((100 * low, 100 * high), digits, '')}"


def magnitude(difference: float, digits: int = 1) -> str:
    """Write a difference of two fractions without its sign: ``5,7 points``."""
    return signe(abs(difference), digits).lstrip("+")


def commands(config: Facts, synthetic: bool = False, given: Any = None) -> Words:
    """Write what names a run on the command line and for make, and the folder of its results.

    Args:
        config: the resolved configuration.
        synthetic: the drawn images were used.
        given: the parameters given to this run, kept in ``params.yaml``; may be empty.
    """
    name, profile = config["paths"]["name"], config["profile"]
    folder = f"artifacts/{name}/" if name else "artifacts/"
    options = f" --profile {profile}" + (" --data synthetic" if synthetic else "")
    make = f" PROFILE={profile}" + (" DATA=synthetic" if synthetic else "")
    if name:
        options, make = f"{options} --name {name}", f"{make} NAME={name}"
    make += f' PARAMS="-f {folder}params.yaml"' if given else ""
    return {"options": options, "make": make, "dossier": folder}


def underfitting(train: Facts) -> str:
    """Judge by the training accuracy, then by the trend of the last epochs.

    ``non``: hardly an image is left to learn. Else training loss and validation accuracy still
    improve (``oui``), one does (``en partie``), none (``non (plateau)``), or ``indécidable``.
    """
    trend = train["trend"]
    if train["last_train_accuracy"] >= LEARNT:
        return "non"
    if trend is None:
        return "indécidable"
    rising, falling = trend["val_accuracy"]["low"] > 0, trend["train_loss"]["high"] < 0
    return ("non (plateau)", "en partie", "oui")[rising + falling]


def overfitting(train: Facts) -> str:
    """Judge by the lead of training over validation, and by the rise of the validation loss.

    ``oui``: both; ``un début``: training leads; ``non établi``: the loss rose alone;
    ``aucun signe``.
    """
    earlier = train["lowest_val_loss_epoch"] < train["epochs"]
    risen = earlier and train["last_val_loss"] > RISEN * train["lowest_val_loss"]
    if train["last_train_accuracy"] > train["last_val_high"]:
        return "oui" if risen else "un début"
    return "non établi" if risen else "aucun signe"


def stability(train: Facts) -> str:
    """Judge by the largest fall: ``divergence``, ``agitée``, ``bonne`` or ``indécidable``."""
    if train["diverged"]:
        return "divergence"
    if train["epochs"] < 2:
        return "indécidable"
    return "agitée" if train["largest_drop"] > SHAKY else "bonne"


def against_expectation(effect: Facts, expected: int) -> str:
    """Set an effect beside the expected sign (0: no change): ``conforme`` or ``contraire``.

    If its interval holds 0: ``compatible`` where no change was expected, else ``non tranché``.
    ``une valeur``: no pair.
    """
    if not effect["pairs"]:
        return "une valeur"
    if not effect["sign"]:
        return "non tranché" if expected or effect["ci_low"] is None else "compatible"
    return "conforme" if effect["sign"] == expected else "contraire"


def interaction(cases: Sequence[Facts]) -> tuple[str, tuple[float, float, float]]:
    """Tell whether the effect of the learning rate on the score depends on another factor.

    Its pairs at the factor's first and last value differ in that alone: Student's interval of
    their differences leaves 0 out (``nette``), holds it (``non tranchée``), or there are too few
    (``non mesurée``). Returned with that difference and the ends of its interval, fractions.
    """
    first, last = cases[0]["score"]["differences"], cases[-1]["score"]["differences"]
    if len(cases) < 2 or len(first) != len(last) or len(first) < FEWEST:
        return "non mesurée", (0.0, 0.0, 0.0)
    changes = np.subtract(last, first)
    low, high = mean_interval(changes, 0.95)
    verdict = "nette" if low > 0 or high < 0 else "non tranchée"
    return verdict, (float(changes.mean()), low, high)


def rate_and_check(lr: float, check: Facts | None) -> str:
    """Tell whether a sweep of the network really trained supports its learning rate.

    ``dedans`` (what it suggests), ``au bord`` (a quarter beyond), ``dehors``, ``sans choix`` or
    ``même réseau``.
    """
    if check is None:
        return "même réseau"
    if not check["choice"]:
        return "sans choix"
    beyond = max(check["lowest"] / lr, lr / check["highest"])
    return "dedans" if beyond <= 1 else "au bord" if beyond <= 1.25 else "dehors"


def difference(low: float, high: float) -> str:
    """Judge the interval of a difference: ``plus bas``, ``plus haut`` or ``égalité``."""
    return "plus haut" if low > 0 else "plus bas" if high < 0 else "égalité"


def refinement(refined: Facts, grid: Facts | None) -> str:
    """Judge the refined grid beside the grid: ``gain`` or ``perte`` of score, or ``égalité``.

    ``même point``: its best run is the grid's, at its centre; ``incomparable``: other trials;
    ``seule``: it is not around a grid's best point.
    """
    if grid is None or refined["origin"] != "grid_search":
        return "seule"
    if any(refined[key] != grid[key] for key in ("epochs", "train_images")):
        return "incomparable"
    if refined["name"] == grid["name"]:
        return "même point"
    gap = refined["score"] - grid["score"]
    return "gain" if gap > 0 else "perte" if gap < 0 else "égalité"


def leads(finalists: Facts) -> str:
    """Judge the first finalist: ``seul``, ``se détache``, ``en partie`` or ``à égalité``."""
    others, beaten = len(finalists["finalists"]) - 1, finalists["n_beaten"]
    if not others:
        return "seul"
    return "se détache" if beaten == others else "en partie" if beaten else "à égalité"


def edge(value: float, tried: Collection[float]) -> str:
    """Tell whether a value is ``le plus petit`` or ``le plus grand`` tried; empty if neither."""
    ends = {max(tried): "le plus grand", min(tried): "le plus petit"}
    return ends.get(value, "") if len(ends) == 2 else ""


def peak(trials: Sequence[Facts], factor: str) -> tuple[str, dict[float, float]]:
    """Tell which value of a factor has the best mean score (`edge`), and the mean of each."""
    means = pd.DataFrame(trials).groupby(factor)["score"].mean()
    return edge(means.idxmax(), means.index) or "du milieu", means.to_dict()


def calibration(errors: Facts) -> str:
    """Judge the mean confidence by its excess over the accuracy.

    ``bonne`` (its interval holds 0), ``trop haute`` or ``trop basse``.
    """
    judged = difference(*errors["excess_interval_before"])
    return {"plus haut": "trop haute", "plus bas": "trop basse"}.get(judged, "bonne")


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
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f for f in frames if f.lineno and Path(f.filename).parent == folder]
    if not lines:
        return ""
    path, number = Path(lines[-1].filename), lines[-1].lineno
    quoted = path.read_text(encoding="utf-8").splitlines()[number - 1].strip()
    inside = re.search(r"\{\{.*?\}\}", quoted)
    return f", line {number}, {inside[0] if inside else quoted}"
