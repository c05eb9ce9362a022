"""Verdicts and words of sections 5 to 12: dict in, word out; every answer with every word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import handmade
import pytest

from eurosat_lib.comparisons import SplitComparison
from eurosat_lib.config import load_config
from eurosat_lib.errors import UserError
from eurosat_lib.fits import csv_rows
from eurosat_lib.report import deposit, verdicts, words_results, words_training
from eurosat_lib.report.words import ANSWERS, fill, render, words_of
from eurosat_lib.search import RefinedGrid, compare

ROOT = Path(__file__).parents[1]
UP, DOWN, OPEN = (0.01, 0.03), (-0.03, -0.01), (-0.01, 0.03)


def effect(mean=0.02, bounds=UP, wins=7, pairs=8, differences=()):
    low, high = bounds
    found = {"low": 1.0, "high": 2.0, "pairs": pairs, "wins_high": wins, "mean": mean}
    found |= {"ci_low": low, "ci_high": high, "differences": list(differences)}
    return found | {"sign": (low > 0) - (high < 0)}


def train(**changes):
    found = {"last_train_accuracy": 0.95, "last_val_low": 0.94, "last_val_high": 0.96}
    found |= {"epochs": 20, "lowest_val_loss_epoch": 20, "last_val_loss": 0.2}
    found |= {"lowest_val_loss": 0.2, "largest_drop": 0.01, "diverged": "", "trend": None}
    return found | changes


def trend(accuracy, loss):
    ends = {"val_accuracy": accuracy, "train_loss": loss}
    return {name: {"slope": sum(b) / 2, "low": b[0], "high": b[1]} for name, b in ends.items()}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"trend": trend(UP, DOWN)}, "oui"),
        ({"trend": trend(UP, OPEN)}, "en partie"),
        ({"trend": trend(OPEN, DOWN)}, "en partie"),
        ({"trend": trend(OPEN, OPEN)}, "plateau"),
        ({"trend": trend(UP, DOWN), "last_train_accuracy": 0.995}, "non"),
        ({}, "trop court"),
    ],
)
def test_underfitting_follows_the_trend_and_the_training_accuracy(changes, word):
    assert verdicts.underfitting(train(**changes)) == word


@pytest.mark.parametrize(
    ("accuracy", "loss", "epoch", "word"),
    [
        (0.97, 0.3, 10, "oui"),
        (0.97, 0.21, 10, "un début"),
        (0.95, 0.3, 10, "oscillation"),
        (0.95, 0.3, 20, "non"),
    ],
)
def test_overfitting(accuracy, loss, epoch, word):
    found = {"last_train_accuracy": accuracy, "last_val_loss": loss}
    assert verdicts.overfitting(train(**found, lowest_val_loss_epoch=epoch)) == word


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"diverged": "loss not finite"}, "divergé"),
        ({"largest_drop": 0.03}, "agitée"),
        ({}, "bonne"),
        ({"epochs": 1}, "une époque"),
    ],
)
def test_stability(changes, word):
    assert verdicts.stability(train(**changes)) == word


@pytest.mark.parametrize(
    ("bounds", "expected", "word"),
    [
        (UP, 1, "conforme"),
        (DOWN, 1, "contraire"),
        (OPEN, 1, "non tranché"),
        (OPEN, 0, "conforme"),
        (UP, 0, "contraire"),
    ],
)
def test_observation_against_expectation(bounds, expected, word):
    assert verdicts.against_expectation(effect(bounds=bounds), expected) == word
    assert verdicts.against_expectation(effect(pairs=0), expected) == "une valeur"


def test_undecided_is_said_only_where_the_interval_holds_zero_with_direction_and_pairs():
    told = verdicts.seen(effect(), "plus haut", "plus bas")
    assert (
        "plus haut (+2,0" in told and "7\u00a0paires sur 8" in told and "non tranché" not in told
    )
    told = verdicts.seen(effect(-0.01, OPEN, wins=3), "plus haut", "plus bas")
    assert told.startswith("plus bas (−1,0") and "5\u00a0paires sur 8, non tranché" in told
    assert "une seule valeur" in verdicts.seen(effect(pairs=0), "plus haut", "plus bas")


def test_interaction_of_learning_rate_and_depth():
    def cases(*differences):
        return [{"score": effect(differences=one)} for one in differences]

    two, three = (-0.020, -0.001, 0.019, 0.023), (-0.061, -0.034, -0.090, -0.081)
    assert verdicts.interaction(cases(two, three))[0] == "nette"
    assert verdicts.interaction(cases(two, (-0.03, 0.02, 0.0, 0.03)))[0] == "non tranchée"
    for found in (cases(two), cases(two, two[:3]), cases(two[:2], two[:2])):
        assert verdicts.interaction(found) == ("non mesurée", "")


def test_final_rate_beside_the_finder_and_its_check():
    told = verdicts.rate_and_finder(1.5e-4, {"choice": 3.1e-4})
    assert told.startswith("2,1 fois plus petit")
    assert "plus grand" in verdicts.rate_and_finder(1e-3, {"choice": 3e-4})
    assert told != verdicts.rate_and_finder(3e-4, {"choice": 3.1e-4})
    assert "rien proposé" in verdicts.rate_and_finder(3e-4, {"choice": None})
    swept = {"choice": 1.3e-4, "lowest": 1.2e-4, "highest": 1.9e-4}
    outcomes = {1.5e-4: "dedans", 1e-3: "dehors"}
    assert {lr: verdicts.rate_and_check(lr, swept) for lr in outcomes} == outcomes
    assert verdicts.rate_and_check(1e-3, None) == "même réseau"
    assert verdicts.rate_and_check(1e-3, {"choice": None}) == "sans choix"


def test_difference_by_its_interval():
    words = [verdicts.difference(*bounds) for bounds in (UP, DOWN, OPEN)]
    assert words == ["plus haut", "plus bas", "égalité"]


def test_refined_grid_beside_the_grid():
    grid = {"score": 0.7, "epochs": 3, "train_images": 3000}
    around = grid | {"origin": "grid_search"}
    assert verdicts.refinement(around | {"score": 0.8}, grid) == "gain"
    assert verdicts.refinement(around | {"score": 0.6}, grid) == "perte"
    assert verdicts.refinement(around, grid) == "égalité"
    assert verdicts.refinement(around | {"epochs": 5}, grid) == "incomparable"
    assert verdicts.refinement(around, None) == "seule"
    assert verdicts.refinement(around | {"origin": "fallback"}, grid) == "seule"


def test_finalists_and_peak():
    words = {0: "à égalité", 1: "en partie", 2: "se détache"}
    for beaten, word in words.items():
        assert verdicts.leads({"finalists": [1, 2, 3], "n_beaten": beaten}) == word
    assert verdicts.leads({"finalists": [1], "n_beaten": 0}) == "seul"
    outcomes = {(1, 2, 1): "du milieu", (3, 2, 1): "le plus petit", (1, 2, 3): "le plus grand"}
    for scores, word in outcomes.items():
        trials = [{"lr": lr, "score": score} for lr, score in enumerate(scores)]
        assert verdicts.peak(trials, "lr") == word


def test_families_and_calibration():
    found = {"low": 0.5, "high": 0.6, "chance": 0.25, "share": 0.57}
    assert verdicts.families(found) == "en partie"
    assert verdicts.families(found | {"share": 0.95}) == "oui"
    assert verdicts.families(found | {"chance": 0.7}) == "non"
    assert verdicts.families(found | {"chance": 0.55}) == "non tranché"
    errors = {"miscalibrated_before": True, "excess_interval_before": OPEN}
    errors |= {"ece_before": 0.0082, "ece_calibrated_before": 0.0073}
    assert verdicts.calibration(errors) == "à peine"
    assert verdicts.calibration(errors | {"ece_before": 0.05}) == "mal répartie"
    assert verdicts.calibration(errors | {"excess_interval_before": UP}) == "trop haute"
    assert verdicts.calibration(errors | {"excess_interval_before": DOWN}) == "trop basse"
    assert verdicts.calibration(errors | {"miscalibrated_before": False}) == "bonne"


def every_fact() -> dict:
    """Facts of all stages, as the notebooks hand them to the answers."""
    grid = handmade.GRID
    refined = RefinedGrid(trials=grid.trials[:3], epochs=3, origin="grid_search")
    results = (grid, refined, handmade.TRAINING, handmade.FINALISTS, compare(grid))
    results += (handmade.EVALUATION, handmade.ERRORS, handmade.ROBUSTNESS, handmade.ON_TEST)
    results += (handmade.BASELINES, handmade.LR_FINDER, handmade.seeds(7, 8, 9))
    facts = {result.stage: result.facts() for result in results}
    facts["final_architecture"] = {"parameters": 1234, "receptive_field": 94}
    facts["final_architecture"] |= {"input_shape": [3, 64, 64]}
    facts["compare_splits"] = SplitComparison(absent="synthetic").facts()
    facts["config"] = load_config(ROOT / "configs/config.yaml", "quick").model_dump()
    facts |= {"trials": csv_rows(grid.trials[:3]), "photographed": False, "given": {}}
    facts |= {"synthetic": False, "location": "timm/eurosat-rgb@b4e2855"}
    facts["there"] = {"runs": "déposé", "checkpoint": "ici seulement", "config": "déposé"}
    facts["beside"] = {"gain": 0.02, "low": 0.01, "high": 0.03, "same_network": True}
    facts["beside"] |= {"blocks_per_stage": 3, "dilation_stage3": 3}
    facts["train_recipe"] = {"name": "best", "count": 1, "low": 0.98, "high": 0.99, "epochs": 24}
    facts["train_recipe"] |= {"accuracy": {"mean": 0.9885, "sd": 0.0}, "steps": ["Muon"]}
    facts["train_recipe"] |= {"val_accuracy": {"mean": 0.988}, "views": 8}
    facts["train_recipe"]["settings"] = {"sides": [[0, 0.5], [0.8, 1.0]]}
    rows = [("départ", None, None), ("Muon", 0.15, (0.13, 0.17))]
    rows += [("de 32 à 64 pixels", -0.057, (-0.07, -0.04)), ("lissage", 0.0, (-0.01, 0.01))]
    named = [dict(zip(("name", "gain", "interval"), row, strict=True)) for row in rows]
    facts["ablate_recipe"] = {"rows": named, "epochs": 4, "train_images": 4000, "seeds": [1, 2, 3]}
    return json.loads(json.dumps(facts, default=str))


FACTS = every_fact()
NAMES = sorted(
    path.stem
    for path in (ROOT / ANSWERS).glob("*.md")
    if re.match(r"S([5-9]|1[0-2])|M[5-9]|resume|conclusion", path.stem)
)
WORDS = re.compile(r'(\w+) == "([^"]+)"')


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_renders_with_every_word(name):
    assert render(name, FACTS).strip()
    words, text = words_of(name, FACTS), (ROOT / ANSWERS / f"{name}.md").read_text("utf-8")
    if name == "S9.6":
        words |= dict.fromkeys(("accuracy", "intervalle", "standard", "autre"), "x")
        words |= {"ecart": "x", "bornes": "x"}
    for value, word in WORDS.findall(text):
        assert fill(name, words | {value: word}).strip()
    for value in re.findall(r"{% if (\w+) %}", text):
        assert fill(name, words | {value: "x"}) != fill(name, words | {value: ""})


@pytest.mark.parametrize("name", NAMES)
def test_answers_hold_prose_only(name):
    text = (ROOT / ANSWERS / f"{name}.md").read_text("utf-8")
    tags = re.findall(r"{%.*?%}|{{.*?}}", text)
    assert max(map(len, text.splitlines())) <= 300
    assert all(re.fullmatch(r"{{ \w+ }}|{% (if|elif) .*%}|{% (else|endif) %}", t) for t in tags)
    assert not any("|" in tag or "(" in tag for tag in tags)
    depth = 0
    for tag in tags:
        depth += tag.startswith("{% if") - tag.startswith("{% endif")
        assert depth <= 1, "a condition within a condition"


def test_ablation_says_the_sizes_that_were_measured():
    told = words_training.m8_etapes(FACTS)
    assert told["cote"] == 32
    assert "16 puis 32 pixels" in told["bilan"] and "64" not in told["bilan"]


def test_seeds_of_two_have_no_standard_deviation():
    two = {"evaluate_seeds": handmade.seeds(7, 8).facts()}
    assert "écart-type" in words_results.s9_graines(FACTS)["standard"]
    assert "±" not in words_results.s9_graines(two)["standard"]
    assert "trop peu" in words_results.s9_graines(two)["standard"]


def test_nulls_are_read_by_what_they_mean():
    told = words_results.s11(FACTS)["nuls"]
    for words, key in {"toutes les images": "test_limit", "aucun arrêt": "max_steps"}.items():
        assert re.search(rf"{words}[^;]*`{key}`", told)
    assert re.search(r"déduit des étapes précédentes pour[^;]*`lr`", told)


def test_boxes_are_ticked_for_files_in_the_repository_alone():
    told = words_results.s11(FACTS)
    assert (told["runs_case"], told["checkpoint_case"], told["config_case"]) == ("x", " ", "x")


def test_diary_is_shown_as_it_is_and_its_absence_is_said(tmp_path):
    assert deposit.journal(tmp_path, "") == "" and deposit.journal(tmp_path, "x") == ""
    (tmp_path / "journal.md").write_text("<!-- mode d’emploi -->\n- **1er mai.** NaN\n")
    for name in ("", "x"):
        assert deposit.journal(tmp_path, name) == "- **1er mai.** NaN"
    (tmp_path / "x").mkdir()
    (tmp_path / "x/journal.md").write_text("- autre\n")
    assert deposit.journal(tmp_path, "x") == "- autre"
    words = words_results.s10(FACTS)
    assert "- autre" in fill("S10", words | {"journal": "  - autre"})
    assert "aucun journal" in fill("S10", words | {"journal": ""})


def test_missing_fact_is_named():
    with pytest.raises(UserError, match="grid_search"):
        words_of("M5", {})


def test_every_printed_figure_and_table_is_called():
    sources, texts = "", (ROOT / "eurosat_lib/report/words_training.py").read_text("utf-8")
    texts += "".join(path.read_text("utf-8") for path in (ROOT / ANSWERS).glob("*.md"))
    for number in ("05_grid", "06_train", "07_eval"):
        cells = json.loads((ROOT / f"notebooks/{number}.ipynb").read_text("utf-8"))["cells"]
        for cell in cells:
            source = "".join(cell["source"])
            texts, sources = texts + source * (cell["cell_type"] == "markdown"), sources + source
    call = r"\b(figure|table)\(((?:[^()]|\([^()]*(?:\([^()]*\))?[^()]*\))*)\)"
    shown = [(kind, body) for kind, body in re.findall(call, sources) if "detail=" not in body]
    names = [(kind, re.search('name="([^"]+)"', body)) for kind, body in shown]
    prefixes = {"figure": "#fig-", "table": "#tab-"}
    printed = [prefixes[kind] + name[1] for kind, name in names if name]
    assert len(printed) == len(shown)
    assert len(printed) > 12
    assert [name for name in printed if name not in texts] == []


def test_every_reference_is_called():
    texts = "".join(
        path.read_text("utf-8") for path in (ROOT / ANSWERS).glob("*.md") if path.stem != "S12"
    )
    texts += "".join(path.read_text("utf-8") for path in (ROOT / "notebooks").glob("0*.ipynb"))
    listed = (ROOT / ANSWERS / "S12.md").read_text("utf-8").splitlines()
    texts += Path(verdicts.__file__).read_text("utf-8")
    listed = [line for line in listed if line.startswith("-")]
    keys = [re.match(r"- \*\*`?([\w-]+)", line)[1] for line in listed]
    keys = [{"Images": "timm/eurosat-rgb", "Listes": "spatial"}.get(key, key) for key in keys]
    assert [key for key in keys if key not in texts] == []
