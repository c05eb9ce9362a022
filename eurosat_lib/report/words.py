"""From facts to words to prose: what an answer says, and how it is put into ``reports/answers``.

One function per answer (``d4``, ``m8`` in `words_data` and `words_results`) takes the facts of the
stages. It returns facts as they are written (`write`), under their own names, and verdicts
(``"gain"``) by the rules below. The sentences are in ``reports/answers/<name>.md``.
"""

from __future__ import annotations

import functools
import traceback
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import jinja2
import numpy as np

from eurosat_lib.errors import UserError, did_you_mean, one_line
from eurosat_lib.french import in_points, intervalle, nombre, p_value, pct, plural, power, signe
from eurosat_lib.stats import FEWEST, mean_interval

Facts = Mapping[str, Any]
Words = dict[str, Any]

ANSWERS = Path("reports", "answers")
FAULTS = (jinja2.TemplateError, UserError, ArithmeticError, TypeError, ValueError, RecursionError)
LEARNT = 0.99  # training accuracy from which hardly an image is left to learn
RISEN = 1.1  # a final validation loss of so many times its minimum has risen
SHAKY = 0.02  # fall of the validation accuracy from one epoch to the next
NEAR = 0.03  # an interval within this of 0 is almost no effect (notebook 05 says so)


def magnitude(difference: float, digits: int = 1) -> str:
    """Write a difference of two fractions without its sign: ``5,7 points``."""
    return signe(abs(difference), digits).lstrip("+")


FORMS = {  # how answers write a number that is no mere count, by the name of its fact
    power: "lr weight_decay min_lr max_lr choice window_low window_high",
    partial(power, digits=1): "lowest highest",
    nombre: "values_blocks_per_stage values_dilation_stage3 target_loss limit_bias limit_sd "
    "brightness contrast saturation smoothing",
    partial(nombre, digits=2): "imbalance value_min value_max temperature",
    partial(nombre, digits=3): "theory loss mean sd grad_norm first_loss last_loss "
    "first_train_loss last_train_loss last_val_loss lowest_val_loss",
    partial(pct, digits=0): "last_accuracy shuffled_known confidence_level shares_train "
    "shares_validation shares_test",
    p_value: "p_value",
    pct: "majority_share best_linear true_accuracy shuffled_accuracy blind_accuracy seen_accuracy "
    "first_val_accuracy last_val_accuracy last_train_accuracy worst_f1 best_f1 stable recall",
    partial(pct, digits=2): "majority_validation majority_test uniform score second_score "
    "worst_score best_by_epoch_accuracy best_val_accuracy accuracy val_accuracy accuracy_mean "
    "val_accuracy_mean macro_f1 ece_before ece_after",
    magnitude: "largest_drop",
    partial(magnitude, digits=2): "accuracy_sd",
    partial(plural, word="époque"): "epochs",
    partial(plural, word="graine"): "n_seeds count",
    partial(plural, word="pixel"): "crop_padding",
}
WRITERS = {name: form for form, names in FORMS.items() for name in names.split()}


def write(found: Facts, within: str = "") -> Words:
    """Write facts under their own names: texts, counts, shapes, numbers and lists of ``FORMS``.

    A boolean, which chooses a sentence, is ``"oui"`` or empty; ``low`` and ``high`` are written
    as ``intervalle``; what is in a fact has its name before its own (``accuracy_mean``).
    """
    words: Words = {}
    if found.get("low") is not None and "high" in found:
        words[f"{within}intervalle"] = intervalle((found["low"], found["high"]), 2)
    for key, value in found.items():
        name, form = within + key, WRITERS.get(within + key) or WRITERS.get(key)
        if isinstance(value, str):
            words[name] = value
        elif isinstance(value, bool):
            words[name] = "oui" * value
        elif isinstance(value, dict):
            words |= write(value, f"{name}_")
        elif isinstance(value, int | float) and form:
            words[name] = form(value)
        elif isinstance(value, int):
            words[name] = nombre(value)
        elif isinstance(value, list) and form:
            words[name] = f"({' ; '.join(map(form, value))})"
        elif isinstance(value, list) and all(isinstance(item, int) for item in value):
            words[name] = str(tuple(value))
    return words


def bounded(mean: float, low: float, high: float, digits: int = 1) -> str:
    """Write a difference of two fractions, in points: ``+1,2 point [0,3 ; 2,1]``."""
    return f"{signe(mean, digits)} {intervalle((100 * low, 100 * high), digits, '')}"


