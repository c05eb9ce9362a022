"""Tables of the report: what their cells say."""

import handmade as made
import pytest

from eurosat_lib import checks, comparisons, search, tables
from eurosat_lib.files import write_csv, write_json
from eurosat_lib.french import in_points, intervalle, layer_place, nombre, plural, power, typeset
from eurosat_lib.stats import newcombe, paired_difference, wilson

RUN = comparisons.RecipeRun(fit=made.trial(), plain=made.EVALUATION, averaged=None)
NAMED = {"name": "best", "title": "une recette", "level": 0.95}
RECIPES = comparisons.Recipes(
    **NAMED, steps=(), settings={"views": 8}, runs=(RUN, RUN), spatial=RUN
)
ROWS = [
    search.AblationRow(name=name, fits=(made.trial(values=(score,)),))
    for name, score in (("départ", 0.5), ("élan", 0.6))
]
STEPS = search.Ablation(**NAMED, epochs=3, train_images=48, rows=tuple(ROWS))
SPLITS = comparisons.SplitComparison(standard=made.EVALUATION, spatial=made.perfect())
MEAN = "moyenne ± écart-type (n = {})"
FLAT = [2, 2 / 300, "ni forme ni texture"]
SHARED = 61 * 24 / 4096  # of a tile, the middle of three
RATES = [*map(power, (4e-4, 6e-4, 5e-4)), "1,5"]
GAP = ["80,00\u202f%", "70,00\u202f%", "−10,00\u00a0points"]
SIDES = ["70,00\u202f%", "100,00\u202f%", "−30,00\u00a0points"]
STEP = ["60,00\u202f%", "+10,00\u00a0points", in_points(newcombe(24, 40, 20, 40, 0.95))]
INSIDE = f"0,0\u202f% {intervalle(wilson(0, 3, 0.95))}"  # no two classes are of one family
NOISE = intervalle([100 * bound for bound in paired_difference(1, 10, 100, 0.95)], 1, "")
TURNED = ["270°, miroir", ..., ...]
APART = [..., "+4,00\u00a0points", ..., "p = 0,219"]  # 2 (1 + 6) / 64
HEATED = ["1", nombre(made.ERRORS.temperature, 3)]
# Student's interval of 0.7, 0.8 and 0.9: t = 4.303; none of two values.
THREE = ["80,00\u202f% ± 10,00", intervalle((0.5516, 1.0484), 2)]
TWO = ["75,00\u202f% ± 7,07", "—"]


def row(frame, key) -> list:
    """Cells of the first row whose first column is the key."""
    return frame[frame[frame.columns[0]] == key].iloc[0].tolist()[1:]


def test_words():
    assert power(5e-4) == "5\u202f×\u202f10⁻⁴" and power(1e-5) == "10⁻⁵" and power(0) == "0"
    assert power(1.25e-3) == "1,25\u202f×\u202f10⁻³" and power(1) == "1"
    assert layer_place("stages.1.4.bias") == ("étage 2, bloc 2", "BatchNorm")
    assert plural(1, "époque") == "1\u00a0époque" and plural(2, "époque") == "2\u00a0époques"
    assert typeset("a : b ; c") == "a\u00a0: b\u202f; c"


@pytest.mark.parametrize(
    ("frame", "key", "cells"),
    [
        (tables.classes(made.AUDIT), "HerbaceousVegetation", [90, 30, 29, 149, 149 / 300]),
        (tables.classes(made.AUDIT), "TOTAL", [180, 60, 60, 300, 1.0]),
        (tables.findings(made.AUDIT, made.OVERLAPS), "D’une seule couleur", FLAT),
        (tables.overlap_counts(made.OVERLAPS), "entraînement – validation", [1, 1, SHARED]),
        (tables.overlap_counts(made.OVERLAPS), "TOTAL", [3, 1, SHARED]),
        (tables.pipeline(made.PIPELINE), "Ordre fixe en validation", [False]),
        (tables.pipeline(made.PIPELINE), "Étiquettes", ["(16,), int64, 0 à 2"]),
        (tables.baselines(made.BASELINES), "Classe majoritaire (River)", [0.108, 0.1026]),
        (tables.initial_loss(made.INITIAL_LOSS), "Tenseurs atteints par le gradient", ["3 / 4"]),
        (tables.overfit(made.OVERFIT), 7, [0.004, 1.0]),
        (tables.lr_rules(made.LR_FINDER), "vallée", RATES),
        (tables.lr_rules(made.finder(made.sweep(0))), "médiane de toutes", ["", "—", "—"]),
        (tables.effects(made.GRID), "weight decay, 10⁻⁵", [..., "aucune paire", "0 sur 0"]),
        (tables.configuration(made.TRAINING), "Blocs par étage", ["2", "grille resserrée"]),
        (tables.configuration(made.TRAINING), "Époques", ["3 sur 4 prévues", "configuration"]),
        (tables.history(made.TRAINING), 2, [0.5, 1 - 0.8, 0.75, 0.8, 2.0, 1.5, "meilleure"]),
        (tables.recipe_steps(STEPS), "+ élan", STEP),
        (tables.recipe_scores(RECIPES), MEAN.format(2), [..., ..., ..., "—", "4,5\u00a0s"]),
        (tables.metrics(made.EVALUATION), "Exactitude", GAP),
        (tables.metrics(made.EVALUATION), "Erreurs", [4, 3, "—"]),
        (tables.per_class(made.EVALUATION), "River", [..., ..., ..., 3, 1]),
        (tables.confusions(made.perfect()), "—", ["—", 0, 0.0, 0.0]),
        (tables.look_alikes(made.ERRORS), "ENSEMBLE", [..., 0, INSIDE, "0,0\u202f%"]),
        (tables.calibration(made.ERRORS), "Température", HEATED),
        (tables.robustness(made.ROBUSTNESS), "vue la moins favorable", TURNED),
        (tables.robustness(made.ROBUSTNESS), "bruit", [..., ..., f"−9,0 {NOISE}"]),
        (tables.finalists_on_test(made.ON_TEST), "Différence", APART),
        (tables.seeds(made.seeds(7, 8, 9)), MEAN.format(3), [..., ..., *THREE, ...]),
        (tables.seeds(made.seeds(7, 8)), MEAN.format(2), [..., ..., *TWO, ...]),
        (tables.split_scores(SPLITS), "Exactitude au test", SIDES),
        (tables.split_classes(SPLITS), "Forest", [..., ..., "0,0\u00a0point", ..., "indécis"]),
    ],
)
def test_rows(frame, key, cells):
    pairs = list(zip(row(frame, key), cells, strict=True))
    assert [a for a, b in pairs if b is not ...] == [b for _, b in pairs if b is not ...]


