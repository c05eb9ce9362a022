"""Words of sections 0 to 4: the values that are written, and the verdict of each outcome."""

import pytest
from answer_facts import facts, initial, shuffled

from eurosat_lib.french import FIXED, THIN
from eurosat_lib.report import words

NAMES = ["S0", "S1.1", "S1.2", "S1.3", "S1.4", *(f"D{i}" for i in range(1, 12))]
NAMES += ["S2.1", "S2.2", "S2.3", "S3", "S4", *(f"M{i}" for i in range(5))]
AUDIT, PIPELINE, OVERLAPS = "explore_dataset.", "verify_pipeline.", "find_overlaps."
CLEAN = {AUDIT + name: 0 for name in ("duplicates", "duplicates_across", "black", "flat", "faint")}
APART = {OVERLAPS + name: 0 for name in ("found", "across", "relabelled", "test_images")}
BIASED = {AUDIT + "balance": {"p_value": 0.01}}
RARE = {AUDIT + "counts": {"train": [60, 30], "validation": [20, 30], "test": [20, 40]}}
FLAT = {"lr_finder.reliable": False, "lr_finder.choice": None, "lr_finder.faults": {"1": "flat"}}
HAND = {"chosen_lr": {"lr": 2e-3, "rule": "valley", "smoothing": 0.9}}
LATE = {"overfit_small.reached": False}
UNIT = {PIPELINE + "value_mean": [0.0, 0.02, -0.05], PIPELINE + "value_sd": [0.95, 1.0, 1.05]}


def first(**options) -> dict:
    return {"check_initial_loss": initial(**options).facts()}


