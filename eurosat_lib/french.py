"""French numbers and words: filters of the answers, cells of the tables, labels of the figures.

Decimal comma, U+202F (narrow no-break space) between thousands and before ``%``, U+00A0 between
a number and its unit, U+2212 as minus sign.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from eurosat_lib.errors import UserError

THIN = "\u202f"
FIXED = "\u00a0"
MINUS = "\u2212"


def nombre(value: Any, digits: int | None = None) -> str:
    """Write a number: ``16200`` → ``16 200``, ``2.3449`` with 3 digits → ``2,345``.

    Args:
        value: int or float, finite.
        digits: decimals; ``None`` keeps an integer whole and six significant digits of a float.

    Raises:
        UserError: the value is missing, not a number or not finite.
    """
    number = _finite(value)
    if digits is not None:
        text = f"{number:,.{digits}f}"
    elif isinstance(value, numbers.Integral):
        text = f"{int(value):,}"
    else:
        text = f"{Decimal(f'{number:.6g}').normalize():,f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")  # no "−0,0"
    return text.translate({ord(","): THIN, ord("."): ",", ord("-"): MINUS})


def pct(value: Any, digits: int = 1) -> str:
    """Write a fraction as a percentage: ``0.8123`` → ``81,2 %``."""
    return f"{nombre(100 * _finite(value), digits)}{THIN}%"


def sci(value: Any, digits: int = 1) -> str:
    r"""Write a number as a formula in powers of ten: ``3e-4`` → ``$3 \times 10^{-4}$``.

    Args:
        value: int or float, finite.
        digits: decimals of the mantissa, at most (``2.50`` is written ``2,5``).
    """
    mantissa, exponent = split_exponent(value, digits)
    mantissa = mantissa.replace(MINUS, "-").replace(",", "{,}")
    if mantissa == "0":
        return "0"
    if exponent == 0:
        return f"${mantissa}$"
    return f"$10^{{{exponent}}}$" if mantissa == "1" else rf"${mantissa} \times 10^{{{exponent}}}$"


def split_exponent(value: Any, digits: int = 1) -> tuple[str, int]:
    """Return the French mantissa, without closing zeros, and the power of ten of a number."""
    number = _finite(value)
    if number == 0:
        return "0", 0
    mantissa, exponent = f"{number:.{digits}e}".split("e")
    return nombre(float(mantissa)), int(exponent)


def duree(seconds: Any) -> str:
    """Write a duration given in seconds: ``200`` → ``3 min 20 s``, ``3900`` → ``1 h 05 min``."""
    seconds = _finite(seconds)
    if seconds < 0:
        raise UserError(f"a duration cannot be negative: {seconds}")
    if seconds < 9.95:
        return f"{nombre(seconds, 1)}{FIXED}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{FIXED}s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}{FIXED}min" + (f"{FIXED}{rest:02d}{FIXED}s" if rest else "")
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours}{FIXED}h" + (f"{FIXED}{minutes:02d}{FIXED}min" if minutes else "")


def signe(value: Any, digits: int = 1, unite: str = "points") -> str:
    """Write a difference with its sign.

    Args:
        value: a difference of two fractions if ``unite`` is ``points`` (``0.012`` →
            ``+1,2 point``), else a plain difference.
        digits: decimals.
        unite: ``points`` (of percentage), another unit, or an empty string.
    """
    number = _finite(value) * (100 if unite == "points" else 1)
    text = nombre(number, digits)
    if text.strip("0,") and number > 0:
        text = "+" + text
    if unite == "points" and abs(round(number, digits)) < 2:
        unite = "point"
    return f"{text}{FIXED}{unite}" if unite else text


def intervalle(bounds: Sequence[Any], digits: int = 1, unite: str = "%") -> str:
    """Write an interval: ``(0.791, 0.83)`` → ``[79,1 % ; 83,0 %]``; plain numbers without unit."""
    if isinstance(bounds, str) or len(bounds) != 2:
        raise UserError(f"an interval has two bounds, got {bounds!r}")
    low, high = (pct(b, digits) if unite == "%" else nombre(b, digits) for b in bounds)
    suffix = f"{FIXED}{unite}" if unite not in ("%", "") else ""
    return f"[{low}{THIN};{FIXED}{high}]{suffix}"


def liste(items: Iterable[Any], digits: int | None = None, mot: str = "et") -> str:
    """Enumerate: ``a, b et c``; with semicolons where an item holds a comma (``0,5 ; 1 et 2``)."""
    if isinstance(items, str):
        raise UserError(f"a list is wanted, got the text {items!r}")
    words = [nombre(i, digits) if isinstance(i, numbers.Real) else str(i) for i in items]
    if not words:
        raise UserError("the list is empty")
    comma = f"{THIN}; " if any("," in word for word in words) else ", "
    start = comma.join(words[:-1])
    return f"{start} {mot} {words[-1]}" if start else words[-1]


def code(value: Any) -> str:
    """Write a value as inline code, as Python prints it: ``(3, 64, 64)``."""
    fence = "``" if "`" in str(value) else "`"
    space = " " if fence == "``" else ""
    return f"{fence}{space}{value}{space}{fence}"


FILTERS = {f.__name__: f for f in (nombre, pct, sci, duree, signe, intervalle, liste, code)}


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise UserError(f"a number is wanted, got {value!r}")
    if not math.isfinite(value):
        raise UserError(f"a finite number is wanted, got {float(value)}")
    return float(value)


SPLITS = {"train": "entraînement", "validation": "validation", "test": "test"}
FACTORS = {
    "lr": "pas d’apprentissage (LR)",
    "weight_decay": "weight decay",
    "dilation_stage3": "dilatation de l’étage 3",
    "blocks_per_stage": "blocs par étage",
}
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
MEASURES = {
    "speed": "vitesse (époque 1)",
    "score": "score",
    "gap": "écart train − val",
    "spread": "étendue",
}
FAULTS = {  # of a sweep of the learning rate
    "short": "trop peu de pas avant la divergence",
    "flat": "la perte ne descend pas assez",
    "start": "une lecture tombe au début du balayage",
    "end": "la perte descend encore au dernier pas",
}
CORRUPTION_NAMES = {"blur": "flou", "noise": "bruit", "jpeg": "JPEG", "haze": "brume"}
STRENGTHS = ("faible", "moyen", "fort")  # of a corruption
ROLES = {  # of a tested checkpoint
    "final": "entraînement final",
    "given": "checkpoint donné",
    "finalist": "finaliste",
    "seed": "autre graine",
    "spatial": "découpage spatial",
    "recipe": "recette",
}
ELEMENTS = {  # of the environment; other names stay as they are
    "python": "Python",
    "torch": "PyTorch",
    "cuda": "CUDA",
    "numpy": "NumPy",
    "system": "Système",
    "cores": "Cœurs",
}
PARTS = ("convolution", "BatchNorm", "ReLU")  # of a block, in order
SUPERSCRIPT = str.maketrans("0123456789\u2212", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def power(value: float, digits: int = 2) -> str:
    """Write a small or large number in powers of ten: ``5e-4`` → ``5 × 10⁻⁴``.

    Args:
        value: finite.
        digits: decimals of the mantissa, at most.
    """
    mantissa, exponent = split_exponent(value, digits)
    if exponent == 0 or mantissa == "0":
        return mantissa
    ten = "10" + str(exponent).replace("-", MINUS).translate(SUPERSCRIPT)
    return ten if mantissa == "1" else f"{mantissa}{THIN}×{THIN}{ten}"


def factor_value(factor: str, value: float) -> str:
    """Write the value of a hyperparameter: a rate in powers of ten, a count as it is."""
    return power(value) if factor in ("lr", "weight_decay") else str(int(value))


def points(fraction: float) -> str:
    """Write a difference in points of accuracy, with its sign and without the unit."""
    return signe(100 * fraction, unite="")


def interval(mean: float, bounds: tuple[float, float] | None) -> str:
    """Write a difference in points and its interval: ``+1,2 [−0,5 ; +2,9]``."""
    if bounds is None:
        return f"{points(mean)} (sans intervalle)"
    low, high = map(points, bounds)
    return f"{points(mean)} [{low}{THIN};{FIXED}{high}]"


def in_points(bounds: Sequence[float], digits: int = 2) -> str:
    """Write the interval of a difference of two fractions: ``[−0,52 ; 2,94] points``."""
    return intervalle([100 * bound for bound in bounds], digits, "points")


def p_value(p: float) -> str:
    """Write the p-value of a test: ``p = 0,219``, or that it is below a thousandth."""
    return "p < 0,001" if p < 0.001 else f"p = {nombre(p, 3)}"


def yes(value: bool) -> str:
    """Write the outcome of a check."""
    return "oui" if value else "non"


def plural(count: int, word: str) -> str:
    """Write a count and a word, with an s from two on: ``1 époque``, ``3 époques``."""
    return f"{nombre(count)}{FIXED}{word}" + ("s" if abs(count) >= 2 else "")


def capital(text: str) -> str:
    """Write the first letter large and leave the others alone."""
    return text[0].upper() + text[1:]


def typeset(text: str) -> str:
    """Put the no-break spaces of French before ``: ; ! ?`` and within « » of a plain text."""
    for mark, space in ((":", FIXED), (";", THIN), ("!", THIN), ("?", THIN), ("»", FIXED)):
        text = text.replace(f" {mark}", f"{space}{mark}")
    return text.replace("« ", f"«{FIXED}")


def shape(values: tuple[int, ...]) -> str:
    """Write a shape as Python does: ``(3, 64, 64)``."""
    return "(" + ", ".join(map(str, values)) + ("," if len(values) == 1 else "") + ")"


def vector(values: Iterable[float], digits: int = 3) -> str:
    """Write one number per channel: ``(0,344 ; 0,380 ; 0,408)``."""
    return "(" + f"{THIN};{FIXED}".join(nombre(value, digits) for value in values) + ")"


def taille(octets: int) -> str:
    """Write the size of a file, given in bytes: ``2500`` → ``2,5 ko``."""
    unit, value = ("ko", octets / 1e3) if octets < 1e6 else ("Mo", octets / 1e6)
    return f"{nombre(value, 1)}{FIXED}{unit}"


def layer_place(name: str) -> tuple[str, str]:
    """Split a module's name into its place and its part of the block.

    ``stages.0.3`` → ``("étage 1, bloc 2", "convolution")``; a name may go on with ``.weight``.
    """
    pieces = name.split(".")
    if pieces[0] != "stages":
        return ("tête", {"pool": "moyenne globale", "head": "linéaire"}.get(pieces[0], name))
    stage, slot = int(pieces[1]) + 1, int(pieces[2])
    return f"étage {stage}, bloc {slot // 3 + 1}", PARTS[slot % 3]
