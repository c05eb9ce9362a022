"""What the kept predictions say, and what is compared, against values by hand or a library."""

import handmade as made
import numpy as np
import pytest
from handmade import TRAINING
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss, roc_auc_score

from eurosat_lib import calibration
from eurosat_lib.comparisons import (
    FinalistsOnTest,
    RecipeRun,
    Recipes,
    Seeds,
    SplitComparison,
    beside_protocol,
    disagreements,
)
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Predictions, nll
from eurosat_lib.fits import SpatialTraining
from eurosat_lib.stats import class_scores, mcnemar, newcombe, paired_difference, wilson


def test_calibration_by_hand():
    """Confidences 0.9, 0.9, 0.6, 0.6; right, right, right, wrong: (2 x 0.1 + 2 x 0.1) / 4."""
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels = np.array([0, 0, 0, 1])
    found = calibration.reliability(shares, labels, 0.95)
    assert found.ece == pytest.approx(0.1)
    assert found.nll == pytest.approx(log_loss(labels, shares))
    assert found.nll == pytest.approx(nll(3 * np.log(shares), labels, 3.0))
    assert found.brier == pytest.approx(2 * (0.01 + 0.01 + 0.16 + 0.36) / 4)
    assert found.excess == pytest.approx(0.0)
    filled = {round(b.high * calibration.BINS): (b.n, b.correct) for b in found.bins if b.n}
    assert filled == {9: (2, 1), 14: (2, 2)}