OUTCOMES = [  # answer, facts that differ, word, what it is then
    ("S0", {}, "etudiant", "_Nom, Prénom_"),
    ("S0", {"config.identity.author": "Ada L."}, "etudiant", "Ada L."),
    ("S0", {}, "depot", "_URL publique_"),
    ("S0", {"config.identity.repository": "https://x.org/y"}, "depot", "<https://x.org/y>"),
    ("S0", {"environment.cuda": "12.4"}, "cuda", "12.4"),
    ("S0", {"config.paths.name": "essai"}, "resultats", "artifacts/essai/"),
    ("D1", {}, "lecture", ", révision `b4e2855`"),
    ("D1", {AUDIT + "source_revision": None}, "source", "EuroSAT"),
    ("D1", {AUDIT + "synthetic": True}, "source", "synthétique"),
    ("D2", {}, "utilisees", "la totalité"),
    ("D2", {PIPELINE + "used.train": 100}, "utilisees", "100, 60 et 60, tirées au hasard"),
    ("D3", {}, "decoupage", "publié"),
    ("D3", {AUDIT + "published_lists": False}, "decoupage", "autre"),
    ("D3", {AUDIT + "synthetic": True}, "decoupage", "synthétique"),
    ("D3", {AUDIT + "synthetic": True}, "fuite", "aucune"),
    ("D3", {}, "stratification", "oui"),
    ("D3", RARE, "stratification", "hasard"),
    ("D3", RARE | BIASED, "stratification", "biais"),
    ("D3", RARE | {AUDIT + "balance": None}, "stratification", "inconnue"),
    ("D3", {}, "fuite", "vue"),
    ("D3", APART, "fuite", "non vue"),
    ("D3", {"config.data.split": "spatial"}, "fuite", "régions"),
    ("D4", {}, "desequilibre", "fort"),
    ("D4", {AUDIT + "imbalance": 1.56}, "desequilibre", "modéré"),
    ("D4", {AUDIT + "imbalance": 1.05}, "desequilibre", "équilibré"),
    ("D5", {}, "suite", "à nettoyer"),
    ("D5", CLEAN, "suite", "fuite bornée"),
    ("D5", CLEAN | APART, "suite", "rien"),
    ("D6", {}, "constantes", "celles d’ImageNet"),
    ("D6", {"config.preprocess.mean": [0.3, 0.4, 0.4]}, "constantes", "choisies par nous"),
    ("D6", {"config.preprocess.statistics": "data"}, "mean", "[0.34, 0.38, 0.41]"),
    ("D6", {}, "resize", "les vignettes l’ont déjà, et l’opération les laisse intactes"),
    (
        "D6",
        {"config.data.image_size": 32},
        "resize",
        "réduire les vignettes divise le calcul par 4",
    ),
    ("D6", {}, "centrage", "non"),
    ("D6", UNIT, "centrage", "oui"),
    ("D8", {}, "tirages", "vérifiés"),
    ("D8", {PIPELINE + "reshuffled": False}, "tirages", "anormaux"),
    ("D8", {PIPELINE + "repeatable": False}, "tirages", "anormaux"),
    ("D8", {"config.augment.symmetries": True}, "retournement", "Symétries du carré"),
    ("D9", {}, "variation", "reste petit devant"),
    ("D9", {"config.augment.contrast": 0.5}, "variation", "atteint"),
    ("D10", {AUDIT + "synthetic": True}, "images", "synthétiques"),
    ("D11", {}, "coherence", "oui"),
    ("D11", {PIPELINE + "coherent": False}, "coherence", "non"),
    ("M0", {}, "ecart", "tient dans"),
    ("M0", {"compute_baselines.majority_validation": 0.2}, "ecart", "dépasse"),
    ("M2", first(), "verdict", "cohérente"),
    ("M2", first(shift=0.5), "verdict", "incohérente"),
    ("M2", first(loss=3.0), "verdict", "incohérente"),
    ("M2", first() | {"check_initial_loss.tensors": 6}, "gradient", "biais"),
    ("M2", first(bias=0.5), "gradient", "partout"),
    ("M2", first(lost=True), "gradient", "faible"),
    ("M3", {}, "verdict", "démontré"),
    ("M3", LATE, "verdict", "non démontré"),
    ("M3", {}, "controles", "réussis"),
    ("M3", {"check_training.repeatable": False}, "controles", "à revoir"),
    ("M3", {"check_training.uses_images": False}, "controles", "à revoir"),
    ("M3", {"shuffled_labels": shuffled(other=(0.5,) * 5).facts()}, "controles", "à revoir"),
    ("M4", {}, "choix", "médiane"),
    ("M4", HAND, "choix", "main"),
    ("M4", HAND, "regle", "vallée"),
    ("M4", FLAT, "choix", "repli"),
    ("M4", FLAT, "fautes", "graine 1 : la perte ne descend pas assez"),
    ("M4", FLAT, "lectures", "impossibles"),
    ("M4", {}, "lectures", "possibles"),
]
VALUES = [  # answer, word, what is written
    ("D1", "forme", "(3, 64, 64)"),
    ("D1", "metres", 640),
    ("D3", "test_part", f"1,7{THIN}%"),
    ("D4", "rapport", "3,00"),
    ("D4", "grande_part", f"50,0{THIN}%"),
    ("D5", "explique", f"30 à 50{THIN}%"),
    (
        "D5",
        "doublons",
        f"3{FIXED}images en double, dont **1{FIXED}groupe réparti sur plusieurs "
        "splits**, une fuite directe",
    ),
    ("D8", "cadrages", "162"),
    ("D9", "dispersion", f"29 à 59{THIN}%"),
    ("D11", "reste", f"4{FIXED}images"),
    ("M0", "barre", f"66,0{THIN}%"),
    ("M1", "parametres", f"1{THIN}149{THIN}770"),
    ("M1", "champs", "48 à 94 pixels"),
    ("M3", "reconnues", f"100{THIN}%"),
    ("M4", "weight_decays", "10⁻⁵ et 10⁻⁴"),
    ("M4", "fenetre", "10⁻³ → 10⁻²"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", ["full", "quick"])
def test_the_facts_of_a_run_fill_every_answer(name, profile):
    assert words.render(name, facts(profile=profile))


@pytest.mark.parametrize(("name", "changes", "word", "expected"), OUTCOMES)
def test_each_outcome_has_its_word_and_renders(name, changes, word, expected):
    tree = facts(changes)
    assert words.words_of(name, tree)[word] == expected
    assert words.render(name, tree)


@pytest.mark.parametrize(("name", "word", "expected"), VALUES)
def test_values_are_written(name, word, expected):
    assert words.words_of(name, facts())[word] == expected


def test_phrases_of_the_audit_agree_with_their_counts():
    said = words.words_of("D5", facts(CLEAN | APART | {AUDIT + "saturated": 0}))
    phrases = [said[name] for name in ("doublons", "chevauchements", "unies", "saturees")]
    assert all(phrase.startswith("aucune") for phrase in phrases)
    one = words.words_of("D5", facts({OVERLAPS + "found": 1, AUDIT + "saturated": 1}))
    assert one["chevauchements"].startswith(f"1{FIXED}paire de vignettes a ")
    assert one["saturees"].startswith(f"1{FIXED}image a ")
    assert "toutes de River (6) ou de Forest (1)" in words.words_of("D5", facts())["unies"]
