"""Scores, intervals and tests of the evaluation, against values by hand or by a library."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import binom
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import (
    Predictions,
    class_scores,
    discordant,
    intervals,
    mcnemar,
    newcombe,
    paired_difference,
    scores,
    wilson,
)
from eurosat_lib.evaluation.calibration import (
    BINS,
    calibrated_ece,
    ece,
    fit_temperature,
    nll,
    reliability,
)
from eurosat_lib.evaluation.confusions import families
from eurosat_lib.evaluation.errors import analyse, doubtful_labels
from eurosat_lib.evaluation.intervals import mean_interval
from eurosat_lib.evaluation.scores import ClassScore, macro_f1, macro_f1_interval
from eurosat_lib.evaluation.selection import select


def test_wilson_interval_of_the_reference_figure():
    """5241 of 5400: [96.57, 97.47] %."""
    low, high = wilson(5241, 5400, 0.95)
    assert (round(100 * low, 2), round(100 * high, 2)) == (96.57, 97.47)
    assert wilson(0, 0, 0.95) == (0, 1)


def test_newcombe_reproduces_the_published_example():
    """Newcombe 1998, table II, 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    low, high = newcombe(56, 70, 48, 80, 0.95)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_paired_difference_by_hand():
    """10 and 4 discordant of 98: p = 11/100 and 5/100, d = 0.06, sd = sqrt(0.1564 / 100)."""
    low, high = paired_difference(10, 4, 98, 0.95)
    assert (low, high) == pytest.approx((0.06 - 0.077511, 0.06 + 0.077511), abs=1e-5)
    assert paired_difference(4, 10, 98, 0.95) == pytest.approx((-high, -low))


def test_mcnemar_by_hand():
    """1 and 5 of 6: 2 (1 + 6) / 64; 0 and 6: 2 / 64."""
    assert mcnemar(1, 5) == pytest.approx(14 / 64)
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1


def test_mean_interval_by_hand():
    """1, 2, 3: t(0.975, 2) = 4.302653, standard error 1 / sqrt(3)."""
    assert mean_interval(np.array([1.0, 2, 3]), 0.95) == pytest.approx(
        (-0.48414, 4.48414), abs=1e-5
    )


def test_scores_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 1])
    scores = class_scores(labels, predicted, ("a", "b", "c"))
    assert scores["confusion"] == ((2, 1, 0), (0, 2, 0), (0, 1, 0))
    a, b, c = scores["per_class"]
    assert (a.precision, a.recall, a.support) == (1.0, pytest.approx(2 / 3), 3)
    assert (b.precision, b.recall, b.predicted, b.hits) == (0.5, 1.0, 4, 2)
    assert (c.f1, c.support, c.predicted) == (0.0, 1, 0)
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 0) / 3)
    low, high = scores["macro_f1_interval"]
    assert low < scores["macro_f1"] < high


def test_interval_of_f1_is_that_of_its_share_of_hits():
    score = ClassScore(
        name="a", precision=0.9, recall=0.75, f1=9 / 11, support=12, predicted=10, hits=9
    )
    low, high = wilson(9, 13, 0.95)  # 13 images are of the class or said to be
    bounds = score.interval("f1", 0.95)
    assert bounds == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    assert bounds[0] < score.f1 < bounds[1]
    assert score.interval("recall", 0.95) == wilson(9, 12, 0.95)
    assert score.interval("precision", 0.95) == wilson(9, 10, 0.95)


def test_macro_f1_is_the_librarys():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    matrix = np.zeros((4, 4), int)
    np.add.at(matrix, (labels, predicted), 1)
    assert macro_f1(matrix) == pytest.approx(f1_score(labels, predicted, average="macro"))


# Images of three classes by class and answer: 86 % right, unequal classes.
LAW = np.array([[0.45, 0.03, 0.02], [0.04, 0.28, 0.01], [0.03, 0.01, 0.13]])
PAIRED = np.array([0.85, 0.06, 0.04, 0.05])  # both right, first only, second only, none
RUNS, IMAGES = 2500, 600


