"""The stages after the evaluation: what they say, and that they leave the test split closed."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from eurosat_lib import stages
from eurosat_lib.config import override
from eurosat_lib.data import loaders
from eurosat_lib.stages import errors, final
from eurosat_lib.training.checkpoint import sha256


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def evaluated(on_blobs):
    stages.train(on_blobs)
    stages.evaluate(on_blobs)
    return on_blobs


def openings(config):
    return [row["sha256"] for row in rows(config.paths.artifacts / "test_openings.csv")]


def test_errors_are_those_of_the_evaluation(evaluated):
    evaluation, found = stages.evaluate(evaluated), stages.analyse_errors(evaluated)
    assert found.before.nll == pytest.approx(evaluation.loss)
    assert found.look_alikes.errors == evaluation.n - evaluation.correct
    assert sum(b.correct for b in found.before.bins) == evaluation.correct
    assert found.selection.error_rate == pytest.approx(1 - evaluation.accuracy)


def test_a_closer_look_leaves_the_test_closed(evaluated, blobs, monkeypatch):
    """Neither robustness nor Grad-CAM reads a test image, and the log has one opening."""
    hidden = np.zeros_like(blobs.test.images)  # other images would give other answers
    blind = replace(blobs, test=replace(blobs.test, images=hidden))
    for module in (loaders, errors, final):
        monkeypatch.setattr(module, "load_dataset", lambda config: blind)
    before = openings(evaluated)
    stages.analyse_errors(evaluated)
    robustness = stages.measure_robustness(evaluated)
    maps = stages.explain_predictions(evaluated)
    assert openings(evaluated) == before and len(before) == 1
    assert robustness.n == 30
    names = {case.name for case in (*maps.right, *maps.wrong) if case}
    assert names <= set(blobs.validation.names) and names


def test_robustness_starts_from_the_answers_of_the_evaluation(evaluated):
    every = override(evaluated, {"evaluate.robustness_images": None})
    found, evaluation = stages.measure_robustness(every), stages.evaluate(every)
    assert (found.n, found.correct) == (evaluation.n_validation, evaluation.correct_validation)


def test_explanations_show_right_and_wrong(evaluated):
    found = stages.explain_predictions(evaluated)
    for truth, (right, wrong) in enumerate(zip(found.right, found.wrong, strict=True)):
        assert right is None or (right.truth, right.prediction) == (truth, truth)
        assert wrong is None or (wrong.truth == truth and wrong.prediction != truth)
    shown = [case for case in (*found.right, *found.wrong) if case]
    assert all(len(case.heat) == 4 and max(map(max, case.heat)) <= 1 for case in shown)


def test_one_seed_or_several(evaluated):
    alone = stages.evaluate_seeds(evaluated)
    assert not alone.several and alone.runs == (stages.evaluate(evaluated),)
    more = stages.evaluate_seeds(override(evaluated, {"train.seeds": [42, 1, 2]}))
    assert [run.seed for run in more.runs] == [42, 1, 2]
    assert len({run.checkpoint_sha256 for run in more.runs}) == 3
    assert openings(evaluated) == [run.checkpoint_sha256 for run in more.runs]
    log = rows(evaluated.paths.artifacts / "test_openings.csv")
    assert [row["role"] for row in log] == ["final", "seed", "seed"]
    shares = [run.accuracy for run in more.runs]
    assert more.facts()["accuracy"]["mean"] == pytest.approx(np.mean(shares))
    assert more.facts()["accuracy"]["sd"] == pytest.approx(np.std(shares, ddof=1))
    again = stages.evaluate_seeds(override(evaluated, {"train.seeds": [1, 2]}))
    assert again == more  # nothing trained anew


def test_a_seed_trains_as_a_run_of_that_seed(evaluated):
    found = stages.evaluate_seeds(override(evaluated, {"train.seeds": [7]}))
    named = override(evaluated, {"seed": 7, "paths.name": "seven"})
    stages.train(named)
    assert stages.evaluate(named).loss == found.runs[1].loss


def test_finalists_are_the_two_best_with_the_weights_of_one_seed(evaluated):
    stages.grid_search(evaluated)
    finalists = stages.compare_finalists(evaluated)
    found = stages.compare_finalists_on_test(evaluated)
    best = [finalist.again for finalist in finalists.ranking[:2]]
    assert [f.hyperparameters for f in found.pair] == [point.hyperparameters for point in best]
    assert {point.fits[0].seed for point in best} == {found.seed} != {evaluated.seed}
    assert found.pair[0].correct - found.pair[1].correct == found.only_first - found.only_second
    log = rows(evaluated.paths.artifacts / "test_openings.csv")
    opened = {row["sha256"] for row in log if row["role"] == "finalist"}
    assert {f.checkpoint_sha256 for f in found.pair} == opened
    kept = evaluated.paths.stages.glob("trial-*/best.ckpt")
    assert {f.checkpoint_sha256 for f in found.pair} <= {sha256(path) for path in kept}


def test_no_finalists_without_a_search(evaluated):
    assert stages.compare_finalists_on_test(evaluated).facts() == {"compared": False}
