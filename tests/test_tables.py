import pytest
from answer_facts import architecture, initial, sanity, shuffled
from handmade import (
    AUDIT,
    BASELINES,
    DUPLICATES,
    ERRORS,
    EVALUATION,
    FINALISTS,
    GRID,
    INITIAL_LOSS,
    LR_FINDER,
    ON_TEST,
    OVERFIT,
    OVERLAPS,
    PIPELINE,
    ROBUSTNESS,
    SEAMS,
    TRAINING,
    finder,
    perfect,
    seeds,
    sweep,
    trial,
)

from eurosat_lib import tables
from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import summarise_checks
from eurosat_lib.checks import test_model as architecture_of
from eurosat_lib.evaluation import FinalistsOnTest, paired_difference, wilson
from eurosat_lib.french import intervalle, nombre
from eurosat_lib.grid import RefinedGrid, compare
from eurosat_lib.lr_finder import Resets
from eurosat_lib.report.tables import to_html
from eurosat_lib.stages import cache, openings, publish
from eurosat_lib.tables.words import layer_place, plural, power, typeset


def row(frame, key) -> list:
    """Cells of the row whose first column is the key."""
    first = frame.columns[0]
    return frame[frame[first] == key].iloc[0].tolist()[1:]


def written(frame) -> str:
    """Text of the table as the report writes it."""
    return to_html(frame, "légende", **frame.attrs)


def test_words():
    assert power(5e-4) == "5\u202f×\u202f10⁻⁴" and power(1e-5) == "10⁻⁵" and power(0) == "0"
    assert power(1.25e-3) == "1,25\u202f×\u202f10⁻³" and power(1) == "1"
    assert layer_place("stages.1.4.bias") == ("étage 2, bloc 2", "BatchNorm")
    assert layer_place("head.weight") == ("tête", "linéaire")
    assert plural(1, "époque") == "1\u00a0époque" and plural(2, "époque") == "2\u00a0époques"
    assert typeset("a : b ; c") == "a\u00a0: b\u202f; c"


def test_splits_add_up():
    frame = tables.splits(AUDIT)
    assert row(frame, "entraînement")[:2] == [180, 0.6]
    assert row(frame, "test")[2:] == ["River (10)", "HerbaceousVegetation (29)"]
    assert row(frame, "TOTAL")[:3] == [300, 1.0, "River (50)"]
    assert "60,0\u202f%" in written(frame)


def test_equal_classes_are_counted_not_named():
    even = AUDIT.model_copy(update={"counts": dict.fromkeys(AUDIT.counts, (5, 5, 5))})
    assert row(tables.splits(even), "test")[2] == "3 classes (5)"


def test_classes_add_up():
    frame = tables.classes(AUDIT)
    assert row(frame, "HerbaceousVegetation")[:4] == [90, 30, 29, 149]
    assert row(frame, "TOTAL") == [180, 60, 60, 300, 1.0]
    assert frame["Part"][:3].sum() == pytest.approx(1)


def test_findings_count_images():
    frame = tables.findings(AUDIT, DUPLICATES, OVERLAPS)
    assert frame["Cas"].tolist() == [300, 3, 1, 2, 3, 3, 1, 0, 0, 2, 7, 30]
    assert frame["Part"].iloc[-1] == 0.1 and frame["Part"].isna().sum() == 5
    reach = row(frame, "Chevauchements sur deux splits")[-1]
    assert reach == "1,67\u202f% du test"  # one image of 60, in two pairs
    clean = OVERLAPS.model_copy(update={"pairs": (), "correlations": ()})
    frame = tables.findings(AUDIT, DUPLICATES, clean)
    assert row(frame, "Chevauchements sur deux splits")[-1] == "rien à retirer"


def test_overlaps_are_counted_by_splits():
    frame = tables.overlap_counts(OVERLAPS)
    assert row(frame, "entraînement – test")[:2] == [2, 0]
    assert row(frame, "entraînement – validation")[:2] == [1, 1]
    assert row(frame, "TOTAL")[0] == 3
    assert row(frame, "TOTAL")[2] == pytest.approx(61 * 24 / 4096)  # the middle of three


def test_seams_are_set_beside_their_control():
    frame = tables.seam_counts(SEAMS)
    assert frame["Excès"].tolist() == [10, 7, 5]
    assert frame.iloc[1, -1] == "14,0\u202f% [1,0\u202f%\u202f;\u00a030,0\u202f%]"