def covered(bounds, truth):
    bounds = np.array(bounds)
    return float(((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean())


@pytest.fixture(scope="module", autouse=True)
def _remembered():
    """Compute each Wilson interval once: the simulations ask for the same again and again."""
    with pytest.MonkeyPatch.context() as patch:
        known = cache(wilson)
        for module in (intervals, scores):
            patch.setattr(module, "wilson", known)
        yield


@pytest.fixture(scope="module")
def tables():
    draws = np.random.default_rng(1).multinomial(IMAGES, LAW.ravel(), RUNS)
    return draws.reshape(RUNS, 3, 3)


def truth_of(score):
    hits, rows, columns = LAW[2, 2], LAW[2].sum(), LAW[:, 2].sum()
    return {"precision": hits / columns, "recall": hits / rows, "f1": 2 * hits / (rows + columns)}[
        score
    ]


@pytest.mark.parametrize("score", ["precision", "recall", "f1"])
def test_class_intervals_cover_what_they_say(tables, score):
    bounds = []
    for table in tables:
        counts = {"support": table[2].sum(), "predicted": table[:, 2].sum(), "hits": table[2, 2]}
        values = dict.fromkeys(("precision", "recall", "f1"), 0.0)
        counts = {name: int(count) for name, count in counts.items()}
        bounds.append(ClassScore(name="c", **values, **counts).interval(score, 0.95))
    assert covered(bounds, truth_of(score)) == pytest.approx(0.95, abs=0.015)


def test_macro_f1_interval_covers_what_it_says(tables):
    bounds = [macro_f1_interval(table, 0.95, resamples=400) for table in tables]
    assert covered(bounds, macro_f1(LAW * 1e6)) == pytest.approx(0.95, abs=0.015)


def test_intervals_of_shares_and_differences_cover_what_they_say():
    rng = np.random.default_rng(2)
    right = rng.binomial(IMAGES, [0.9, 0.86], (RUNS, 2)).tolist()
    shares = [intervals.wilson(a, IMAGES, 0.95) for a, _ in right]
    gaps = [newcombe(a, IMAGES, b, IMAGES, 0.95) for a, b in right]
    pairs = rng.multinomial(IMAGES, PAIRED, RUNS)
    changes = [paired_difference(b, c, IMAGES, 0.95) for _, b, c, _ in pairs.tolist()]
    assert covered(shares, 0.9) == pytest.approx(0.95, abs=0.015)
    assert covered(gaps, 0.04) == pytest.approx(0.95, abs=0.015)
    assert covered(changes, 0.02) == pytest.approx(0.95, abs=0.015)


def test_mean_interval_covers_what_it_says():
    values = np.random.default_rng(3).exponential(size=(RUNS, 300))
    assert covered([mean_interval(v, 0.95) for v in values], 1) == pytest.approx(0.95, abs=0.015)


def test_mcnemar_rejects_no_more_than_it_says():
    share = binom.pmf(range(41), 40, 0.5)
    rejected = np.array([mcnemar(b, 40 - b) < 0.05 for b in range(41)])
    assert 0.02 < share @ rejected <= 0.05


def test_calibration_by_hand():
    """Confidences 0.9, 0.9, 0.6, 0.6; right, right, right, wrong: (2 x 0.1 + 2 x 0.1) / 4."""
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels = np.array([0, 0, 0, 1])
    found = reliability(shares, labels, 0.95)
    assert found.ece == pytest.approx(0.1)
    assert found.nll == pytest.approx(log_loss(labels, shares))
    assert found.brier == pytest.approx(2 * (0.01 + 0.01 + 0.16 + 0.36) / 4)
    assert found.excess == pytest.approx(0.0)
    filled = {round(b.high * BINS): (b.n, b.correct) for b in found.bins if b.n}
    assert filled == {9: (2, 1), 14: (2, 2)}
    assert sum(b.n for b in found.bins) == 4


def test_nll_of_logits_is_torchs():
    logits = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32) * 9
    labels = np.arange(20) % 5
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double() / 3, torch.from_numpy(labels)
    )
    assert nll(logits, labels, 3.0) == pytest.approx(float(expected))


