import numpy as np
import pytest

from eurosat_lib.evaluation import class_scores, newcombe, wilson


def test_wilson_interval_of_the_reference_figure():
    """5241 of 5400: [96.57, 97.47] %."""
    low, high = wilson(5241, 5400, 0.95)
    assert (round(100 * low, 2), round(100 * high, 2)) == (96.57, 97.47)


def test_newcombe_reproduces_the_published_example():
    """Newcombe 1998, table II, 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    low, high = newcombe(56, 70, 48, 80, 0.95)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_scores_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 1])
    scores = class_scores(labels, predicted, ("a", "b", "c"))
    assert scores["confusion"] == ((2, 1, 0), (0, 2, 0), (0, 1, 0))
    a, b, c = scores["per_class"]
    assert (a.precision, a.recall, a.support) == (1.0, pytest.approx(2 / 3), 3)
    assert (b.precision, b.recall) == (0.5, 1.0)
    assert (c.f1, c.support) == (0.0, 1)
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 0) / 3)
