"""The answers of notebooks 04 to 07 say what the numbers say, and the opposite when they do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from handmade import FINALISTS, finalist, seeds
from training_facts import (
    POINT,
    make_evaluation,
    make_finder,
    make_fit,
    make_grid,
    make_training,
    rules,
)

from eurosat_lib.config import PARAMETERS, configure, load_config
from eurosat_lib.data import Source
from eurosat_lib.report.answers import context_of, render
from eurosat_lib.report.profiles import profile_cuts
from eurosat_lib.search import Finalists, Grid, RefinedGrid, compare

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ROOT / "reports" / "answers"
CONFIG = configure(str(ROOT / "configs" / "config.yaml"), "quick")
SETTINGS = CONFIG.model_dump()
FOLDER = Source("folder", "eurosat-rgb")


def say(name: str, *results, **extra) -> str:
    text = render(name, context_of(results, extra), ANSWERS)
    return text.replace("\u202f", " ").replace("\u00a0", " ")


NARROW = make_finder(rules(4e-4, 5e-4, 6e-4), rules(4e-4, 5e-4, 6e-4))
WIDE = make_finder(rules(1e-4, 5e-4, 6e-3))
FLAT = make_finder(rules(4e-4, 5e-4, 6e-4), {})


def test_lr_finder_choice_or_none():
    extra = {"config": SETTINGS, "rates": (2e-4, 5e-4, 1e-3)}
    good, bad = (say("M4", finder, **extra) for finder in (NARROW, FLAT))
    assert r"LR = $5 \times 10^{-4}$" in good and "concordent" in good
    assert "12 fois moins" in good  # the minimum is at 6e-3
    assert "ne permet pas de choisir" in bad and "Nous retenons" not in bad
    assert "ordre de grandeur" in say("M4", WIDE, **extra)
    assert r"$4 \times 10^{-4}$ → $6 \times 10^{-4}$" in say("S4", NARROW, **extra)
    assert "aucune" in say("S4", FLAT, **extra)


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("lr_finder", "choix de la section 4"),
        ("config", "donnés par la configuration"),
        ("fallback", "`04_lr_finder`"),
    ],
)
def test_origin_of_the_grid(origin, words):
    assert words in say("S5", make_grid(origin=origin), config=SETTINGS)


def test_best_by_epoch_agrees_or_not():
    grid = make_grid(lr=0.05)
    lucky = make_fit([0.95, 0.3, 0.3], lr=5e-4, weight_decay=1e-5, blocks_per_stage=2)
    other = grid.model_copy(update={"trials": (lucky, *grid.trials[1:])})
    assert "désigne la même" in say("M5", grid)
    assert "en désigne une autre, `lr5e-4_wd1e-5_D2_B2` (95,0 %)" in say("M5", other)


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("refined_grid_search", "grille resserrée, section 8) :"),
        ("fallback", "`05_grid`"),
        (dict.fromkeys(POINT, "grid_search") | {"lr": "config"}, "donné par la configuration)"),
        ("compare_finalists", "finalistes sur des graines nouvelles"),
    ],
)
def test_origin_of_the_final_configuration(origin, words):
    text = say("S6", make_training([0.5, 0.6], origin), config=SETTINGS)
    assert words in text and "Époques = 2 (10–20) ; hors de la fourchette" in text
    assert "max_steps" in say("S6", make_training([0.5] * 12, planned=20), config=SETTINGS)


def test_final_configuration_around_fallback_values():
    training, alone = make_training([0.5, 0.6]), make_grid(RefinedGrid, "fallback")
    assert "autour des valeurs de repli" in say("S6", training, alone, config=SETTINGS)
    found = make_grid(RefinedGrid, "grid_search")
    assert "valeurs de repli" not in say("S6", training, found, config=SETTINGS)


CURVES = {
    "climbing": ([0.5, 0.6, 0.7, 0.8], {}, ["**probable**", "baisse jamais"]),
    "done": ([0.5, 0.8, 0.79, 0.795, 0.79], {}, ["**rien ne l’indique**", "**bonne**"]),
    "ahead": (
        [0.5, 0.8, 0.8, 0.8],
        {"train": [0.5, 0.8, 0.85, 0.95], "val_loss": [1, 0.6, 0.6, 0.61]},
        ["**non**", "**un début**"],
    ),
    "overfit": (
        [0.5, 0.8, 0.74, 0.8],
        {"train": [0.5, 0.8, 0.85, 0.95], "val_loss": [1, 0.6, 0.7, 0.9]},
        ["**oui**", "minimale à l’époque 2", "**agitée**"],
    ),
    "swinging": (
        [0.5, 0.8, 0.79, 0.79],
        {"val_loss": [1, 0.5, 0.6, 0.7]},
        ["**pas établi**", "oscillation"],
    ),
}


@pytest.mark.parametrize("name", CURVES)
def test_reading_of_the_curves(name):
    val, fit, words = CURVES[name]
    text = say("M6", make_training(val, **fit))
    assert all(word in text for word in words), text
    verdicts = {"**oui**", "**un début**", "**pas établi**"} - set(words)
    assert not any(verdict in text for verdict in verdicts)


def test_finalists_decide_or_not():
    plain, grid = compare(make_grid()), make_grid(lr=0.05)
    close = Finalists(finalists=(FINALISTS.finalists[0], finalist(2e-3, 0.8, 0.69, 0.74, 0.71)))
    decided, open_ = say("S7", plain, FINALISTS), say("S7", plain, close)
    assert "le premier se détache" in decided and "76,0 % ± 2,0 points" in decided
    assert "ne permettent pas de les départager" in open_ and "se détache" not in open_
    refined = make_grid(RefinedGrid, "grid_search", lr=0.06)
    assert "`lr2e-3_wd1e-5_D2_B2` se détache" in say("M8", refined, FINALISTS, grid)
    assert "aucun ne se distingue du premier" in say("M8", refined, close, grid)
    assert "points de moins que le score qui les a choisis" in say("M8", refined, FINALISTS, grid)
    assert "faute de mieux" not in say("M8", refined, FINALISTS, grid)


def test_refined_grid_better_equal_or_alone():
    grid = make_grid(lr=0.05)
    better = make_grid(RefinedGrid, "grid_search", lr=0.06)
    equal = RefinedGrid(trials=grid.trials, epochs=3, origin="grid_search")
    worse = make_grid(RefinedGrid, "grid_search", lr=0.01)
    longer = better.model_copy(update={"epochs": 5})
    alone = make_grid(RefinedGrid, "fallback")
    assert "gain non démontré" in say("M8", better, grid)
    assert "reste le premier" in say("M8", equal, grid) and "autant que" in say("S8", equal, grid)
    assert "garde le point de la grille" in say("M8", worse, grid)
    assert "ne se comparent pas" in say("M8", longer, grid)
    assert "`05_grid`" in say("M8", alone) and "`05_grid`" in say("S8", alone)


@pytest.mark.parametrize(
    ("correct", "words"),
    [(905, "pas de différence"), (800, "plus bas que"), (960, "plus haut que")],
)
def test_gap_between_test_and_validation(correct, words):
    evaluation = make_evaluation(correct)
    outcomes = {"pas de différence", "plus bas que", "plus haut que"}
    text = say("M9", evaluation)
    assert {w for w in outcomes if w in text} == {words}
    assert f"{correct / 10:.2f} %".replace(".", ",") in say("S9", evaluation, config=SETTINGS)


def test_overfitting_seen_at_the_test():
    evaluation = make_evaluation()
    val = [0.6, 0.7, 0.8, 0.9]
    calm, eager = make_training(val), make_training(val, train=[0.6, 0.7, 0.8, 0.99])
    assert "rien n’indique un surapprentissage" in say("M9", evaluation, calm)
    assert "oui, le réseau connaît" in say("M9", evaluation, eager)
    assert "ne vient pas de l’entraînement" in say("M9", make_evaluation(epoch=3), calm)


def test_limits_follow_the_data_and_the_trials():
    context = {"config": SETTINGS, "cuts": profile_cuts(CONFIG)}
    drawn = say("S10", make_evaluation(), source=Source("synthetic", "synthetic"), **context)
    real = say("S10", make_evaluation(), make_grid(), source=FOLDER, **context)
    assert "images synthétiques" in drawn and "vignettes voisines" not in drawn.split("Idées")[0]
    assert "vignettes voisines" in real and "aucun des 24 essais" in real


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("quick", "images de 32 pixels de côté au lieu de 64"),
        ("standard", "choisis sur des débuts d’entraînement"),
        ("full", "celle d’un autre entraînement.\n"),
    ],
)
def test_limits_and_sources_name_the_profile(profile, said):
    config = load_config(ROOT / "configs" / "config.yaml", profile)
    context = {"config": config.model_dump(), "source": FOLDER, "cuts": profile_cuts(config)}
    text = say("S10", make_evaluation(), **context)
    assert said in text
    assert ("ne sont pas les chiffres du protocole" in text) == (profile == "quick")
    assert ("essais de 3 époques sur 3 000 images" in text) == (profile != "full")
    general = {"author": "A", "title": "T", "repository": "", "profile": profile}
    general |= {"synthetic": False, "given": {}, "device": "CPU"}
    environment = {"python": "3", "torch": "2", "cuda": None}
    text = render("S0", context | general | {"environment": environment}, ANSWERS)
    assert text.count(f"--profile {profile}") == 4 and f"PROFILE={profile}" in text


def test_reproduction_and_its_boxes():
    extra = {"source": FOLDER, "config": SETTINGS, "extract": "seed: 42\n", "runs_present": True}
    extra |= {"given": {}, "keys": PARAMETERS}
    best = make_fit([0.9] * 3)
    found = Grid(trials=(best,), epochs=3, origin="config")
    training = make_training([0.6, 0.7, 0.8, 0.9], dict.fromkeys(POINT, "grid_search"))
    text = say("S11", make_evaluation(), training, found, checkpoint_present=True, **extra)
    assert text.count("[x]") == 3 and "--max_epochs 4" in text and '"grid.lr=[0.001]"' in text
    other = Grid(trials=(make_fit([0.9], lr=2e-3),), epochs=1, origin="lr_finder")
    text = say("S11", make_evaluation(), other, checkpoint_present=False, **extra)
    assert text.count("[x]") == 1 and "n’est pas au meilleur point" in text
    text = say("S11", make_evaluation(), checkpoint_present=True, **extra)
    assert text.count("[ ]") == 1 and "aucune recherche" in text
    given = extra | {"given": {"lr_seeds": [0, 1], "lr": 3e-4}}
    text = say("S11", make_evaluation(), checkpoint_present=True, **given)
    assert 'PARAMS="-f artifacts/params.yaml"' in text
    assert "--set lr_finder.seeds=[0,1] --set train.lr=0.0003" in text


def test_the_commands_of_what_was_trained_beside():
    extra = {"source": FOLDER, "config": SETTINGS, "extract": "seed: 42\n", "runs_present": True}
    extra |= {"given": {"train_seeds": [43]}, "keys": PARAMETERS, "checkpoint_present": True}
    alone = say("S11", make_evaluation(), seeds(7), **extra)
    assert "evaluate_seeds" not in alone and "recette" not in alone
    facts = {"name": "best", "seeds": [42, 43], "spatial": {}}
    found = {"train_recipe": facts, "ablate_recipe": {"name": "best"}}
    text = say("S11", make_evaluation(), seeds(7, 8), **extra, **found)
    assert "--set train.seeds=[43]" in text and "evaluate_seeds $OPTIONS --seed" in text
    assert "--recipe best --set recipe.seeds=[42,43] --set recipe.spatial=true" in text
    assert "ablate_recipe $OPTIONS --recipe best" in text


def test_one_epoch_says_nothing_of_the_curves():
    one = say("M6", make_training([0.6]))
    assert "ne dit rien" in one and "Stabilité" not in one
    assert "Stabilité" in say("M6", make_training([0.6, 0.7]))


def test_answers_and_notebooks_match():
    wanted = {f"M{n}" for n in range(4, 10)}
    wanted |= {f"S{n}" for n in range(4, 13)} | {f"S9.{n}" for n in range(2, 7)}
    called = set()
    for path in sorted((ROOT / "notebooks").glob("0[4-7]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        source = "\n".join("".join(cell["source"]) for cell in cells)
        called |= set(re.findall(r'answer\(\s*"([\w.]+)"', source))
    assert called == wanted
    assert "Newcombe" in say("S12")


def test_no_measured_number_is_typed_by_hand():
    names = [f"M{n}" for n in range(4, 10)] + [f"S{n}" for n in range(4, 12)]
    for name in names + [f"S9.{n}" for n in range(2, 7)]:
        text = (ANSWERS / f"{name}.md").read_text(encoding="utf-8")
        prose = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text).replace("p < 0,001", "")
        assert not re.search(r"\d,\d", prose), name
