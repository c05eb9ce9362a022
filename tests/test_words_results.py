"""Verdicts and words of sections 5 to 12: dict in, word out, a case per outcome."""

from __future__ import annotations

import shutil
import subprocess

import handmade
import pytest
from answer_facts import ROOT, facts

from eurosat_lib.config import load_config
from eurosat_lib.files import write_text
from eurosat_lib.report import words as verdicts
from eurosat_lib.report import words_results
from eurosat_lib.report.words import fill, render, words_of

UP, DOWN, OPEN = (0.01, 0.03), (-0.03, -0.01), (-0.01, 0.03)
GRID = {"name": "a", "origin": "grid_search", "score": 0.7, "epochs": 3, "train_images": 3000}
OTHER = GRID | {"name": "b"}
SWEPT = {"choice": 1.3e-4, "lowest": 1.2e-4, "highest": 1.9e-4}
TWO, THREE = (-0.020, -0.001, 0.019, 0.023), (-0.061, -0.034, -0.090, -0.081)  # by depth


def effect(bounds=UP, mean=0.02, wins=7, pairs=8, differences=()):
    low, high = bounds
    found = {"low": 1.0, "high": 2.0, "pairs": pairs, "wins_high": wins, "mean": mean}
    found |= {"ci_low": low, "ci_high": high, "differences": list(differences)}
    return found | {"sign": (low > 0) - (high < 0)}


def train(trend=None, **changes):
    found = {"last_train_accuracy": 0.95, "last_val_low": 0.94, "last_val_high": 0.96}
    found |= {"epochs": 20, "lowest_val_loss_epoch": 10, "last_val_loss": 0.2}
    found |= {"lowest_val_loss": 0.2, "largest_drop": 0.01, "diverged": "", "trend": None}
    if trend:
        ends = dict(zip(("val_accuracy", "train_loss"), trend, strict=True))
        found["trend"] = {name: {"low": low, "high": high} for name, (low, high) in ends.items()}
    return found | changes


def cases(*differences):
    return [{"score": effect(differences=one)} for one in differences]


def ranked(*scores):
    return [{"lr": lr, "score": score} for lr, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("verdict", "given", "word"),
    [
        (verdicts.underfitting, [train((UP, DOWN))], "oui"),
        (verdicts.underfitting, [train((UP, OPEN))], "en partie"),
        (verdicts.underfitting, [train((OPEN, DOWN))], "en partie"),
        (verdicts.underfitting, [train((OPEN, OPEN))], "non (plateau)"),
        (verdicts.underfitting, [train((UP, DOWN), last_train_accuracy=0.995)], "non"),
        (verdicts.underfitting, [train()], "indécidable"),
        (verdicts.overfitting, [train(last_train_accuracy=0.97, last_val_loss=0.3)], "oui"),
        (verdicts.overfitting, [train(last_train_accuracy=0.97)], "un début"),
        (verdicts.overfitting, [train(last_val_loss=0.3)], "non établi"),
        (verdicts.overfitting, [train(last_val_loss=0.3, epochs=10)], "aucun signe"),
        (verdicts.stability, [train(diverged="loss not finite")], "divergence"),
        (verdicts.stability, [train(largest_drop=0.03)], "agitée"),
        (verdicts.stability, [train()], "bonne"),
        (verdicts.stability, [train(epochs=1)], "indécidable"),
        (verdicts.against_expectation, [effect(), 1], "conforme"),
        (verdicts.against_expectation, [effect(DOWN), 1], "contraire"),
        (verdicts.against_expectation, [effect(OPEN), 1], "non tranché"),
        (verdicts.against_expectation, [effect(OPEN), 0], "compatible"),
        (verdicts.against_expectation, [effect(OPEN) | {"ci_low": None}, 0], "non tranché"),
        (verdicts.against_expectation, [effect(), 0], "contraire"),
        (verdicts.against_expectation, [effect(pairs=0), 0], "une valeur"),
        (verdicts.rate_and_check, [1.5e-4, SWEPT], "dedans"),
        (verdicts.rate_and_check, [1.1e-4, SWEPT], "au bord"),
        (verdicts.rate_and_check, [2.3e-4, SWEPT], "au bord"),
        (verdicts.rate_and_check, [1e-3, SWEPT], "dehors"),
        (verdicts.rate_and_check, [1e-3, None], "même réseau"),
        (verdicts.rate_and_check, [1e-3, {"choice": None}], "sans choix"),
        (verdicts.difference, UP, "plus haut"),
        (verdicts.difference, DOWN, "plus bas"),
        (verdicts.difference, OPEN, "égalité"),
        (verdicts.refinement, [OTHER | {"score": 0.8}, GRID], "gain"),
        (verdicts.refinement, [OTHER | {"score": 0.6}, GRID], "perte"),
        (verdicts.refinement, [OTHER, GRID], "égalité"),
        (verdicts.refinement, [GRID, GRID], "même point"),
        (verdicts.refinement, [GRID | {"epochs": 5}, GRID], "incomparable"),
        (verdicts.refinement, [GRID, None], "seule"),
        (verdicts.refinement, [GRID | {"origin": "fallback"}, GRID], "seule"),
        (verdicts.leads, [{"finalists": [1, 2, 3], "n_beaten": 0}], "à égalité"),
        (verdicts.leads, [{"finalists": [1, 2, 3], "n_beaten": 1}], "en partie"),
        (verdicts.leads, [{"finalists": [1, 2, 3], "n_beaten": 2}], "se détache"),
        (verdicts.leads, [{"finalists": [1], "n_beaten": 0}], "seul"),
        (verdicts.calibration, [{"excess_interval_before": OPEN}], "bonne"),
        (verdicts.calibration, [{"excess_interval_before": UP}], "trop haute"),
        (verdicts.calibration, [{"excess_interval_before": DOWN}], "trop basse"),
        (verdicts.interaction, [cases(TWO, THREE)], "nette"),
        (verdicts.interaction, [cases(TWO, (-0.03, 0.02, 0.0, 0.03))], "non tranchée"),
        (verdicts.interaction, [cases(TWO)], "non mesurée"),
        (verdicts.interaction, [cases(TWO, TWO[:3])], "non mesurée"),
        (verdicts.interaction, [cases(TWO[:2], TWO[:2])], "non mesurée"),
        (verdicts.edge, [2, [1, 2, 3]], ""),
        (verdicts.edge, [1, [1]], ""),
        (verdicts.edge, [3, [1, 2, 3]], "le plus grand"),
        (verdicts.peak, [ranked(1, 2, 1), "lr"], "du milieu"),
        (verdicts.peak, [ranked(3, 2, 1), "lr"], "le plus petit"),
        (verdicts.peak, [ranked(1, 2, 3), "lr"], "le plus grand"),
    ],
)
def test_each_outcome_of_a_verdict(verdict, given, word):
    judged = verdict(*given)
    assert (judged if isinstance(judged, str) else judged[0]) == word


