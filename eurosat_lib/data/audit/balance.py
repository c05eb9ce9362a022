"""Whether the classes have the same shares in the three splits: Pearson's chi-square."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from eurosat_lib.record import Record


class Balance(Record):
    """A chi-square test of independence between split and class."""

    statistic: float
    degrees: int  # of freedom
    p_value: float  # of a larger statistic, were the splits drawn without regard to the class
    cramers_v: float  # size of the effect, 0 (same shares) to 1
    smallest_expected: float  # count of a cell; the approximation wants 5


def balance(counts: Sequence[Sequence[int]]) -> Balance | None:
    """Test whether the shares of the classes differ between splits.

    Args:
        counts: images per split (rows) and class (columns); classes without images are left out.

    Returns:
        The test, or ``None`` where there are fewer than two classes to compare.
    """
    table = np.array(counts)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2:
        return None
    test = chi2_contingency(table, correction=False)
    return Balance(
        statistic=float(test.statistic),
        degrees=int(test.dof),
        p_value=float(test.pvalue),
        cramers_v=float(association(table, method="cramer")),
        smallest_expected=float(test.expected_freq.min()),
    )
