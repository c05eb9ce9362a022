"""English numbers and Markdown tables for the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from eurosat_lib.training.records import compact

DASH = "–"
MINUS = "\u2212"
NUMERIC = re.compile(rf"^[+{MINUS}<]? ?\d|^{DASH}$|^$")
Bounds = tuple[float, float]


def number(value: float, digits: int | None = None) -> str:
    """Write a number: ``16200`` -> ``16,200``, ``0.12345`` with 3 digits -> ``0.123``."""
    text = f"{value:,}" if digits is None else f"{value:,.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", MINUS)


def percent(share: float, digits: int = 2) -> str:
    """Write a share: ``0.97056`` -> ``97.06 %``."""
    return f"{number(100 * share, digits)} %"


def interval(bounds: Sequence[float], digits: int = 2, scale: float = 100) -> str:
    """Write the bounds of an interval, in percent or points: ``[96.57, 97.47]``."""
    return "[" + ", ".join(number(scale * bound, digits) for bound in bounds) + "]"


def share_of(count: int, total: int, bounds: Sequence[float]) -> str:
    """Write a counted share with its interval: ``97.06 % [96.57, 97.47]``."""
    return f"{percent(count / total)} {interval(bounds)}"


def points(difference: float, bounds: Sequence[float] | None = None, digits: int = 2) -> str:
    """Write a difference of shares in points, with its sign: ``+0.53 [0.10, 0.96]``."""
    text = number(100 * difference, digits)
    text = text if text.startswith(MINUS) or difference == 0 else f"+{text}"
    return f"{text} {interval(bounds, digits)}" if bounds else text


def rate(value: float | None) -> str:
    """Write a learning rate or weight decay: ``5e-4``; a dash for none."""
    return DASH if value is None else compact(float(f"{value:.3g}"))


def p_value(p: float) -> str:
    """Write a p-value: ``p = 0.031``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a Markdown table; columns that hold numbers alone are aligned to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(NUMERIC.match(row[i]) for row in cells) for i in range(len(columns))]
    ruler = ["---:" if flag and i else "---" for i, flag in enumerate(right)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ruler, *cells))


def _cell(value: object) -> str:
    text = number(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text.replace("|", "\\|")