def test_undecided_is_said_with_direction_and_pairs_even_where_no_change_was_expected():
    undecided = {"score": effect(OPEN, -0.01, 3), "gap": effect(OPEN)}
    told = render("M7", facts({"compare_curves.weight_decay": undecided}))
    (line,) = [line for line in told.splitlines() if line.startswith("2.")]
    assert "rien ne contredit" in line and "c’est bien le cas" not in line
    assert "plus bas (−1,0\u00a0point [−1,0\u202f;\u00a03,0], 5\u00a0paires sur 8)" in line
    split = {"score": effect(OPEN, -0.01, 4), "gap": effect(DOWN, -0.02, 0)}
    told = render("M7", facts({"compare_curves.weight_decay": split}))
    assert "presque inchangé (−1,0\u00a0point" in told and "8\u00a0paires sur 8, établi" in told


def test_every_effect_stands_with_its_interval():
    effects = dict.fromkeys(("score", "gap", "spread"), effect(OPEN)) | {
        "speed": effect(DOWN, -0.02)
    }
    tree = facts({"grid_search.effects.dilation_stage3": effects})
    told = words_of("M5", tree)["dilatation"]
    assert "plus haut (+2,0\u00a0points [−1,0\u202f;\u00a03,0], 7\u00a0paires sur 8)" in told
    assert (
        ", non tranché. Le départ est plus lent (−2,0\u00a0points [−3,0\u202f;\u00a0−1,0])" in told
    )
    assert told.endswith(
        "; rien d’établi pour l’écart train − val et l’écart des deux dernières "
        "époques (stabilité)"
    )


def test_two_seeds_have_no_standard_deviation():
    assert "écart-type" in words_of("S9.graines", facts())["scores"]
    two = facts({"evaluate_seeds": handmade.seeds(7, 8).facts()})
    assert words_of("S9.graines", two)["scores"] == "de 70,00\u202f% à 80,00\u202f%"


def test_the_extract_of_the_configuration_has_no_null_and_the_values_of_the_checkpoint():
    told = words_of("S11", facts())["extrait"]
    assert "null" not in told and "lr: 0.001" in told and "weight_decay: 1.0e-05" in told


def test_diary_is_shown_as_it_is_and_its_absence_is_said(tmp_path):
    assert words_results.journal(tmp_path, "") == "" and words_results.journal(tmp_path, "x") == ""
    (tmp_path / "journal.md").write_text("<!-- mode d’emploi -->\n- **1er mai.** NaN\n")
    for name in ("", "x"):
        assert words_results.journal(tmp_path, name) == "- **1er mai.** NaN"
    (tmp_path / "x").mkdir()
    (tmp_path / "x/journal.md").write_text("- autre\n")
    assert words_results.journal(tmp_path, "x") == "- autre"
    words = words_of("S10", facts())
    assert "- autre" in fill("S10", words | {"journal": "  - autre"})
    assert "aucun journal" in fill("S10", words | {"journal": ""})


def test_files_are_there_only_when_git_holds_them(tmp_path):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    config = load_config(tmp_path / "configs/config.yaml")
    own = "{lr: 0.001, weight_decay: 1.0e-5, dilation_stage3: 2, blocks_per_stage: 2}"
    for name in ("runs/train/events.1", "artifacts/best.ckpt", "artifacts/config.yaml"):
        write_text(tmp_path / name, f"train: {own}")
    assert not any(words_results.files_there(config, handmade.EVALUATION).values())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert all(words_results.files_there(config, handmade.EVALUATION).values())
    (tmp_path / "artifacts/config.yaml").write_text("train: {lr: 0.5}")
    (tmp_path / "artifacts/best.ckpt").unlink()
    found = words_results.files_there(config, handmade.EVALUATION)
    assert found == {"runs": True, "checkpoint": False, "config": False}
