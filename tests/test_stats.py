"""Intervals and tests against SciPy's and worked values; scores against scikit-learn's."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import f1_score

from eurosat_lib import stats


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (stats.wilson(5241, 5400), (0.9657, 0.9747)),  # the reference project's 97.06 %
        (stats.wilson(0, 0), (0.0, 1.0)),
        (stats.newcombe(56, 70, 48, 80), (0.0524, 0.3339)),  # Newcombe 1998, table II, a
        (stats.newcombe(9, 10, 3, 10), (0.1705, 0.8090)),  # b
        (stats.newcombe(0, 10, 0, 20), (-0.1611, 0.2775)),  # f
        (stats.paired_difference(30, 14, 5400), (0.00053, 0.00539)),
        (stats.paired_difference(14, 30, 5400), (-0.00539, -0.00053)),
        (stats.mean_interval([1, 2, 3], 0.99), (-3.73011, 7.73011)),  # t of two: 9.925
        (stats.paired_difference(30, 14, 5400, 0.99), (-0.00027, 0.00619)),
        (stats.newcombe(56, 70, 48, 80, 0.99), (0.00537, 0.37181)),
    ],
)
def test_intervals_and_tests_of_proportions(found, expected):
    assert found == pytest.approx(expected, abs=6e-5)


def test_means_have_students_interval_from_three_seeds_on():
    values = [0.96, 0.97, 0.965, 0.955]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    found = stats.summarise_seeds(values)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    one = stats.summarise_seeds([0.98])
    assert one == {"mean": 0.98, "sd": None, "low": None, "high": None}
    two = stats.summarise_seeds([0.96, 0.98])
    assert two["sd"] == pytest.approx(0.02 / 2**0.5) and (two["low"], two["high"]) == (None, None)


def test_class_scores_equal_scikit_learn_and_counts():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    found = stats.class_scores(labels, predicted, ("a", "b", "c"))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    low, high = stats.wilson(2, 3)  # hits among the images of the class or said to be of it
    expected = {"name": "a", "support": 3, "predicted": 2, "hits": 2}
    expected |= {"precision": 1, "precision_interval": stats.wilson(2, 2)}
    expected |= {"recall": 2 / 3, "recall_interval": (low, high)}
    expected |= {"f1": 0.8, "f1_interval": (2 * low / (1 + low), 2 * high / (1 + high))}
    assert found["per_class"][0] == expected
    present = stats.class_scores(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), ("a", "b", "c"))
    assert present["macro_f1"] == 1 and present["macro_f1_interval"][1] == 1


def test_macro_f1_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    shares = np.array([[0.3, 0.05, 0.0], [0.04, 0.26, 0.03], [0.0, 0.02, 0.3]])
    truth = (2 * shares.diagonal() / (shares.sum(0) + shares.sum(1))).mean()
    drawn = rng.multinomial(400, shares.ravel(), 1000).reshape(-1, 3, 3)
    bounds = np.array([stats.macro_f1_interval(matrix, 300) for matrix in drawn])
    covered = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
    assert 0.9 <= covered.mean() <= 0.975  # 0.95, and not 0.99
