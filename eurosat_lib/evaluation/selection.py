"""Risk and coverage: what the network gets right when it may leave its least sure images out."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from eurosat_lib.evaluation.intervals import wilson
from eurosat_lib.record import Record

POINTS = 101  # of the curve
KEPT = 0.8  # coverage whose risk is quoted


class Selection(Record):
    """Risk (share of errors among the images answered) against coverage (share answered)."""

    coverage: tuple[float, ...]  # rising, the last is 1
    risk: tuple[float, ...]
    ideal: tuple[float, ...]  # all errors left out first
    aurc: float  # mean risk over all coverages (Geifman & El-Yaniv 2017, arXiv:1705.08500)
    aurc_ideal: float
    error_rate: float  # the AURC of leaving images out by chance
    auroc: float | None  # of confidence, to tell right from wrong; None without errors
    kept: int  # images answered at the coverage quoted
    kept_errors: int

    def kept_interval(self, level: float) -> tuple[float, float]:
        """Wilson interval of the risk at the coverage quoted."""
        return wilson(self.kept_errors, self.kept, level)


def select(confidence: np.ndarray, correct: np.ndarray) -> Selection:
    """Compute the curve of risk against coverage.

    Args:
        confidence: float (N,); at equal confidence, images count as their mean.
        correct: bool (N,).
    """
    n = len(correct)
    errors = _mean_of_ties(confidence, ~correct)
    answered = np.arange(1, n + 1)
    risk = np.cumsum(errors) / answered
    ideal = np.cumsum(np.sort(~correct)) / answered
    shown = np.unique(np.linspace(1, n, min(POINTS, n)).round().astype(int)) - 1
    kept = max(1, round(KEPT * n))
    mixed = 0 < correct.sum() < n
    return Selection(
        coverage=tuple((answered[shown] / n).tolist()),
        risk=tuple(risk[shown].tolist()),
        ideal=tuple(ideal[shown].tolist()),
        aurc=float(risk.mean()),
        aurc_ideal=float(ideal.mean()),
        error_rate=float(1 - correct.mean()),
        auroc=float(roc_auc_score(correct, confidence)) if mixed else None,
        kept=kept,
        kept_errors=round(float(errors[:kept].sum())),
    )


def _mean_of_ties(confidence: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Order errors by falling confidence; images of one confidence share theirs equally."""
    _, group = np.unique(-confidence, return_inverse=True)
    share = np.bincount(group, wrong) / np.bincount(group)
    return share[np.sort(group)]
