"""Tables of the report: what their cells say."""

import handmade as made
import pytest

from eurosat_lib import checks, tables
from eurosat_lib.files import write_csv
from eurosat_lib.french import ecart, intervalle, nombre, power, typeset
from eurosat_lib.recipes import Ablation, RecipeRun, Recipes
from eurosat_lib.stats import newcombe
from eurosat_lib.trainings import SplitComparison

RUN = RecipeRun(fit=made.trial(), scored=made.EVALUATION)
RECIPES = Recipes(name="best", title="une recette", steps=(), runs=(RUN, RUN))
FITS = [[made.trial(values=(score,))] for score in (0.5, 0.6)]
SHORT = {"name": "best", "epochs": 3, "train_images": 48}
STEPS = Ablation(**SHORT, steps=("départ", "élan"), fits=FITS)
SPLITS = SplitComparison(standard=made.EVALUATION, spatial=made.perfect())
FLAT = [2, 2 / 300, "ni forme ni texture"]
RATES = [*map(power, (4e-4, 6e-4, 5e-4)), "1,5"]
STEP = ["60,00\u202f%", ecart(0.1, newcombe(24, 40, 20, 40), 2)]
GAP = ecart(-0.1, made.EVALUATION.gap_interval, 2)
HEADS = ("Ouverture", "Rôle", "Configuration")
HEATED = ["1", nombre(made.ERRORS.temperature, 3)]
# Student's interval of 0.7, 0.8 and 0.9: t = 4.303; none of two values.
TWO, MEAN = "75,00\u202f%", "moyenne ± écart-type"
THREE = f"80,00\u202f% ± 10,00 {intervalle((0.5516, 1.0484), 2)}"


@pytest.mark.parametrize(
    ("frame", "key", "cells"),
    [
        (tables.findings(made.AUDIT, made.OVERLAPS), "D’une seule couleur", FLAT),
        (tables.lr_rules(made.LR_FINDER), "vallée", RATES),
        (tables.lr_rules(made.finder(made.sweep(0))), "médiane de toutes", ["", "—", "—"]),
        (tables.recipe_steps(STEPS), "+ élan", STEP),
        (tables.recipe_scores(RECIPES), "42", [2, "80,00\u202f%", ..., ...]),
        (tables.metrics(made.EVALUATION), "Exactitude", [..., ..., GAP]),
        (tables.per_class(made.EVALUATION), "River", [..., ..., ..., 3, 1]),
        (tables.calibration(made.ERRORS), "Température", HEATED),
        (tables.seeds(made.seeds(7, 8, 9)), f"{MEAN} (n = 3)", [..., ..., THREE, ...]),
        (tables.seeds(made.seeds(7, 8)), "moyenne (n = 2)", [..., ..., TWO, ...]),
        (tables.split_scores(SPLITS), "Macro-F1 sur le test", [..., "100,00\u202f%", ...]),
    ],
)
def test_rows(frame, key, cells):
    row = frame[frame[frame.columns[0]] == key].iloc[0].tolist()[1:]
    assert [
        cell if wanted is not ... else ... for cell, wanted in zip(row, cells, strict=True)
    ] == cells


def test_findings_count_images_pairs_and_groups():
    frame = tables.findings(made.AUDIT, made.OVERLAPS)
    assert frame["Cas"].tolist() == [300, 3, 1, 3, 3, 1, 0, 0, 2, 7, 30]
    assert frame["Part"].isna().sum() == 4
    assert frame["Pour l’entraînement"][4].startswith("1,67")  # one of 60


def test_layers_and_variants(tiny):
    arch = checks.test_model.__wrapped__(tiny)
    frame, total = tables.layers(arch), arch.found["parameters"]
    assert frame["Paramètres"].iloc[-1] == frame["Paramètres"][:-1].sum() == total
    first = ["stages.0.0", "Conv2d", "3 → 4, 3×3, dilation 1", "(4, 16, 16)"]
    assert frame.iloc[0].tolist() == [*first, 3 * 4 * 9 + 4, 3 * 4 * 9 * 16 * 16]
    assert tables.variants(arch)["Champ réceptif (px)"].tolist() == [48, 64, 70, 94]


def test_searches_are_ranked():
    frame = tables.grid(made.GRID)
    assert list(frame.index) == [1, 2, 3, 4] and frame.index.name == "Rang"
    assert frame["Métrique val (exactitude)"][:3].tolist() == pytest.approx([0.75, 0.65, 0.4])
    assert frame["Notes"][1] == "meilleure époque (80,0\u202f%)"
    assert frame["Notes"][4] == "diverge à l’époque 1"
    behind = tables.finalists(made.FINALISTS)["Écart au premier"].tolist()
    assert behind == ["retenu", "−5,0\u00a0points [−7,5\u202f;\u00a0−2,5]"]


def test_a_level_adds_to_the_note_and_without_a_second_split_there_is_no_table():
    note = "Entre crochets, les intervalles à 95\u202f%."
    assert tables.metrics(made.EVALUATION).attrs["note"] == note
    assert tables.recipe_steps(STEPS).attrs["note"].endswith(f"images. {note}")
    assert typeset("a : b ; c") == "a\u00a0: b\u202f; c"
    assert tables.split_scores(SplitComparison(absent="no lists")) is None


def test_openings_are_told_by_their_role(tiny):
    opened = {"opened": "2026-01-02T03:04:05+00:00", "configuration": "best", "seed": 42}
    opened |= {"epoch": 2, "sha256": "a" * 64, "images": 5400}
    log = (("final", 1), ("recipe", 1), ("recipe", 8), ("older", 1))
    rows = [opened | {"role": role, "views": views} for role, views in log]
    write_csv(tiny.paths.artifacts / "test_openings.csv", rows)
    time, role, name = (tables.openings(tiny)[one].tolist() for one in HEADS)
    assert name == ["best", "best, 1\u00a0vue", "best, 8\u00a0vues", "best"]
    assert role[::3] == ["entraînement final", "older"]  # of another edition: as it stands
    assert time[0] == "2026-01-02 03:04:05 UTC"