def test_temperature_is_found_again_and_mends_overconfidence():
    """Logits whose softmax, at the temperature 2.5, is the law of the labels."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 4)) * 2
    labels = (softmax(logits, axis=1).cumsum(1) < rng.random((20000, 1))).sum(1).clip(0, 3)
    assert calibration.fit_temperature(2.5 * logits, labels) == pytest.approx(2.5, rel=0.04)
    shares = (softmax(k * logits[:5000], axis=1) for k in (2.5, 1))
    proud, honest = (calibration.reliability(p, labels[:5000], 0.95).facts() for p in shares)
    assert proud["miscalibrated"] and proud["excess_interval"][0] > 0
    assert not honest["miscalibrated"]
    assert honest["excess_interval"][0] < 0 < honest["excess_interval"][1]


def test_a_calibrated_network_stays_below_its_bound_as_often_as_said():
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.5, 1, 1000)
    right = rng.random((1500, 1000)) < confidence
    bound = calibration.calibrated_ece(confidence, 0.95)
    assert (calibration.ece(confidence, right) <= bound).mean() == pytest.approx(0.95, abs=0.02)


def test_risk_and_coverage_by_hand():
    """Right, wrong, right by falling confidence: risks 0, 1/2, 1/3."""
    found = calibration.select(np.array([0.6, 0.9, 0.8]), np.array([True, True, False]))
    assert found.coverage == pytest.approx((1 / 3, 2 / 3, 1))
    assert found.risk == pytest.approx((0, 1 / 2, 1 / 3))
    assert found.ideal == pytest.approx((0, 0, 1 / 3))
    assert found.aurc == pytest.approx(5 / 18) and found.aurc_ideal == pytest.approx(1 / 9)
    assert (found.auroc, found.kept, found.kept_errors) == (0.5, 2, 1)


def test_equal_confidences_do_not_depend_on_the_order():
    confidence, right = np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, False, True, True])
    one, two = (calibration.select(confidence[::k], right[::k]) for k in (1, -1))
    assert one == two and one.risk[0] == pytest.approx(1 / 3)
    assert one.auroc == pytest.approx(roc_auc_score(right, confidence))
    assert calibration.select(confidence, np.ones(4, bool)).auroc is None


def test_look_alikes_by_hand():
    names = ("Forest", "Highway", "River", "SeaLake")
    matrix = np.array([[9, 0, 0, 1], [0, 8, 6, 0], [3, 0, 9, 0], [0, 0, 0, 9]])
    found = calibration.families(matrix, names, 0.95)
    assert [(f.name, f.errors) for f in found.families] == [("rubans", 6), ("surfaces sombres", 1)]
    assert (found.within, found.errors, found.interval) == (7, 10, wilson(7, 10, 0.95))
    assert found.chance == pytest.approx((6 + 3 + 1 + 0) / 3 / 10)


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


@pytest.mark.parametrize("absent", [None, 2])
def test_wrong_labels_are_suspected_with_a_class_missing_too(absent):
    found = predictions()
    kept = np.flatnonzero(found.labels != absent)
    suspects = calibration.label_issues(found.labels[kept], found.probabilities[kept])
    assert set(kept[suspects].tolist()) <= set(FLIPPED) and len(suspects) > len(FLIPPED) / 2


def test_analysis_of_kept_predictions(tmp_path):
    found = predictions()
    found.save(tmp_path)
    result = calibration.analyse(Predictions.load(tmp_path), tuple("abcd"), 0.95, "f" * 64)
    assert {case.name for case in result.worst if case.doubtful} <= {f"{i}.jpg" for i in FLIPPED}
    confidences = [case.confidence for case in result.worst]
    assert confidences == sorted(confidences, reverse=True)
    assert result.doubtful[0] == result.facts()["doubtful"] > 7
    assert result.gain_interval[0] <= result.before.nll - result.after.nll


def test_rows_of_the_csv_file():
    found = predictions(flipped=(0,))
    row = next(iter(found.rows(tuple("abcd"))))
    assert (row["name"], row["truth"], row["prediction"], row["correct"]) == ("0.jpg", "b", "a", 0)
    expected = np.exp(log_softmax(found.logits[0].astype(float)))
    assert [row[f"p_{c}"] for c in "abcd"] == pytest.approx(expected, abs=1e-6)
    assert (row["confidence"], row["probability_of_truth"]) == (row["p_a"], row["p_b"])


def test_missing_and_truncated_predictions_are_named(tmp_path):
    predictions(8, flipped=()).save(tmp_path / "cut")
    path = tmp_path / "cut/predictions.npz"
    whole = path.read_bytes()
    for cut in (whole[:-200], whole[:40], b"text", b"", None):
        path.unlink() if cut is None else path.write_bytes(cut)
        with pytest.raises(UserError, match=r"predictions\.npz: missing or damaged"):
            Predictions.load(path.parent)


def evaluation(*rows, **changes):
    """An evaluation with this confusion matrix."""
    pairs = [(i, j) for i, row in enumerate(rows) for j, n in enumerate(row) for _ in range(n)]
    labels, predicted = np.array(pairs).T
    classes = ("AnnualCrop", "Forest", "HerbaceousVegetation")
    counts = {"n": len(pairs), "correct": int((labels == predicted).sum())}
    counts |= {"n_validation": 100, "correct_validation": 80, "classes": classes}
    scores = class_scores(labels, predicted, classes)
    return made.EVALUATION.model_copy(update=counts | scores | changes)


STANDARD = evaluation((95, 5, 0), (10, 180, 10), (0, 10, 90))
SPATIAL = evaluation((290, 10, 0), (30, 40, 30), (0, 5, 95))


def test_facts_of_an_evaluation():
    facts = STANDARD.facts()
    assert (facts["accuracy"], facts["errors"], facts["val_accuracy"]) == (365 / 400, 35, 0.8)
    assert (facts["low"], facts["high"]) == wilson(365, 400, 0.95)
    assert (facts["gap_low"], facts["gap_high"]) == newcombe(365, 400, 80, 100, 0.95)
    assert [count for *_, count in STANDARD.confusions()] == [10, 10, 10, 5]
    rows = STANDARD.json_files()["metrics.json"]["per_class"]
    assert rows[0]["recall"] == 0.95 and rows[0]["recall_interval"] == wilson(95, 100, 0.95)


def test_splits_side_by_side():
    result = SplitComparison(standard=STANDARD, spatial=SPATIAL, common=75, epochs=10)
    facts = result.facts()
    assert facts["standard"]["accuracy"] == 365 / 400 and facts["gap"] == pytest.approx(0.0625)
    assert (facts["gap_low"], facts["gap_high"]) == newcombe(365, 400, 425, 500, 0.95)
    assert result.class_level == pytest.approx(1 - 0.05 / 3)
    assert facts["lower"] == ["Forest"]  # 90 % -> 40 %
    swapped = SplitComparison(standard=SPATIAL, spatial=STANDARD).facts()
    assert swapped["lower"] == []
    other = SPATIAL.model_copy(update={"seed": 7})
    assert facts["same_training"]
    assert not SplitComparison(standard=STANDARD, spatial=other).facts()["same_training"]


def test_a_class_without_images_has_no_verdict():
    other = evaluation((50, 0, 0), (20, 30, 0), (0, 0, 0))
    result = SplitComparison(standard=STANDARD, spatial=other)
    assert [pair.name for pair in result.complete] == ["AnnualCrop", "Forest"]
    absent = SplitComparison(absent="lists", reason="no lists")
    assert absent.facts() == {"available": False, "absent": "lists", "reason": "no lists"}


def test_finalists_are_told_apart_by_mcnemar():
    score = {"hyperparameters": STANDARD.hyperparameters, "score": 0.9}
    pair = ({**score, "correct": 90}, {**score, "correct": 80})
    facts = FinalistsOnTest(level=0.95, n=100, pair=pair, only_first=12, only_second=2).facts()
    assert facts["accuracies"] == [0.9, 0.8] and facts["difference"] == pytest.approx(0.1)
    assert facts["p_value"] == pytest.approx(2 * (1 + 14 + 91) / 2**14) and facts["decided"]
    assert FinalistsOnTest(level=0.95).facts() == {"compared": False}


def test_seeds_have_a_spread_and_name_those_that_diverged():
    runs = [STANDARD.model_copy(update={"seed": 42 + k, "correct": 364 + 2 * k}) for k in range(3)]
    facts = Seeds(runs=runs, level=0.95, diverged={45: "epoch 2: loss not finite"}).facts()
    assert facts["seeds"] == [42, 43, 44]
    assert facts["diverged"] == {"45": "epoch 2: loss not finite"}
    t, error = 4.302653, 0.005 / 3**0.5  # Student's 97.5 % point with two degrees of freedom
    found = {"mean": 366 / 400, "sd": 0.005, "high": 0.915 + t * error, "low": 0.915 - t * error}
    assert facts["accuracy"] == pytest.approx(found)
    alone = Seeds(runs=runs[:1], level=0.95).facts()["accuracy"]
    assert (alone["sd"], alone["low"], alone["high"]) == (None, None, None)
    assert Seeds(runs=(), level=0.95).facts()["count"] == 0


def test_a_recipe_is_told_by_its_own_views_and_set_beside_the_protocol():
    averaged = STANDARD.model_copy(update={"correct": 380, "correct_validation": 90})
    run = RecipeRun(fit=TRAINING.fit, plain=STANDARD, averaged=averaged)
    own = {"name": "best", "title": "meilleure", "steps": ("vues",), "settings": {}}
    found = Recipes(**own, level=0.95, runs=(run,), spatial=None)
    facts = found.facts()
    assert (facts["accuracy"]["mean"], facts["correct"]) == (380 / 400, 380)
    assert facts["val_accuracy"]["low"] is None and "spatial" not in facts
    assert (facts["low"], facts["high"]) == wilson(380, 400, 0.95)
    rows = [(r["recipe"], r["seed"], r["epoch"]) for r in found.csv_files()["recipe.csv"]]
    assert rows == [("best", 42, epoch) for epoch in (1, 2, 3)]
    theirs, own = np.arange(100) < 90, np.arange(100) >= 20  # both right: 70 images
    assert disagreements(theirs, own) == (20, 10)
    beside = beside_protocol(found, TRAINING, theirs, own).facts()
    assert beside["gain"] == pytest.approx(0.1) and not beside["same_network"]
    assert (beside["low"], beside["high"]) == paired_difference(20, 10, 100, 0.95)
    assert beside["p_value"] == mcnemar(20, 10)


def test_the_spatial_training_publishes_under_its_own_name():
    found = SpatialTraining(fit=TRAINING.fit, planned_epochs=4, batch_size=16)
    assert list(found.csv_files()) == ["history_spatial.csv"]
    assert list(TRAINING.csv_files()) == ["history.csv"]
