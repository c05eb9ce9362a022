"""Build a DataFrame that knows how the report should write it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd


def frame(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], ranked: bool = False, **options: Any
) -> pd.DataFrame:
    """Build a table.

    Args:
        columns: French headings.
        rows: values, in the order of the columns; columns of whole numbers stay whole.
        ranked: number the rows from 1, in an index named ``Rang``.
        options: keyword arguments of ``report.table`` that suit these columns, kept in
            ``attrs``, where ``report.table`` finds them.
    """
    table = pd.DataFrame(list(rows), columns=list(columns))
    if ranked:
        table.index = pd.RangeIndex(1, len(table) + 1, name="Rang")
    table.attrs = options
    return table