def test_classes_carry_the_chi_square_test():
    note = tables.classes(AUDIT).attrs["note"]
    assert "χ² = 0,1 pour 4 degrés de liberté, p = 0,999" in note.replace("\u202f", " ")


def test_transformations_follow_the_configuration(tiny):
    steps = tables.preprocessing(tiny)
    assert steps["Opération"].tolist() == ["Resize", "ToTensor", "Normalize"]
    assert "(16, 16)" in steps["Paramètres"][0]
    assert "0,485\u202f;\u00a00,456" in steps["Paramètres"][2]
    augment = tables.augmentation(tiny)
    operations = ["RandomCrop", "RandomHorizontalFlip", "ColorJitter"]
    assert augment["Opération"].tolist() == operations
    assert "1 pixel de chaque côté" in augment["Paramètres"][0]
    assert "[0,9\u202f;\u00a01,1]" in augment["Paramètres"][2]
    assert augment["Probabilité"][1] == "50\u202f%"


def test_pipeline_tells_failures():
    frame = tables.pipeline(PIPELINE)
    assert row(frame, "Forme d’un lot d’entraînement") == ["(16, 3, 16, 16), float32"]
    assert row(frame, "Lots de 16 par époque") == ["entraînement 12, validation 4, test 4"]
    assert row(frame, "Lot conforme à meta") == ["oui"]
    assert row(frame, "Ordre fixe en validation") == ["non"]


def test_baselines():
    frame = tables.baselines(BASELINES)
    assert row(frame, "Classe majoritaire (River)") == [0.108, 0.1026]
    text = written(frame)
    assert "10,26\u202f%" in text and "66,00\u202f%" in text and "—" in text


def test_layers_and_variants(tiny):
    arch = architecture_of(tiny)
    frame = tables.layers(arch)
    assert frame["Paramètres"].iloc[-1] == arch.parameters
    assert frame["Paramètres"][:-1].sum() == arch.parameters
    first = frame.iloc[0].tolist()
    assert first[:4] == ["étage 1, bloc 1", "Conv2d", "3 → 4, 3×3, dilatation 1", "(4, 16, 16)"]
    assert first[5] == 3 * 4 * 9 * 16 * 16
    assert frame["Place"].tolist()[-3:] == ["tête", "tête", "TOTAL"]
    variants = tables.variants(arch)
    assert variants["Champ réceptif (px)"].tolist() == [48, 64, 70, 94]
    assert variants["Contrôlée ici"].tolist() == [True, False, False, False]


def test_initial_loss():
    frame = tables.initial_loss(INITIAL_LOSS)
    assert row(frame, "Perte observée (nats)") == ["2,3500"]
    assert row(frame, "Perte théorique, ln 10 (nats)") == ["2,3026"]
    assert row(frame, "Tenseurs atteints par le gradient") == ["3 / 4"]
    key = "Moyenne ± écart-type sur 3 initialisations (nats)"
    assert row(frame, key) == ["2,3000 ± 0,0500"]


def test_theory_beside_measurement():
    sound = tables.theory(summarise_checks(architecture(), initial(), shuffled(), sanity()))
    assert row(sound, "Paramètres, 2\u00a0blocs") == [
        "formule",
        "1\u202f149\u202f770",
        "1\u202f149\u202f770",
        "1,000",
        "oui",
    ]
    assert row(sound, "Champ réceptif (px), 3\u00a0blocs, D = 3")[1:3] == ["94", "94"]
    assert row(sound, "Logits modifiés par une autre image du lot")[1:] == ["0", "0", "—", "oui"]
    mixed = tables.theory(summarise_checks(architecture(), initial(), shuffled(), sanity(0.25)))
    key = "Logits modifiés par une autre image du lot"
    assert row(mixed, key)[1:] == ["0", "0,250", "—", "non"]


def test_overfit_shows_first_and_last_epoch():
    frame = tables.overfit(OVERFIT)
    assert frame["Époque"].tolist() == [1, 5, 7]
    assert frame["Perte (nats)"].tolist() == [2.3, 0.1, 0.004]
    single = OVERFIT.model_copy(update={"losses": (2.3,), "accuracies": (0.25,)})
    assert tables.overfit(single)["Exactitude"].tolist() == ["25,0\u202f%"]


def test_lr_rules():
    frame = tables.lr_rules(LR_FINDER)
    columns = ["Règle", "Graine 0", "Graine 1", "Médiane", "Étendue (facteur)"]
    assert list(frame.columns) == columns
    assert row(frame, "vallée") == [power(4e-4), power(6e-4), power(5e-4), "1,5"]
    assert row(frame, "choix (médiane de toutes)")[-2:] == [power(1e-3), "7,5"]


