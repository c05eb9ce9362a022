"""French numbers and words, for tables, figures and answers.

Decimal comma, U+202F (narrow no-break space) between thousands and before ``%``, U+00A0 between
a number and its unit, U+2212 as minus sign.
"""

import math
import numbers
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from eurosat_lib.errors import UserError

THIN, FIXED, MINUS = "\u202f", "\u00a0", "\u2212"
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

SPLITS = {"train": "entraînement", "validation": "validation", "test": "test"}
SHORT = {"lr": "LR", "weight_decay": "WD", "dilation_stage3": "D", "blocks_per_stage": "B"}
ORIGINS = {
    "config": "configuration",
    "lr_finder": "LR finder",
    "chosen_lr": "choix à la main",
    "grid_search": "grille",
    "refined_grid_search": "grille resserrée",
    "compare_finalists": "finalistes",
    "fallback": "valeur de repli",
}
RULES = {"steepest": "plus forte pente", "valley": "vallée", "minimum/10": "minimum / 10"}
CORRUPTIONS = {"blur": "flou", "noise": "bruit", "jpeg": "JPEG", "haze": "brume"}
FAULTS = {  # of a sweep of the learning rate
    "short": "trop peu de pas avant la divergence",
    "flat": "la perte ne descend pas assez",
    "start": "une lecture tombe au début du balayage",
    "end": "la perte descend encore au dernier pas",
}
PRINTED = (  # what French printers do to plain text
    (re.compile(r" +([;!?])(?!\w)"), "\u202f\\1"),
    (re.compile(r" +(:)(?=\s|$)"), "\u00a0\\1"),
    (re.compile(r"«[ \u00a0\u202f]*"), "«\u00a0"),
    (re.compile(r"[ \u00a0\u202f]*»"), "\u00a0»"),
    (re.compile(r"(?<=\d) +%"), "\u202f%"),
    (re.compile(r"(?<![\d,.])(\d{1,3}) (?=\d{3}(?!\d))"), "\\1\u202f"),
    (re.compile(r"(?<=\u202f\d{3}) (?=\d{3}(?!\d))"), "\u202f"),
    (re.compile(r"(?<=\w)'(?=\w)"), "’"),
    (re.compile(r"\.\.\.(?!\.)"), "…"),
    (re.compile(r" +([–—]) +"), "\u00a0\\1 "),
    (re.compile(r"(?<=[\w%]) ([±×=]) (?=[\d−])"), "\u00a0\\1\u00a0"),
    (re.compile(r"\b([Ss]ection|époque|graine) (?=\d)"), "\\1\u00a0"),
)


def nombre(value: Any, digits: int | None = None) -> str:
    """Write a finite number: ``16200`` → ``16 200``, ``2.3449`` with 3 digits → ``2,345``.

    Without digits an integer stays whole and a float keeps six significant ones. Anything else,
    for instance a missing value, is a UserError.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise UserError(f"a finite number is wanted, got {value!r}")
    if digits is not None:
        text = f"{float(value):,.{digits}f}"
    elif isinstance(value, numbers.Integral):
        text = f"{int(value):,}"
    else:
        text = f"{Decimal(f'{value:.6g}').normalize():,f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")  # no "−0,0"
    return text.translate({ord(","): THIN, ord("."): ",", ord("-"): MINUS})


def pct(value: Any, digits: int | None = 1) -> str:
    """Write a fraction as a percentage: ``0.8123`` → ``81,2 %``."""
    return f"{nombre(100 * value, digits)}{THIN}%"


def power(value: float, digits: int = 2) -> str:
    """Write a small or large number in powers of ten: ``5e-4`` → ``5 × 10⁻⁴``."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    mantissa, exponent = nombre(float(mantissa)), int(exponent)
    if exponent == 0:
        return mantissa
    ten = "10" + str(exponent).translate(SUPERSCRIPT)
    return ten if mantissa == "1" else f"{mantissa}{THIN}×{THIN}{ten}"


def duree(seconds: float) -> str:
    """Write a duration given in seconds: ``200`` → ``3 min 20 s``, ``3900`` → ``1 h 05 min``."""
    whole, units = round(seconds), ("min", "s")
    if whole < 60:
        return f"{nombre(seconds, 1 if seconds < 9.95 else 0)}{FIXED}s"
    if whole >= 3600:
        whole, units = round(whole / 60), ("h", "min")
    count, rest = divmod(whole, 60)
    return f"{count}{FIXED}{units[0]}" + (f"{FIXED}{rest:02d}{FIXED}{units[1]}" if rest else "")


def signe(value: float, digits: int = 1, unite: str = "points") -> str:
    """Write a difference with its sign: in points of two fractions, else in a unit or none."""
    number = value * (100 if unite == "points" else 1)
    text = nombre(number, digits)
    if text.strip("0,") and number > 0:
        text = "+" + text
    if unite == "points" and abs(round(number, digits)) < 2:
        unite = "point"
    return f"{text}{FIXED}{unite}" if unite else text


def intervalle(bounds: Sequence[float], digits: int = 1, unite: str = "%") -> str:
    """Write an interval of fractions: ``[79,1 % ; 83,0 %]``, or in points; else of numbers."""
    if unite == "%":
        low, high = (pct(bound, digits) for bound in bounds)
    else:
        low, high = (nombre(bound * (100 if unite else 1), digits) for bound in bounds)
    return f"[{low}{THIN};{FIXED}{high}]" + (f"{FIXED}points" if unite == "points" else "")


def ecart(mean: float, bounds: Sequence | None, digits: int = 1, unite: str = "points") -> str:
    """Write a difference and its interval: ``+1,2 point [0,3 ; 2,1]``; see ``signe``."""
    told, scale = signe(mean, digits, unite), 100 if unite == "points" else 1
    return f"{told} {intervalle([scale * b for b in bounds], digits, '')}" if bounds else told


def magnitude(difference: float, digits: int = 1) -> str:
    """Write a difference of two fractions without its sign: ``5,7 points``."""
    return signe(abs(difference), digits).lstrip("+")


def p_value(p: float) -> str:
    """Write the p-value of a test: ``p = 0,219``, or that it is below a thousandth."""
    return "p < 0,001" if p < 0.001 else f"p = {nombre(p, 3)}"


def factor_value(factor: str, value: float) -> str:
    """Write the value of a hyperparameter: a rate in powers of ten, a count as it is."""
    return power(value) if factor in ("lr", "weight_decay") else str(int(value))


def liste(items: Iterable[Any]) -> str:
    """Enumerate: ``a, b et c``; with semicolons where an item holds a comma (``0,5 ; 1 et 2``)."""
    words = [str(item) for item in items]
    comma = f"{THIN}; " if any("," in word for word in words) else ", "
    return " et ".join(filter(None, [comma.join(words[:-1]), *words[-1:]]))


def plural(count: int, word: str) -> str:
    """Write a count and a word, with an s from two on: ``1 époque``, ``3 époques``."""
    return f"{nombre(count)}{FIXED}{word}" + ("s" if abs(count) >= 2 else "")


def typeset(text: str) -> str:
    """Set a text as French printers do: ``vrai ?`` with a thin space, ``27 000`` unbreakable."""
    for pattern, replacement in PRINTED:
        text = pattern.sub(replacement, text)
    return text
