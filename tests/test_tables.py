"""Tables of the report: what their cells say."""

import handmade as made
import pytest

from eurosat_lib import checks, tables
from eurosat_lib.files import write_csv
from eurosat_lib.french import typeset
from eurosat_lib.recipes import Ablation, RecipeRun, Recipes
from eurosat_lib.search import Finalists
from eurosat_lib.trainings import SplitComparison

RUN = RecipeRun(fit=made.trial(), scored=made.EVALUATION)
RECIPES = Recipes(name="best", title="une recette", steps=(), runs=(RUN, RUN))
FITS = [[made.trial(values=(score,))] for score in (0.5, 0.6)]
SHORT = {"name": "best", "epochs": 3, "train_images": 48}
STEPS = Ablation(**SHORT, steps=("départ", "élan"), fits=FITS)
SPLITS = SplitComparison(standard=made.EVALUATION, spatial=made.perfect())
LOST = made.finalist(4e-3, 0.78, 0.7, 0.7)
LOST = LOST.model_copy(update={"fits": (*LOST.fits, made.trial(values=(), diverged="epoch 1"))})
FINALISTS = Finalists(finalists=(*made.FINALISTS.finalists, LOST))
SEEDS = made.seeds(7, 8, 9).model_copy(update={"diverged": {45: "epoch 3"}})
PLAIN = str.maketrans("\u202f\u00a0", "  ")
ONE = "42 | 2 | 80,00 % | 70,00 % [39,68 % ; 89,22 %] | 65,19 %"
# Student's interval of 0.7, 0.8 and 0.9: t = 4.303; none of two values.
TABLES = [
    (
        tables.metrics(made.EVALUATION),
        "Exactitude | 80,00 % | 70,00 % [39,68 % ; 89,22 %] | −10,00 points [−42,59 ; 18,92]",
        "Perte (nats) | 0,7000 | 0,9000 | +0,2000",
        "Macro-F1 | — | 65,19 % [30,30 % ; 91,55 %] | —",
        "Erreurs | 4 | 3 | —",
        "Images | 20 | 10 | —",
    ),
    (
        tables.per_class(made.EVALUATION),
        "Forest | 80,0 [37,6 ; 96,4] | 100,0 [51,0 ; 100,0] | 88,9 [54,6 ; 98,2] | 4 | 0",
        "HerbaceousVegetation | 50,0 [9,5 ; 90,5] | 33,3 [6,1 ; 79,2] | 40,0 [8,7 ; 82,3] | 3 | 2",
        "River | 66,7 [20,8 ; 93,9] | 66,7 [20,8 ; 93,9] | 66,7 [26,1 ; 91,9] | 3 | 1",
        "MOYENNE (macro), TOTAL | 65,6 | 66,7 | 65,2 [30,3 ; 91,6] | 10 | 3",
    ),
    (
        tables.calibration(made.ERRORS),
        "Température | 1 | 10,889",
        "Perte, NLL (nats) | 1,9394 | 1,0742",
        "Score de Brier | 0,5275 | 0,6524",
        "ECE (15 tranches) | 35,50 % | 42,20 %",
        "Confiance moyenne − exactitude | +11,50 points [−26,05 ; 49,05] | "
        "−29,40 points [−67,19 ; 8,39]",
    ),
    (
        tables.seeds(SEEDS),
        ONE,
        "43 | 2 | 80,00 % | 80,00 % [49,02 % ; 94,33 %] | 65,19 %",
        "44 | 2 | 80,00 % | 90,00 % [59,58 % ; 98,21 %] | 65,19 %",
        "45 | — | divergé | — | —",
        "moyenne ± écart-type (n = 3) | — | — | 80,00 % ± 10,00 [55,16 % ; 104,84 %] | "
        "65,19 % ± 0,00 [65,19 % ; 65,19 %]",
    ),
    (tables.recipe_scores(RECIPES), ONE, ONE, "moyenne (n = 2) | — | — | 70,00 % | 65,19 %"),
    (
        tables.split_scores(SPLITS),
        "Exactitude sur le test | 70,00 % [39,68 % ; 89,22 %] | 100,00 % [72,25 % ; 100,00 %] | "
        "−30,00 points [−60,32 ; 3,76]",
        "Macro-F1 sur le test | 65,19 % | 100,00 % | −34,81 points",
        "Exactitude en validation | 80,00 % | 80,00 % | 0,00 point",
        "Images de test (0 en commun) | 10 | 10 | —",
    ),
    (
        tables.grid(made.GRID),
        "lr1e-3_wd1e-5_D3_B2 | 10⁻³ | 10⁻⁵ | 3 | 2 | 0.75 | 10 | 0.2 | meilleure époque (80,0 %)",
        "lr1e-3_wd1e-5_D2_B2 | 10⁻³ | 10⁻⁵ | 2 | 2 | 0.65 | 10 | 0.3 | ",
        "lr2e-3_wd1e-5_D2_B2 | 2 × 10⁻³ | 10⁻⁵ | 2 | 2 | 0.4 | 20 | 0.7 | ",
        "lr2e-3_wd1e-5_D3_B2 | 2 × 10⁻³ | 10⁻⁵ | 3 | 2 | nan | nan | nan | diverge à l’époque 1",
    ),
    (
        tables.finalists(FINALISTS),
        "lr2e-3_wd1e-5_D2_B2 | grille | 0.79 | 0.76 | 2 | 3 | retenu",
        "lr1e-3_wd1e-5_D2_B2 | grille | 0.8 | 0.71 | 1 | 3 | −5,0 points [−9,4 ; −0,6]",
        "lr4e-3_wd1e-5_D2_B2 | grille | 0.78 | nan | nan | 3 | divergé",
    ),
    (
        tables.recipe_steps(STEPS),
        "départ | 50,00 % | —",
        "+ élan | 60,00 % | +10,00 points [−11,36 ; 30,14]",
    ),
    (
        tables.findings(made.AUDIT, made.OVERLAPS),
        "Décodée, RGB, 64 × 64 pixels | 300 | 1 | rien à redimensionner",
        "Pixels identiques à une autre | 3 | 0.01 | image vue deux fois",
        "Groupes identiques, sur plusieurs splits | 1 | nan | fuite directe",
        "Paires qui se chevauchent | 3 | nan | terrain vu deux fois",
        "Chevauchements sur deux splits | 3 | nan | 1,67 % du test",  # one of 60
        "Chevauchements, deux étiquettes | 1 | nan | étiquette ambiguë",
        "Sans aucune donnée (noire) | 0 | 0 | rien",
        "Au moins un pixel sans donnée | 0 | 0 | rien",
        "D’une seule couleur | 2 | 0.00667 | ni forme ni texture",
        "Presque unie (écart-type < 3 sur 255) | 7 | 0.0233 | seule la couleur moyenne informe",
        "Plus de 1 % des valeurs à 255 | 30 | 0.1 | détail perdu",
    ),
    (
        tables.lr_rules(made.LR_FINDER),
        "plus forte pente | 10⁻³ | 3 × 10⁻³ | 2 × 10⁻³ | 3,0",
        "vallée | 4 × 10⁻⁴ | 6 × 10⁻⁴ | 5 × 10⁻⁴ | 1,5",
        "minimum / 10 | 2 × 10⁻³ | 10⁻³ | 1,5 × 10⁻³ | 2,0",
        "médiane de toutes |  |  | 10⁻³ | 7,5",
    ),
]


