"""What the kept predictions say, and what is compared, against values by hand or a library."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from handmade import TRAINING
from scipy.special import softmax
from sklearn.metrics import log_loss, roc_auc_score

from eurosat_lib.calibration import (
    BINS,
    analyse,
    calibrated_ece,
    ece,
    families,
    fit_temperature,
    label_issues,
    reliability,
    select,
)
from eurosat_lib.comparisons import (
    FinalistsOnTest,
    RecipeRun,
    Recipes,
    Seeds,
    SpatialTraining,
    SplitComparison,
    beside_protocol,
    discordant,
)
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, Predictions, nll
from eurosat_lib.stats import class_scores, newcombe, wilson
from eurosat_lib.train import Hyperparameters

POINT = Hyperparameters(lr=1e-3, weight_decay=1e-5, blocks_per_stage=2, dilation_stage3=2)


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
    suspects = set(label_issues(found.labels, found.probabilities).tolist())
    assert suspects <= set(FLIPPED) and len(suspects) > len(FLIPPED) / 2


def test_doubtful_labels_with_a_class_missing():
    found = predictions()
    kept = np.flatnonzero(found.labels != 2)
    suspects = label_issues(found.labels[kept], found.probabilities[kept])
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


def test_missing_and_truncated_predictions_are_named(tmp_path):
    predictions(8, flipped=()).save(tmp_path / "cut")
    path = tmp_path / "cut/predictions.npz"
    whole = path.read_bytes()
    for cut in (whole[:-200], whole[:40], b"text", b"", None):
        path.unlink() if cut is None else path.write_bytes(cut)
        with pytest.raises(UserError, match=r"predictions\.npz: missing or damaged"):
            Predictions.load(path.parent)


def test_discordant_images():
    one, two = predictions(8, flipped=()), predictions(8, flipped=())
    two.logits[0] = two.logits[1]  # now wrong
    assert discordant(one, two) == (1, 0) and discordant(two, one) == (0, 1)


def evaluation(*rows, **changes):
    """An evaluation with this confusion matrix."""
    pairs = [(i, j) for i, row in enumerate(rows) for j, n in enumerate(row) for _ in range(n)]
    labels, predicted = np.array(pairs).T
    classes = ("AnnualCrop", "Forest", "HerbaceousVegetation")
    values = {
        "checkpoint": "best.ckpt",
        "checkpoint_sha256": "f" * 64,
        "hyperparameters": POINT,
        "epoch": 3,
        "seed": 42,
        "parameters": 9,
        "classes": classes,
        "n": len(pairs),
        "correct": int((labels == predicted).sum()),
        "n_validation": 100,
        "correct_validation": 80,
        "loss": 0.3,
        "loss_validation": 0.4,
        "confidence_level": 0.95,
        **class_scores(labels, predicted, classes),
    }
    return Evaluation(**values | changes)


STANDARD = evaluation((95, 5, 0), (10, 180, 10), (0, 10, 90))
SPATIAL = evaluation((290, 10, 0), (30, 40, 30), (0, 5, 95))


def test_facts_of_an_evaluation():
    facts = STANDARD.facts()
    assert (facts["accuracy"], facts["errors"], facts["val_accuracy"]) == (365 / 400, 35, 0.8)
    assert (facts["low"], facts["high"]) == wilson(365, 400, 0.95)
    assert (facts["gap_low"], facts["gap_high"]) == newcombe(365, 400, 80, 100, 0.95)
    counts = [count for *_, count in STANDARD.confusions()]
    assert counts == [10, 10, 10, 5] and all(a >= b for a, b in pairwise(counts))
    rows = STANDARD.json_files()["metrics.json"]["per_class"]
    assert rows[0]["recall"] == 0.95 and rows[0]["recall_interval"] == wilson(95, 100, 0.95)


def test_splits_side_by_side():
    result = SplitComparison(standard=STANDARD, spatial=SPATIAL, common=75, epochs=10)
    facts = result.facts()
    assert facts["standard"]["accuracy"] == 365 / 400 and facts["spatial"]["n"] == 500
    assert facts["gap"] == pytest.approx(0.0625)
    assert (facts["gap_low"], facts["gap_high"]) == newcombe(365, 400, 425, 500, 0.95)
    assert result.class_level == pytest.approx(1 - 0.05 / 3)
    assert (facts["lower"], facts["higher"]) == (["Forest"], [])  # 90 % -> 40 %
    swapped = SplitComparison(standard=SPATIAL, spatial=STANDARD).facts()
    assert (swapped["lower"], swapped["higher"]) == ([], ["Forest"])
    assert facts["precisions"]["Forest"] == pytest.approx((180 / 195, 40 / 55))
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
    score = {"hyperparameters": POINT, "score": 0.9, "checkpoint_sha256": "f", "epoch": 1}
    pair = ({**score, "correct": 90}, {**score, "correct": 80})
    facts = FinalistsOnTest(level=0.95, n=100, pair=pair, only_first=12, only_second=2).facts()
    assert facts["accuracies"] == [0.9, 0.8] and facts["difference"] == pytest.approx(0.1)
    assert facts["p_value"] == pytest.approx(2 * (1 + 14 + 91) / 2**14) and facts["decided"]
    assert FinalistsOnTest(level=0.95).facts() == {"compared": False}


def seeded(*correct):
    """The standard evaluation as from several seeds, with these counts of right answers."""
    return [
        STANDARD.model_copy(update={"seed": 42 + k, "correct": c}) for k, c in enumerate(correct)
    ]


def test_seeds_have_a_spread_and_name_those_that_diverged():
    runs = seeded(364, 366, 368)
    facts = Seeds(runs=runs, level=0.95, diverged={45: "epoch 2: loss not finite"}).facts()
    assert facts["seeds"] == [42, 43, 44] and facts["diverged"] == {
        "45": "epoch 2: loss not finite"
    }
    assert facts["accuracy"]["mean"] == 366 / 400 and facts["accuracy"]["sd"] == pytest.approx(
        0.005
    )
    t, error = 4.302653, 0.005 / 3**0.5  # Student's 97.5 % point with two degrees of freedom
    assert facts["accuracy"]["high"] == pytest.approx(366 / 400 + t * error)
    alone = Seeds(runs=runs[:1], level=0.95).facts()["accuracy"]
    assert (alone["sd"], alone["low"], alone["high"]) == (None, None, None)
    assert Seeds(runs=(), level=0.95).facts()["count"] == 0


def test_a_recipe_is_told_by_its_own_views_and_set_beside_the_protocol():
    averaged = STANDARD.model_copy(update={"correct": 380, "correct_validation": 90})
    run = RecipeRun(fit=TRAINING.fit, plain=STANDARD, averaged=averaged)
    own = {"name": "best", "title": "meilleure", "steps": ("vues",), "settings": {}}
    found = Recipes(**own, level=0.95, runs=(run,), spatial=None)
    facts = found.facts()
    assert (facts["accuracy"]["mean"], facts["plain"]["mean"]) == (380 / 400, 365 / 400)
    assert (facts["views"], facts["correct"], facts["val_accuracy"]["low"]) == (8, 380, None)
    assert (facts["low"], facts["high"]) == wilson(380, 400, 0.95) and "spatial" not in facts
    rows = found.csv_files()["recipe.csv"]
    assert [(r["recipe"], r["seed"], r["epoch"]) for r in rows] == [
        ("best", 42, e) for e in (1, 2, 3)
    ]
    beside = beside_protocol(found, TRAINING)  # its best epoch: 0.8 of 40 validation images
    assert beside["gain"] == pytest.approx(0.9 - 0.8)
    assert (beside["low"], beside["high"]) == newcombe(90, 100, 32, 40, 0.95)
    assert not beside["same_network"] and beside_protocol(None, TRAINING) == {}


def test_the_spatial_training_publishes_under_its_own_name():
    found = SpatialTraining(fit=TRAINING.fit, planned_epochs=4, batch_size=16)
    assert list(found.csv_files()) == ["history_spatial.csv"]
    facts = found.facts()
    assert (facts["best_epoch"], facts["epochs"], facts["planned_epochs"]) == (2, 3, 4)
