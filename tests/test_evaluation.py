"""What the kept predictions say, and what is compared, against values by hand or a library."""

from dataclasses import replace

import handmade as made
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Predictions, analyse, fit_temperature, nll, reliability
from eurosat_lib.stats import class_scores, newcombe, wilson
from eurosat_lib.trainings import SplitComparison


def test_calibration_by_hand():
    """Confidences 0.9, 0.9, 0.6, 0.6; right, right, right, wrong: (2 x 0.1 + 2 x 0.1) / 4."""
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels = np.array([0, 0, 0, 1])
    found = reliability(shares, labels)
    assert found["ece"] == pytest.approx(0.1)
    assert found["nll"] == pytest.approx(log_loss(labels, shares))
    assert found["nll"] == pytest.approx(nll(3 * np.log(shares), labels, 3.0))
    assert found["brier"] == pytest.approx(2 * (0.01 + 0.01 + 0.16 + 0.36) / 4)
    assert found["excess"] == pytest.approx(0.0)
    bins = np.array([[*one.values()] for one in found["bins"]])
    assert bins == pytest.approx(np.array([(8, 2, 1, 0.6), (13, 2, 2, 0.9)]))  # of fifteen


def test_temperature_is_found_again_and_mends_overconfidence():
    """Logits whose softmax, at the temperature 2.5, is the law of the labels."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 4)) * 2
    labels = (softmax(logits, axis=1).cumsum(1) < rng.random((20000, 1))).sum(1).clip(0, 3)
    assert fit_temperature(2.5 * logits, labels) == pytest.approx(2.5, rel=0.04)
    shares = (softmax(k * logits[:5000], axis=1) for k in (2.5, 1))
    proud, honest = (reliability(p, labels[:5000]) for p in shares)
    assert proud["excess_interval"][0] > 0 and proud["ece"] > 5 * honest["ece"]
    assert honest["excess_interval"][0] < 0 < honest["excess_interval"][1]


def test_kept_predictions_are_analysed_and_published(tmp_path):
    """Of the three errors by hand the surest comes first."""
    made.predictions().save(tmp_path)
    found = Predictions.load(tmp_path)
    worst = analyse(found, made.EVALUATION).worst
    half = replace(found, val_logits=found.val_logits / 2)  # the temperature is validation's
    heat = [analyse(one, made.EVALUATION).temperature for one in (found, half)]
    assert heat[1] == pytest.approx(heat[0] / 2, rel=1e-3)
    assert made.ERRORS.after["nll"] < made.ERRORS.before["nll"]
    assert made.ERRORS.facts()["ece_after"] == made.ERRORS.after["ece"]
    first = {"name": "test_6.jpg", "truth": "HerbaceousVegetation", "prediction": "River"}
    assert worst[0] == first | {"confidence": pytest.approx(0.999998)}
    confidences = [case["confidence"] for case in worst]
    assert confidences == sorted(confidences, reverse=True) and len(confidences) == 3
    row = found.table(made.CLASSES).iloc[6]
    assert row[[*first]].to_dict() == first and row["correct"] == 0
    expected = np.exp(log_softmax(found.logits[6].astype(float)))
    assert [row[f"p_{name}"] for name in made.CLASSES] == pytest.approx(expected, abs=1e-6)
    both = (row["p_River"], row["p_HerbaceousVegetation"])
    assert (row["confidence"], row["probability_of_truth"]) == both


def test_missing_and_truncated_predictions_are_named(tmp_path):
    made.predictions().save(tmp_path)
    path = tmp_path / "predictions.npz"
    whole = path.read_bytes()
    for cut in (whole[:-200], whole[:40], b"text", b"", None):
        path.unlink() if cut is None else path.write_bytes(cut)
        with pytest.raises(UserError, match=r"predictions\.npz: missing or damaged"):
            Predictions.load(tmp_path)


def scores(*rows):
    """An evaluation with this confusion matrix."""
    matrix = np.array(rows)
    labels, predicted = np.indices(matrix.shape).reshape(2, -1).repeat(matrix.ravel(), axis=1)
    classes = ("AnnualCrop", "Forest", "HerbaceousVegetation")
    own = {"n": len(labels), "correct": int(matrix.trace()), "classes": classes}
    own |= {"n_validation": 100, "correct_validation": 80}
    return made.EVALUATION.model_copy(update=class_scores(labels, predicted, classes) | own)


STANDARD = scores((95, 5, 0), (10, 180, 10), (0, 10, 90))
SPATIAL = scores((290, 10, 0), (30, 40, 30), (0, 5, 95))


def test_facts_of_an_evaluation():
    facts = STANDARD.facts()
    assert (facts["accuracy"], facts["val_accuracy"]) == (365 / 400, 0.8)
    assert (facts["low"], facts["high"]) == wilson(365, 400)
    assert (facts["gap_low"], facts["gap_high"]) == newcombe(365, 400, 80, 100)
    assert (facts["worst_class"], facts["worst_f1"]) == ("HerbaceousVegetation", 0.9)
    assert scores((9, 1, 0), (1, 9, 0), (0, 0, 9)).facts()["worst_class"] == "AnnualCrop, Forest"
    assert scores((9, 1, 0), (2, 8, 0), (0, 0, 0)).facts()["worst_class"] == "Forest"  # none of it
    assert [count for *_, count in STANDARD.confusions()] == [10, 10, 10, 5]
    assert STANDARD.confusions()[-1] == ("AnnualCrop", "Forest", 5)  # true, said
    rows = STANDARD.files()["metrics.json"]["per_class"]
    assert rows[0]["recall"] == 0.95 and rows[0]["recall_interval"] == wilson(95, 100)


def test_splits_side_by_side():
    facts = SplitComparison(standard=STANDARD, spatial=SPATIAL, common=75).facts()
    assert facts["standard"]["accuracy"] == 365 / 400 and facts["gap"] == pytest.approx(0.0625)
    assert (facts["gap_low"], facts["gap_high"]) == newcombe(365, 400, 425, 500)
    assert facts["lower"] == ["Forest"] and facts["same_training"]  # 90 % -> 40 %
    assert SplitComparison(standard=SPATIAL, spatial=STANDARD).facts()["lower"] == []
    other = SPATIAL.model_copy(update={"seed": 7})
    assert not SplitComparison(standard=STANDARD, spatial=other).facts()["same_training"]
    empty = scores((50, 0, 0), (20, 30, 0), (0, 0, 0))  # no image of a class
    drops = SplitComparison(standard=STANDARD, spatial=empty).facts()["drops"]
    assert list(drops) == ["AnnualCrop", "Forest"]
    absent = SplitComparison(absent="no lists")
    assert absent.facts() == {"available": False, "absent": "no lists"}
