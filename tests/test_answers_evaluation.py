"""The answers of notebook 07 on errors, confidence, robustness and repeats follow their facts."""

from __future__ import annotations

import numpy as np
import pytest
from handmade import ERRORS, ON_TEST, ROBUSTNESS, changed, seeds
from test_answers_training import FOLDER, SETTINGS, say
from training_facts import make_evaluation

from eurosat_lib.calibration import families
from eurosat_lib.comparisons import FinalistsOnTest
from eurosat_lib.report.profiles import Cuts


def facts(result, **changes):
    """A result of the same stage, with some facts changed."""
    tree = result.facts() | changes

    class Changed:
        stage = result.stage

        def facts(self):
            return tree

    return Changed()


LOW, HIGH, MIXED = (-0.03, -0.01), (0.01, 0.03), (-0.01, 0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"miscalibrated_before": False}, ["aucun défaut décelable"]),
        ({"miscalibrated_before": True, "excess_interval_before": HIGH}, ["**trop haute**"]),
        ({"miscalibrated_before": True, "excess_interval_before": LOW}, ["**trop basse**"]),
        ({"miscalibrated_before": True, "excess_interval_before": MIXED}, ["**mal répartie**"]),
        ({"gain_interval": HIGH}, ["abaisse la perte"]),
        ({"gain_interval": LOW}, ["**augmente**"]),
        ({"gain_interval": MIXED}, ["ne change pas la perte"]),
        ({"miscalibrated_after": True}, ["encore trop"]),
        ({"miscalibrated_after": False}, ["compatible avec"]),
    ],
)
def test_confidence(changes, words):
    text = say("S9.3", facts(ERRORS, **changes))
    assert all(word in text for word in words), text
    outcomes = {"**trop haute**", "**trop basse**", "**mal répartie**", "aucun défaut décelable"}
    assert len([word for word in outcomes if word in text]) == 1


def test_doubtful_labels():
    some = say("S9.2", facts(ERRORS, doubtful=2, doubtful_shown=1))
    assert "signale 2 sur 10 (20,0 %), dont 1 des 3" in some and "non une preuve" in some
    assert "aucune avec ce réseau" in say("S9.2", facts(ERRORS, doubtful=0))


def worse(kind: str, lost: int, gained: int = 0):
    """Robustness where only the trials of one kind change answers."""
    trials = tuple(
        changed(t.kind, t.strength, *((lost, gained) if t.kind == kind and t.strength else (0, 0)))
        for t in ROBUSTNESS.trials
    )
    return ROBUSTNESS.model_copy(update={"trials": trials})


def test_robustness_says_what_is_decided():
    calm = say("S9.4", worse("none", 0), config=SETTINGS)
    assert "Aucune vue" in calm and "Aucun de ces 12 défauts" in calm and "Même à" not in calm
    turned = say("S9.4", worse("view", 30), config=SETTINGS)
    assert "n’est pas indifférent" in turned and "miroirs horizontaux" in turned
    noisy = say("S9.4", worse("noise", 40), config=SETTINGS)
    assert "vient avec le bruit : −40,0 points" in noisy
    assert "le bruit coûte de façon décelable" in noisy and "Aucune vue" in noisy
    better = say("S9.4", worse("average", 0, 9), config=SETTINGS)
    assert "la relève de +9,0 points" in better


def test_intervals_of_the_worst_of_several_are_wider():
    found = ROBUSTNESS.facts()
    change, low, high = found["worst_view_change"]
    alone = ROBUSTNESS.change(ROBUSTNESS.of("view")[-1])
    assert change == alone[0] and low < alone[1] and high > alone[2]


def test_finalists_and_seeds():
    tie = say("S9.5", ON_TEST, seeds(7))
    assert "**Pas de différence décelable**" in tie and "p = 0,219" in tie
    assert "Une seule graine (42)" in tie and "Student" not in tie
    clear = ON_TEST.model_copy(update={"only_first": 20})
    text = say("S9.5", clear, seeds(7, 8, 9))
    assert "**diffèrent**" in text and "décelable" not in text and "p < 0,001" in text
    assert "80,00 % ± 10,00" in text and "42, 43 et 44" in text and "Student" in text
    assert "rien à comparer" in say("S9.5", FinalistsOnTest(level=0.95), seeds(7))
    assert "Student" not in say("S9.5", ON_TEST, seeds(7, 8))


NAMES = ("Highway", "River", "Forest", "Pasture", "SeaLake", "Residential")


def confused(within: int, across: int):
    """Errors of rivers taken for roads, and for other classes."""
    matrix = np.zeros((6, 6), int)
    matrix[1, 0], matrix[1, 2] = within, across
    return families(matrix, NAMES, 0.95).facts()


@pytest.mark.parametrize(
    ("counts", "words"),
    [((80, 20), "**confirmée**"), ((1, 99), "**démentie**"), ((1, 4), "ne tranchent pas")],
)
def test_expected_confusions(counts, words):
    text = say("M9", make_evaluation(), facts(ERRORS, look_alikes=confused(*counts)))
    outcomes = {"**confirmée**", "**démentie**", "ne tranchent pas"}
    assert {word for word in outcomes if word in text} == {words}
    assert "Les confusions attendues" not in say("M9", make_evaluation())


def test_limits_name_what_was_measured():
    context = {"source": FOLDER, "config": SETTINGS, "cuts": Cuts()}
    text = say("S10", make_evaluation(), facts(ERRORS, doubtful=3), seeds(7, 8, 9), **context)
    assert "en soupçonne 3" in text and "sur 3 graines" in text and "orientation" not in text
    text = say("S10", make_evaluation(), worse("view", 30), seeds(7), **context)
    assert "soupçonne" not in text and "une seule graine (42)" in text
    assert "n’est pas indifférent à l’orientation (−30,0 points" in text