def test_findings_count_images_pairs_and_groups():
    frame = tables.findings(made.AUDIT, made.OVERLAPS)
    assert frame["Cas"].tolist() == [300, 3, 1, 3, 3, 1, 0, 0, 2, 7, 30]
    assert frame["Part"].isna().sum() == 4
    assert row(frame, "Chevauchements sur deux splits")[-1].startswith("1,67")  # one of 60
    none = made.OVERLAPS.model_copy(update={"pairs": (), "capped": True})
    frame = tables.findings(made.AUDIT, none)
    assert row(frame, "Paires qui se chevauchent")[-1] == "rien à retirer"
    assert "minimums" in tables.overlap_counts(none).attrs["note"]


def test_layers_and_variants(tiny):
    arch = checks.test_model(tiny)
    frame = tables.layers(arch)
    assert frame["Paramètres"].iloc[-1] == frame["Paramètres"][:-1].sum() == arch.parameters
    first = ["étage 1, bloc 1", "Conv2d", "3 → 4, 3×3, dilatation 1", "(4, 16, 16)"]
    assert frame.iloc[0].tolist() == [*first, 3 * 4 * 9 + 4, 3 * 4 * 9 * 16 * 16]
    assert tables.variants(arch)["Champ réceptif (px)"].tolist() == [48, 64, 70, 94]
    assert tables.variants(arch)["Décrit en 2.2"].tolist() == [True, False, False, False]


def test_searches_are_ranked():
    frame = tables.grid(made.GRID)
    assert list(frame.index) == [1, 2, 3, 4] and frame.index.name == "Rang"
    assert frame["Métrique val (exactitude)"][:3].tolist() == pytest.approx([0.75, 0.65, 0.4])
    assert frame["Notes"][1] == "en tête, meilleure époque (80,0\u202f%)"
    assert frame["Notes"][4] == "diverge à l’époque 1"
    assert "Une seule graine par point" in frame.attrs["note"]
    frame = tables.finalists(made.FINALISTS)
    assert frame["Écart au premier"].tolist() == ["retenu", "−5,0 [−7,5\u202f;\u00a0−2,5]"]
    dilation = tables.comparison(search.compare(made.GRID)).iloc[2:4]
    assert dilation["Val, deux dernières"].tolist() == pytest.approx([0.65, 0.75])


def test_without_a_second_result_there_is_no_table():
    absent = comparisons.SplitComparison(absent="lists", reason="because")
    assert tables.split_scores(absent) is tables.split_classes(absent) is None
    assert tables.recipe_scores(None) is tables.recipe_steps(None) is None


def test_the_run_and_its_openings(tiny):
    folder, runs = tiny.paths.artifacts, tiny.paths.runs
    for number, name in enumerate("ab"):
        origin = {"seconds": 2**number, "started": f"{9 - number}"}
        tree = {"provenance": origin | {"device": "CPU", "precision": "fp32"}}
        write_json(folder / "results" / f"{name}.json", tree)
    last = tables.environment(tiny).iloc[-1].tolist()
    assert last == ["Étape", "a", "1,0\u00a0s (CPU, fp32)"]
    (folder / "best.ckpt").write_bytes(b"abc")
    (runs / "train" / "one").mkdir(parents=True)
    (runs / "train" / "one" / "events.out").write_bytes(b"x" * 2500)
    frame = tables.artifacts(tiny)
    assert row(frame, "artifacts/best.ckpt")[1] == "ba7816bf8f01"  # sha256 of abc, FIPS 180-2
    assert row(frame, "runs/train/") == ["2,5\u00a0ko", "1\u00a0run"]
    log = [("final", "standard", 1), ("recipe", "standard", 1), ("recipe", "spatial", 8)]
    opened = {"opened": "2026-01-02T03:04:05+00:00", "configuration": "best", "seed": 42}
    opened |= {"epoch": 2, "sha256": "a" * 64, "images": 5400}
    rows = [opened | dict(zip(("role", "split", "views"), one, strict=True)) for one in log]
    write_csv(folder / "test_openings.csv", rows)
    frame = tables.openings(tiny)
    names = ["best", "best, 1\u00a0vue", "best, spatial, 8\u00a0vues"]
    assert frame["Configuration"].tolist() == names
    assert frame.iloc[0, :2].tolist() == ["2026-01-02 03:04:05 UTC", "entraînement final"]