def test_lr_rules_without_a_reliable_curve():
    frame = tables.lr_rules(finder(sweep(0, steepest=1e-3), sweep(1)))
    assert row(frame, "plus forte pente") == ["10⁻³", "—", "—", "—"]
    assert row(frame, "choix (aucun)")[-2:] == ["—", "—"]
    assert "graine 1\u00a0: la perte ne descend pas assez" in written(frame)


def test_lr_rules_with_the_protocol_of_the_course():
    resets = Resets(
        lr=(1e-5, 1e-4, 1e-3, 1e-2),
        steps=9,
        tail=3,
        scores=((2.3, 1, 1, 2),),
        within=((0.01,) * 4,),
    )
    helped = finder(sweep(0)).model_copy(update={"resets": resets})
    frame = tables.lr_rules(helped)
    assert row(frame, "protocole du cours")[-2:] == [power(3.2e-4), "10,0"]
    assert row(frame, "choix (protocole du cours)")[-2] == power(3.2e-4)


def test_grid_is_ranked():
    frame = tables.grid(GRID)
    assert list(frame.index) == [1, 2, 3, 4] and frame.index.name == "Rang"
    assert frame["Run"].iloc[0] == "lr1e-3_wd1e-5_D3_B2"
    score = "Métrique val (exactitude)"
    assert frame[score][:3].tolist() == pytest.approx([0.75, 0.65, 0.4])
    assert frame.iloc[0][["LR", "WD", "Hyp-A (dilatation)"]].tolist() == ["10⁻³", "10⁻⁵", 3]
    assert frame["Perte val (nats)"].iloc[0] == pytest.approx(0.2)
    assert frame["Notes"].tolist()[0] == "en tête, meilleure époque (80,0\u202f%)"
    assert frame["Notes"].tolist()[1:] == ["≈", "", "diverge à l’époque 1"]
    assert frame["Étendue (points)"].iloc[2] == pytest.approx(20)
    text = written(frame)
    assert "—" in text and "Gupta" in text and "seul tirage des images de validation" in text


def test_refined_has_the_columns_of_the_grid():
    refined = RefinedGrid(trials=GRID.trials[:2], epochs=3, origin="grid_search")
    assert list(tables.refined(refined).columns) == list(tables.grid(GRID).columns)


def test_effects():
    frame = tables.effects(GRID)
    assert len(frame) == 4 * 4
    lr = frame[frame["Facteur"] == f"pas d’apprentissage (LR), 10⁻³ → {power(2e-3)}"]
    # 0.40 - 0.65: the diverged pair is left out; one pair supports no interval
    assert lr.iloc[1].tolist()[1:] == ["score", "−25,0 (sans intervalle)", "1 (1)", "non décidé"]
    assert lr.iloc[0, 2] == "−30,0 (sans intervalle)"
    decay = frame[frame["Facteur"] == "weight decay, 10⁻⁵"].iloc[0].tolist()
    assert decay[2:] == ["—", "0 (0)", "une seule valeur"]
    assert "99,4\u202f%" in written(frame)


def test_effects_with_an_interval():
    values = [(d, b, lr) for d in (2, 3) for b in (2, 3) for lr in (1e-3, 2e-3)]
    fits = [
        trial(lr=lr, d=d, b=b, values=(0.4 + 0.1 * d + (0.02 + lr) * b,) * 2)
        for d, b, lr in values
    ]
    frame = tables.effects(GRID.model_copy(update={"trials": tuple(fits)}))
    score = frame[frame["Facteur"] == "blocs par étage, 2 → 3"].iloc[1].tolist()
    assert score[3:] == ["4 (4)", "hausse"] and score[2].startswith("+2,")
    frame = frame[frame["Facteur"] == "dilatation de l’étage 3, 2 → 3"].iloc[1]
    assert frame["Effet (points)"] == "+10,0 (sans intervalle)"  # no spread at all


def test_finalists():
    frame = tables.finalists(FINALISTS)
    assert frame["Finaliste"].tolist() == ["lr2e-3_wd1e-5_D2_B2", "lr1e-3_wd1e-5_D2_B2"]
    assert frame["Moyenne"].tolist() == pytest.approx([0.76, 0.71])
    assert frame["Écart-type (points)"].tolist() == pytest.approx([2, 1])
    assert frame["Écart au premier"].tolist() == ["retenu", "−5,0 [−7,5\u202f;\u00a0−2,5]"]
    assert "43, 44 et 45" in written(frame)