def commands(config: Facts, synthetic: bool = False, given: Any = None) -> Words:
    """Write a run's options and variables of make, with what it was given, and its places."""
    name, data = config["paths"]["name"], "synthetic" if synthetic else ""
    folder = f"artifacts/{name}/" if name else "artifacts/"
    options = {"profile": config["profile"], "data": data, "name": name}
    make = {key.upper(): value for key, value in options.items()}
    make["PARAMS"] = f'"-f {folder}params.yaml"' if given else ""
    return {
        "options": "".join(f" --{key} {value}" for key, value in options.items() if value),
        "make": "".join(f" {key}={value}" for key, value in make.items() if value),
        "dossier": folder,
        "fichier": config["evaluate"]["checkpoint"] or f"{folder}best.ckpt",
    }


def difference(low: float, high: float) -> str:
    """Judge the interval of a difference: ``plus bas``, ``plus haut`` or ``égalité``."""
    return "plus haut" if low > 0 else "plus bas" if high < 0 else "égalité"


def underfitting(train: Facts) -> str:
    """Judge by what is left to learn, then by the trends of the last epochs, if there are any.

    Training loss and validation accuracy improve (``oui``), one (``en partie``) or none does.
    """
    trend = train["trend"]
    if train["last_train_accuracy"] >= LEARNT:
        return "non"
    if trend is None:
        return "indécidable"
    rising, falling = trend["val_accuracy"]["low"] > 0, trend["train_loss"]["high"] < 0
    return ("non (plateau)", "en partie", "oui")[rising + falling]


def overfitting(train: Facts) -> str:
    """Judge by the lead of training over validation, and by the rise of the validation loss."""
    earlier = train["lowest_val_loss_epoch"] < train["epochs"]
    risen = earlier and train["last_val_loss"] > RISEN * train["lowest_val_loss"]
    if train["last_train_accuracy"] > train["last_val_high"]:
        return "oui" if risen else "un début"
    return "non établi" if risen else "aucun signe"


def plateau(train: Facts) -> str:
    """Judge how validation ends; empty when the epochs are too few for a trend."""
    slope = (train["trend"] or {}).get("val_accuracy")
    if train["best_epoch"] == train["epochs"] or (slope and slope["low"] > 0):
        return "ne plafonne pas encore"
    return ("recule à la fin" if slope["high"] < 0 else "plafonne") if slope else ""


def ending(train: Facts) -> str:
    """Tell in a clause what was left to learn at the end; empty if nothing was."""
    if underfitting(train) not in ("oui", "en partie"):
        return ""
    if plateau(train) == "ne plafonne pas encore":  # always so, if validation still improves
        return "le réseau apprenait encore, et des époques manquaient sans doute"
    return "la perte baissait encore, sans gain net en validation"


def stability(train: Facts) -> str:
    """Judge by the largest fall of the validation accuracy between two epochs."""
    if train["diverged"]:
        return "divergence"
    if train["epochs"] < 2:
        return "indécidable"
    return "agitée" if train["largest_drop"] > SHAKY else "bonne"


def direction(effect: Facts, more: str, less: str) -> str:
    """Tell which way an effect goes: without sign, only if most pairs go there as well."""
    bounds, lead = (effect["ci_low"], effect["ci_high"]), 2 * effect["wins_high"] - effect["pairs"]
    if effect["sign"] or effect["mean"] * lead > 0:
        return more if effect["mean"] > 0 else less
    near = None not in bounds and max(map(abs, bounds)) <= NEAR
    return "presque inchangé" if near else "sans direction nette"


def against_expectation(effect: Facts, expected: int) -> str:
    """Set an effect beside the expected sign (0: no change), in a clause."""
    if not effect["pairs"]:
        return "rien n’a été essayé ici"
    if effect["sign"]:
        return "c’est bien le cas" if effect["sign"] == expected else "ce n’est pas le cas"
    if expected or effect["ci_low"] is None:
        return "ces runs ne tranchent pas"
    return "rien ne contredit cette attente"


def interaction(cases: Sequence[Facts]) -> Words:
    """Tell whether the effect of the learning rate on the score depends on another factor.

    Its pairs at the factor's first and last value differ in that alone: Student's interval of
    their differences leaves 0 out or holds it, unless there are too few.
    """
    first, last = (cases[end]["score"]["differences"] for end in (0, -1))
    if len(cases) < 2 or not FEWEST <= len(first) == len(last):
        return {"interaction": "non mesurée"}
    bounds = mean_interval(np.subtract(last, first), 0.95)
    verdict = "non tranchée" if difference(*bounds) == "égalité" else "nette"
    return {"interaction": verdict, "interaction_ecart": in_points(bounds, 1)}


def lag(finder: Facts) -> Words:
    """Write how late the smoothed loss of a sweep is, in steps, and as a factor on the rate."""
    late = finder["smoothing"] / (1 - finder["smoothing"])
    factor = (finder["max_lr"] / finder["min_lr"]) ** (late / (finder["iterations"] - 1))
    return {"retard": nombre(round(late)), "decalage": nombre(factor, 1)}