def drawn(n, sharpness, seed=0):
    """Logits whose softmax, at temperature ``sharpness``, is the law of the labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 4)) * 2
    labels = (softmax(logits, axis=1).cumsum(1) < rng.random((n, 1))).sum(1).clip(0, 3)
    return sharpness * logits, labels


def test_temperature_is_found_again():
    assert fit_temperature(*drawn(20000, 2.5)) == pytest.approx(2.5, rel=0.04)


def test_overconfidence_is_seen_and_mended():
    logits, labels = drawn(5000, 2.5)
    proud = reliability(softmax(logits, axis=1), labels, 0.95)
    honest = reliability(softmax(logits / 2.5, axis=1), labels, 0.95)
    assert proud.miscalibrated and proud.excess_interval[0] > 0
    assert not honest.miscalibrated and honest.excess_interval[0] < 0 < honest.excess_interval[1]


def test_a_calibrated_network_stays_below_its_bound_as_often_as_said():
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.5, 1, 1000)
    right = rng.random((1500, 1000)) < confidence
    bound = calibrated_ece(confidence, 0.95)
    assert (ece(confidence, right) <= bound).mean() == pytest.approx(0.95, abs=0.02)


def test_risk_and_coverage_by_hand():
    """Right, wrong, right by falling confidence: risks 0, 1/2, 1/3."""
    found = select(np.array([0.6, 0.9, 0.8]), np.array([True, True, False]))
    assert found.coverage == pytest.approx((1 / 3, 2 / 3, 1))
    assert found.risk == pytest.approx((0, 1 / 2, 1 / 3))
    assert found.ideal == pytest.approx((0, 0, 1 / 3))
    assert found.aurc == pytest.approx(5 / 18) and found.aurc_ideal == pytest.approx(1 / 9)
    assert found.auroc == 0.5
    assert (found.kept, found.kept_errors) == (2, 1)


def test_equal_confidences_do_not_depend_on_the_order():
    confidence, right = np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, False, True, True])
    one, two = select(confidence, right), select(confidence[::-1], right[::-1])
    assert one == two and one.risk[0] == pytest.approx(1 / 3)
    assert one.auroc == pytest.approx(roc_auc_score(right, confidence))
    assert select(confidence, np.ones(4, bool)).auroc is None


def test_look_alikes_by_hand():
    names = ("Forest", "Highway", "River", "SeaLake")
    matrix = np.array([[9, 0, 0, 1], [0, 8, 6, 0], [3, 0, 9, 0], [0, 0, 0, 9]])
    found = families(matrix, names, 0.95)
    assert [(f.name, f.errors) for f in found.families] == [("rubans", 6), ("surfaces sombres", 1)]
    assert found.within == 7 and found.errors == 10
    assert found.chance == pytest.approx((6 + 3 + 1 + 0) / 3 / 10)
    assert found.interval == wilson(7, 10, 0.95)


FLIPPED = tuple(range(3, 63, 4))  # fifteen images of the last class, labelled as the first


def predictions(n=400, flipped=FLIPPED):
    """A network that is nearly sure and right; a few labels are wrong."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 4
    logits = rng.normal(size=(n, 4)).astype(np.float32)
    logits[np.arange(n), labels] += 6
    labels[list(flipped)] = (labels[list(flipped)] + 1) % 4
    names = np.array([f"{i}.jpg" for i in range(n)])
    return Predictions(names, labels, logits, names, labels, logits)


def test_wrong_labels_are_suspected():
    found = predictions()
    suspects = set(doubtful_labels(found.labels, found.probabilities).tolist())
    assert suspects <= set(FLIPPED) and len(suspects) > len(FLIPPED) / 2


def test_doubtful_labels_with_a_class_missing():
    found = predictions()
    kept = np.flatnonzero(found.labels != 2)
    suspects = doubtful_labels(found.labels[kept], found.probabilities[kept])
    assert set(kept[suspects].tolist()) <= set(FLIPPED) and len(suspects) > len(FLIPPED) / 2


def test_analysis_of_kept_predictions(tmp_path):
    found = predictions()
    found.save(tmp_path)
    result = analyse(Predictions.load(tmp_path), ("a", "b", "c", "d"), 0.95, "f" * 64)
    assert {case.name for case in result.worst if case.doubtful} <= {f"{i}.jpg" for i in FLIPPED}
    assert [case.confidence for case in result.worst] == sorted(
        (case.confidence for case in result.worst), reverse=True
    )
    assert result.doubtful[0] == result.facts()["doubtful"] == len(result.doubtful_names) > 7
    assert result.before.nll == pytest.approx(nll(found.logits, found.labels))
    assert result.gain_interval[0] <= result.before.nll - result.after.nll


def test_rows_of_the_csv_file():
    row = next(iter(predictions(flipped=(0,)).rows(("a", "b", "c", "d"))))
    assert (row["name"], row["truth"], row["prediction"], row["correct"]) == ("0.jpg", "b", "a", 0)
    assert row["confidence"] == row["p_a"] and row["probability_of_truth"] == row["p_b"]
    assert sum(row[f"p_{c}"] for c in "abcd") == pytest.approx(1, abs=1e-5)


def test_missing_predictions_are_named(tmp_path):
    with pytest.raises(UserError, match=r"predictions\.npz: missing or damaged"):
        Predictions.load(tmp_path)


def test_discordant_images():
    one, two = predictions(8, flipped=()), predictions(8, flipped=())
    two.logits[0] = two.logits[1]  # now wrong
    assert discordant(one, two) == (1, 0) and discordant(two, one) == (0, 1)
