"""Turn a DataFrame or a Styler into a plain, accessible HTML table with French numbers."""

from __future__ import annotations

import hashlib
import html
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import MINUS, THIN, nombre, pct, split_exponent
from eurosat_lib.report.table_layout import lay_out

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler


def to_html(
    data: DataFrame | Styler,
    caption: str,
    digits: int | Mapping[str, int] = 3,
    percent: Iterable[str] = (),
    scientific: Iterable[str] = (),
    missing: str | None = None,
    hide_index: bool | None = None,
    note: str | None = None,
) -> str:
    """Write a table; caption and note are HTML, `eurosat_lib.report.table` explains the rest.

    Raises:
        UserError: the table is empty, a value is missing, a column named does not exist.
    """
    from pandas import RangeIndex
    from pandas.io.formats.style import Styler

    given = isinstance(data, Styler)
    styler = data if given else data.style
    frame = styler.data
    if frame.empty:
        raise UserError("the table is empty")
    if missing is None:
        _refuse_missing(frame)
    if not given:
        styler = styler.format(_writers(frame, digits, set(percent), set(scientific), missing))
    if hide_index is None:
        hide_index = isinstance(frame.index, RangeIndex) and frame.index.name is None
    if hide_index:
        styler = styler.hide(axis="index")
    styler.cell_ids = False  # only styled cells get one
    text = styler.set_uuid("0").to_html()
    # A name made of the content: the page is the same from one run to the next.
    name = hashlib.sha256(text.encode()).hexdigest()[:8]
    return lay_out(text.replace("T_0", f"T_{name}"), caption, note, decimal_point=given)


def _writers(
    frame: DataFrame,
    digits: int | Mapping[str, int],
    percent: set[str],
    scientific: set[str],
    missing: str | None,
) -> dict[Any, Callable[[Any], str]]:
    """Return how to write the values of each column."""
    columns = [str(column) for column in frame.columns]
    chosen = digits if isinstance(digits, Mapping) else {}
    for name in sorted((percent | scientific | set(chosen)) - set(columns)):
        raise UserError(f"the table has no column {name!r}{did_you_mean(name, columns)}")
    writers = {}
    for column, name in zip(frame.columns, columns, strict=True):
        write, default = nombre, 3 if chosen else digits
        if name in percent:
            write, default = pct, 1
        elif name in scientific or (name not in chosen and _too_small(frame[column], default)):
            write, default = _powers, 1
        writers[column] = _cell(write, chosen.get(name, default), missing)
    return writers


def _cell(write: Callable[..., str], digits: Any, missing: str | None) -> Callable[[Any], str]:
    def text(value: Any) -> str:
        """Write one cell."""
        if missing is not None and _is_missing(value):
            return missing
        if _is_boolean(value):
            return "oui" if value else "non"
        if not isinstance(value, numbers.Real):
            return html.escape(str(value), quote=False)
        if write is nombre and isinstance(value, numbers.Integral):
            return nombre(value)
        return write(value, digits)

    return text


def _powers(value: float, digits: int) -> str:
    mantissa, exponent = split_exponent(value, digits)
    if exponent == 0 or mantissa == "0":
        return mantissa
    power = f"10<sup>{str(exponent).replace('-', MINUS)}</sup>"
    return power if mantissa == "1" else f"{mantissa}{THIN}×{THIN}{power}"


def _too_small(values: Iterable[Any], digits: int) -> bool:
    """Tell whether so few decimals would falsify a column (a learning rate of 0.0005)."""
    sizes = [abs(v) for v in values if isinstance(v, numbers.Real) and not _is_missing(v) and v]
    spoilt = any(abs(round(size, digits) - size) > 0.1 * size for size in sizes)
    return spoilt and max(sizes) < 0.1


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def _is_missing(value: Any) -> bool:
    if value is None or str(value) in ("nan", "NaN", "NaT", "<NA>"):
        return True
    return isinstance(value, numbers.Real) and not math.isfinite(value)


def _refuse_missing(frame: DataFrame) -> None:
    for column in frame.columns:
        for row, value in zip(frame.index, frame[column], strict=True):
            if _is_missing(value):
                where = f"row {row!r}, column {column!r}"
                raise UserError(f"{where} has no value; pass missing='—' if that is meant")