def beside_sweep(lr: float, sweep: Facts | None) -> str:
    """Place a rate beside those that a sweep of the network really trained suggests.

    Nothing to say if the first sweep was of this network; ``juste``: a quarter beyond at most.
    """
    if not (sweep and sweep["choice"]):
        return "sans choix" if sweep else ""
    beyond = max(sweep["lowest"] / lr, lr / sweep["highest"])
    if beyond <= 1:
        return "**dans**"
    side = "au-dessous" if lr < sweep["lowest"] else "au-dessus"
    return f"**{'juste' if beyond <= 1.25 else 'nettement'} {side}** de"


def refinement(refined: Facts, grid: Facts | None) -> str:
    """Judge the score of the refined grid beside the grid's, if that is where it comes from.

    ``même point``: its best run is the grid's, at its centre; ``incomparable``: other trials.
    """
    if grid is None or refined["origin"] != "grid_search":
        return "seule"
    if any(refined[key] != grid[key] for key in ("epochs", "train_images")):
        return "incomparable"
    if refined["name"] == grid["name"]:
        return "même point"
    return "gain" if refined["score"] > grid["score"] else "aucun gain"


def leads(finalists: Facts) -> str:
    """Judge the first finalist: ``seul``, ``se détache``, ``en partie`` or ``à égalité``."""
    others, beaten = len(finalists["finalists"]) - 1, finalists["n_beaten"]
    if not others:
        return "seul"
    return "se détache" if beaten == others else "en partie" if beaten else "à égalité"


def rarity(rare: float, recalls: Sequence[float]) -> str:
    """Judge the recall of the rarest class beside those of all."""
    if rare == min(recalls):
        return "peut être une cause d’erreurs"
    below = rare < fmean(recalls)
    return "ne suffit pas à expliquer les erreurs" if below else "n’explique pas les erreurs"


def edge(value: float, tried: Collection[float]) -> str:
    """Tell whether a value is ``le plus petit`` or ``le plus grand`` tried; empty if neither."""
    ends = {max(tried): "le plus grand", min(tried): "le plus petit"}
    return ends.get(value, "") if len(ends) == 2 else ""


def words_of(name: str, facts: Facts) -> Words:
    """Return the words of one answer; without a function, those of its stages.

    Raises:
        UserError: the facts lack something that the answer needs.
    """
    from eurosat_lib.report import words_data, words_results  # which write by the rules above

    function, rooms = name.lower().replace(".", "_"), vars(words_data) | vars(words_results)
    try:
        return rooms.get(function, _of_stages)(facts)
    except (KeyError, UserError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"answer {name}: missing or faulty facts ({one_line(error)})") from error


def _of_stages(facts: Facts) -> Words:
    return dict(ChainMap(*(write(found) for found in facts.values() if isinstance(found, dict))))


def render(name: str, facts: Facts) -> str:
    """Return an answer as Markdown, from the facts of each stage, under its name, and of its cell.

    Raises:
        UserError: names file, line and value of a missing answer, a fault, or a missing value.
    """
    return fill(name, words_of(name, facts))


def fill(name: str, words: Words) -> str:
    """Put words into the prose of an answer; see ``render``."""
    folder, file = answers_folder(), f"{ANSWERS.as_posix()}/{name}.md"
    try:
        text = _environment(folder).get_template(f"{name}.md").render(words).strip()
    except jinja2.TemplateNotFound:
        hint = did_you_mean(name, (path.stem for path in folder.glob("*.md")))
        raise UserError(f"{file}: no such answer{hint}") from None
    except FAULTS as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename).parent == folder]
        place = f", line {lines[-1]}" if lines else ""
        raise UserError(f"{file}{place}: {error}") from None
    if not text:
        raise UserError(f"{file}: the answer is empty")
    return f"{text}\n"


def answers_folder() -> Path:
    """Return ``reports/answers`` of the project: above the current folder, else the package's."""
    here = Path.cwd()
    for root in (here, *here.parents, Path(__file__).parents[2]):
        if (root / ANSWERS).is_dir():
            return root / ANSWERS
    raise UserError(f"{ANSWERS}: no such folder, from {here} upwards")


@functools.cache
def _environment(folder: Path) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(folder, encoding="utf-8-sig")
    lines = {"trim_blocks": True, "lstrip_blocks": True}
    strict = {"undefined": jinja2.StrictUndefined, "finalize": _present}
    return jinja2.Environment(loader=loader, **lines, **strict)


def _present(value: Any) -> Any:
    """Refuse a value that nobody wrote: a missing one, a float."""
    if value is None or isinstance(value, bool | float | list | dict):
        raise UserError(f"{value!r} is not a written value")
    return value