def told(frame) -> list[str]:
    """Write the rows with plain spaces, and numbers to three digits."""
    rows = frame.itertuples(index=False)
    cells = ([f"{c:.3g}" if isinstance(c, float) else str(c) for c in row] for row in rows)
    return [" | ".join(row).translate(PLAIN) for row in cells]


@pytest.mark.parametrize(("frame", "rows"), [(frame, rows) for frame, *rows in TABLES])
def test_rows(frame, rows):
    assert told(frame) == rows


def test_few_seeds_two_finalists_and_a_sweep_without_suggestions():
    few = told(tables.seeds(made.seeds(7, 8)))
    assert few[-1] == "moyenne (n = 2) | — | — | 75,00 % | 65,19 %"
    pair = told(tables.finalists(made.FINALISTS))
    assert pair[1].endswith(" | −5,0 points [−7,5 ; −2,5]")
    assert told(tables.lr_rules(made.finder(made.sweep(0))))[-1] == "médiane de toutes |  | — | —"


def test_layers_variants_and_ranks(tiny):
    arch = checks.test_model.__wrapped__(tiny)
    frame, total = tables.layers(arch), arch.found["parameters"]
    assert frame["Paramètres"].iloc[-1] == frame["Paramètres"][:-1].sum() == total
    first = ["stages.0.0", "Conv2d", "3 → 4, 3×3, dilation 1", "(4, 16, 16)"]
    assert frame.iloc[0].tolist() == [*first, 3 * 4 * 9 + 4, 3 * 4 * 9 * 16 * 16]
    assert tables.variants(arch)["Champ réceptif (px)"].tolist() == [48, 64, 70, 94]
    ranks = tables.grid(made.GRID).index
    assert (ranks.name, ranks.tolist()) == ("Rang", [1, 2, 3, 4])


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
    frame = tables.openings(tiny)
    names = ["best", "best, 1\u00a0vue", "best, 8\u00a0vues", "best"]
    assert frame["Configuration"].tolist() == names
    assert frame["Rôle"].tolist()[::3] == ["entraînement final", "older"]  # as it stands
    first = "2026-01-02 03:04:05 UTC | entraînement final | best | 42 | 2 | aaaaaaaaaaaa | 5400"
    assert told(frame)[0] == first
