"""What a trial is measured by: pure functions of its epochs, all fractions in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

from eurosat_lib.training.records import Fit

TAIL = 2  # last epochs, as for the score


def speed(fit: Fit) -> float:
    """Validation accuracy after the first epoch."""
    return fit.epochs[0].val_accuracy


def score(fit: Fit) -> float:
    """Mean validation accuracy of the last two epochs."""
    return fit.score


def gap(fit: Fit) -> float:
    """Training minus validation accuracy, mean of the last two epochs.

    Training accuracy is that of augmented images while the weights move: a lower bound.
    """
    tail = fit.epochs[-TAIL:]
    return sum(record.train_accuracy - record.val_accuracy for record in tail) / len(tail)


def spread(fit: Fit) -> float:
    """Highest minus lowest validation accuracy of the last two epochs."""
    tail = [record.val_accuracy for record in fit.epochs[-TAIL:]]
    return max(tail) - min(tail)


MEASURES: dict[str, Callable[[Fit], float]] = {
    "speed": speed,
    "score": score,
    "gap": gap,
    "spread": spread,
}