def test_comparison():
    frame = tables.comparison(compare(GRID))
    dilation = frame[frame["Facteur"] == "dilatation de l’étage 3"]
    assert dilation["Valeur"].tolist() == ["2", "3"]
    assert dilation["Val, deux dernières"].tolist() == pytest.approx([0.65, 0.75])
    assert dilation["Écart train − val"].tolist() == ["−5,0\u00a0points"] * 2


def test_configuration_names_origins():
    frame = tables.configuration(TRAINING)
    assert row(frame, "Pas d’apprentissage (LR)") == ["10⁻³", "configuration"]
    assert row(frame, "Blocs par étage") == ["2", "grille resserrée"]
    assert row(frame, "Époques")[0] == "3 sur 4 prévues"


def test_history_marks_the_best_epoch():
    frame = tables.history(TRAINING)
    assert frame["Note"].tolist() == ["", "meilleure", ""]
    assert frame["Exactitude val"].tolist() == [0.5, 0.8, 0.7]


def test_metrics():
    frame = tables.metrics(EVALUATION)
    assert row(frame, "Exactitude") == ["80,00\u202f%", "70,00\u202f%", "−10,00\u00a0points"]
    assert row(frame, "Erreurs")[:2] == ["4", "3"]
    assert row(frame, "Perte (nats)")[2] == "+0,2000"


def test_per_class_adds_up():
    frame = tables.per_class(EVALUATION)
    assert frame["Erreurs"].tolist() == ["0", "2", "1", "3"]
    assert frame["Images"].tolist() == ["4", "3", "3", "10"]
    assert frame["Rappel (%)"].iloc[-1] == "66,7"
    low, high = wilson(2, 4, 0.95)  # River: two hits among four images involved
    bounds = [100 * 2 * bound / (1 + bound) for bound in (low, high)]
    assert row(frame, "River")[2] == f"66,7 {intervalle(bounds, 1, '')}"
    assert row(frame, "MOYENNE (macro), TOTAL")[2] == f"65,2 {intervalle((50, 90), 1, '')}"


def test_confusions():
    frame = tables.confusions(EVALUATION)
    assert frame["Images"].tolist() == [1, 1, 1]
    assert frame["Part de la classe"].tolist() == pytest.approx([1 / 3] * 3)
    assert frame["Part des erreurs"].sum() == pytest.approx(1)
    assert tables.confusions(perfect())["Images"].tolist() == [0]


def test_look_alikes():
    frame = tables.look_alikes(ERRORS)
    share = f"0,0\u202f% {intervalle(wilson(0, 3, 0.95))}"  # no two classes are of one family
    assert row(frame, "ENSEMBLE")[1:] == ["0", share, "0,0\u202f%"]


def test_calibration():
    frame = tables.calibration(ERRORS)
    assert row(frame, "Perte, NLL (nats)")[0] == nombre(ERRORS.before.nll, 4)
    assert row(frame, "Température")[1] == nombre(ERRORS.temperature, 3)


def test_robustness():
    frame = tables.robustness(ROBUSTNESS)
    accuracy, change = frame.columns[2:]
    assert frame[accuracy].iloc[0].startswith("90,0\u202f% [")
    turned = row(frame, "vue la moins favorable")
    assert turned[0] == "270°, miroir" and turned[1].startswith("69,0\u202f% [")
    noise = frame[frame["Images"] == "bruit"][change].tolist()
    low, high = paired_difference(1, 10, 100, 0.95)
    assert noise[0] == f"−9,0 {intervalle((100 * low, 100 * high), 1, '')}"
    assert [cell.split()[0] for cell in noise] == ["−9,0", "−19,0", "−29,0"]


def test_finalists_on_test():
    frame = tables.finalists_on_test(ON_TEST)
    assert frame["Juste seul"].tolist() == ["5", "1", "p = 0,219"]  # 2 (1 + 6) / 64
    assert frame["Test"].tolist() == ["84,00\u202f%", "80,00\u202f%", "+4,00\u00a0points"]
    assert len(tables.finalists_on_test(FinalistsOnTest(level=0.95))) == 1


