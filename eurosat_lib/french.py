"""French numbers and words: the filters of the answers, the cells of the tables.

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