def test_seeds():
    frame = tables.seeds(seeds(7, 8, 9))
    assert row(frame, "moyenne ± écart-type (n = 3)")[2] == "80,00\u202f% ± 10,00"
    assert row(frame, "moyenne ± écart-type (n = 3)")[3] == intervalle((0.5516, 1.0484), 2)
    two = row(tables.seeds(seeds(7, 8)), "moyenne ± écart-type (n = 2)")
    assert two[2:4] == ["75,00\u202f% ± 7,07", "—"]  # Student's would be 11.5 to 138.5 %
    assert len(tables.seeds(seeds(7))) == 1


def test_openings(tiny):
    openings.log_opening(tiny, EVALUATION, "2026-01-02T03:04:05+00:00", openings.FINAL)
    openings.log_opening(tiny, EVALUATION, "2026-01-02T03:04:05+00:00", openings.FINAL)
    frame = tables.openings(tiny)
    assert frame.iloc[0].tolist()[:5] == [
        "2026-01-02 03:04:05 UTC",
        "entraînement final",
        "lr1e-3_wd1e-5_D2_B2",
        "42",
        "2",
    ]
    assert len(frame) == 1
    time = "2026-01-02T03:05:00+00:00"
    openings.log_opening(tiny, EVALUATION, time, openings.RECIPE, "best, spatial, 8 views")
    assert tables.openings(tiny).iloc[1].tolist()[1:3] == ["recette", "best, spatial, 8 vues"]


def test_durations_name_the_longest_stages_and_add_the_others(tiny, monkeypatch):
    times = dict(zip("abcdefgh", (1, 50, 3, 4, 5, 6, 7, 24), strict=True))
    finished = {name: {"seconds": seconds} for name, seconds in times.items()}
    monkeypatch.setattr("eurosat_lib.tables.run._finished", lambda config: finished)
    frame = tables.durations(tiny)
    assert frame["Étape"].tolist() == [*"bhgfed", "2 autres", "TOTAL"]
    assert frame["Durée"].iloc[-2:].tolist() == ["4,0\u00a0s", "1\u00a0min\u00a040\u00a0s"]
    assert frame["Part"].tolist() == [0.5, 0.24, 0.07, 0.06, 0.05, 0.04, 0.04, 1]


def test_environment_lists_finished_stages(tiny):
    origin = {"seconds": 200, "device": "CPU x, 1 thread", "precision": "fp32"}
    path = publish.result_path(tiny, Baselines.stage)
    cache.write_json(path, {"provenance": origin, "result": {}, "scope": {}})
    frame = tables.environment(tiny)
    stages = frame[frame["Rubrique"] == "Étape"]
    value = "3\u00a0min\u00a020\u00a0s (CPU x, 1 thread, fp32)"
    assert stages[["Élément", "Valeur"]].to_numpy().tolist() == [["compute_baselines", value]]
    assert "PyTorch" in frame["Élément"].tolist()


def test_artifacts_are_hashed(tiny):
    folder = tiny.paths.artifacts
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_bytes(b"abc")
    run = tiny.paths.runs / "train" / "one"
    run.mkdir(parents=True)
    (run / "events.out").write_bytes(b"x" * 2500)
    frame = tables.artifacts(tiny)
    assert row(frame, "artifacts/best.ckpt")[1] == "ba7816bf8f01"  # sha256 of abc, FIPS 180-2
    assert row(frame, "runs/train/") == ["2,5\u00a0ko", "1\u00a0run"]


@pytest.mark.parametrize(
    "frame",
    [
        tables.splits(AUDIT),
        tables.findings(AUDIT, DUPLICATES, OVERLAPS),
        tables.overlap_counts(OVERLAPS),
        tables.seam_counts(SEAMS),
        tables.classes(AUDIT),
        tables.pipeline(PIPELINE),
        tables.initial_loss(INITIAL_LOSS),
        tables.overfit(OVERFIT),
        tables.lr_rules(LR_FINDER),
        tables.effects(GRID),
        tables.comparison(compare(GRID)),
        tables.configuration(TRAINING),
        tables.history(TRAINING),
        tables.metrics(EVALUATION),
        tables.per_class(EVALUATION),
        tables.confusions(EVALUATION),
        tables.look_alikes(ERRORS),
        tables.calibration(ERRORS),
        tables.robustness(ROBUSTNESS),
        tables.finalists_on_test(ON_TEST),
        tables.seeds(seeds(7, 8)),
    ],
    ids=lambda frame: frame.columns[0],
)
def test_the_report_writes_every_table(frame):
    text = written(frame)
    assert "<table" in text and "nan" not in text
