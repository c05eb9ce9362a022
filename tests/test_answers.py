"""Verdicts, a case per outcome, and the words of each answer that follow from them."""

import shutil
import subprocess

import handmade
import pytest
from answer_facts import ROOT, SPLITS, facts

from eurosat_lib.config import load_config
from eurosat_lib.files import write_text
from eurosat_lib.report import words, words_data, words_results

UP, DOWN, OPEN = (0.01, 0.03), (-0.03, -0.01), (-0.01, 0.03)
GRID = {"name": "a", "origin": "grid_search", "score": 0.7, "epochs": 3, "train_images": 3000}
OTHER = GRID | {"name": "b"}
SMOOTHED = {"smoothing": 0.9, "min_lr": 1e-6, "max_lr": 1.0, "iterations": 100}
SWEEP = {"choice": 1.3e-4, "lowest": 1.2e-4, "highest": 1.9e-4}
TWO, THREE = (-0.020, -0.001, 0.019, 0.023), (-0.061, -0.034, -0.090, -0.081)  # by depth


def effect(bounds=UP, mean=0.02, wins=7, pairs=8, differences=()):
    low, high = bounds
    found = {"low": 1.0, "high": 2.0, "pairs": pairs, "wins_high": wins, "mean": mean}
    found |= {"ci_low": low, "ci_high": high, "differences": list(differences)}
    return found | {"sign": (low > 0) - (high < 0)}


LONE = effect(OPEN) | {"ci_low": None}  # of a single pair
TRAIN = {"last_train_accuracy": 0.95, "last_val_low": 0.94, "last_val_high": 0.96, "trend": None}
TRAIN |= {"epochs": 20, "lowest_val_loss_epoch": 10, "last_val_loss": 0.2, "lowest_val_loss": 0.2}
TRAIN |= {"largest_drop": 0.01, "diverged": "", "best_epoch": 15}
RISES, FALLS = "ne plafonne pas encore", "la perte baissait encore, sans gain net en validation"


def train(accuracy=None, loss=None, **changes):
    trend = None
    if accuracy:
        ends = {"val_accuracy": accuracy, "train_loss": loss}
        trend = {name: {"low": low, "high": high} for name, (low, high) in ends.items()}
    return TRAIN | {"trend": trend} | changes


def cases(*differences):
    found = [{"value": 2, "score": effect(differences=one)} for one in differences]
    return {"grid_search.lr_effect_by.blocks_per_stage": found}


@pytest.mark.parametrize(
    ("verdict", "given", "word"),
    [
        (words.underfitting, [train(UP, DOWN)], "oui"),
        (words.underfitting, [train(UP, OPEN)], "en partie"),
        (words.underfitting, [train(OPEN, OPEN)], "non (plateau)"),
        (words.underfitting, [train(UP, DOWN, last_train_accuracy=0.995)], "non"),
        (words.underfitting, [train()], "indécidable"),
        (words.overfitting, [train(last_train_accuracy=0.97, last_val_loss=0.3)], "oui"),
        (words.overfitting, [train(last_train_accuracy=0.97)], "un début"),
        (words.overfitting, [train(last_val_loss=0.3)], "non établi"),
        (words.overfitting, [train(last_val_loss=0.3, epochs=10)], "aucun signe"),
        (words.plateau, [train(UP, DOWN)], RISES),
        (words.plateau, [train(best_epoch=20)], RISES),
        (words.plateau, [train(OPEN, OPEN)], "plafonne"),
        (words.plateau, [train(DOWN, OPEN)], "recule à la fin"),
        (words.plateau, [train()], ""),
        (words.ending, [train(OPEN, DOWN)], FALLS),
        (words.direction, [effect(), "plus", "moins"], "plus"),
        (words.direction, [effect(OPEN, -0.01, 3), "plus", "moins"], "moins"),
        (words.direction, [effect(OPEN, 0.01, 4), "plus", "moins"], "presque inchangé"),
        (words.direction, [effect((-0.08, 0.08), 0, 4), "plus", "moins"], "sans direction nette"),
        (words.rarity, [0.7, [0.7, 0.9]], "peut être une cause d’erreurs"),
        (words.rarity, [0.8, [0.7, 0.8, 1.0]], "ne suffit pas à expliquer les erreurs"),
        (words.rarity, [0.9, [0.7, 0.9]], "n’explique pas les erreurs"),
        (words.lag, [SMOOTHED], {"retard": "9", "decalage": "3,5"}),
        (words.stability, [train(diverged="loss not finite")], "divergence"),
        (words.stability, [train(largest_drop=0.03)], "agitée"),
        (words.stability, [train()], "bonne"),
        (words.stability, [train(epochs=1)], "indécidable"),
        (words.against_expectation, [effect(), 1], "c’est bien le cas"),
        (words.against_expectation, [effect(DOWN), 1], "ce n’est pas le cas"),
        (words.against_expectation, [effect(), 0], "ce n’est pas le cas"),
        (words.against_expectation, [effect(OPEN), 1], "ces runs ne tranchent pas"),
        (words.against_expectation, [effect(OPEN), 0], "rien ne contredit cette attente"),
        (words.against_expectation, [LONE, 0], "ces runs ne tranchent pas"),
        (words.against_expectation, [effect(pairs=0), 0], "rien n’a été essayé ici"),
        (words.beside_sweep, [1.5e-4, SWEEP], "**dans**"),
        (words.beside_sweep, [1.1e-4, SWEEP], "**juste au-dessous** de"),
        (words.beside_sweep, [2.3e-4, SWEEP], "**juste au-dessus** de"),
        (words.beside_sweep, [1e-3, SWEEP], "**nettement au-dessus** de"),
        (words.beside_sweep, [1e-3, {}], ""),
        (words.beside_sweep, [1e-3, {"choice": None}], "sans choix"),
        (words.refinement, [OTHER | {"score": 0.8}, GRID], "gain"),
        (words.refinement, [OTHER | {"score": 0.6}, GRID], "aucun gain"),
        (words.refinement, [GRID, GRID], "même point"),
        (words.refinement, [GRID | {"epochs": 5}, GRID], "incomparable"),
        (words.refinement, [GRID, None], "seule"),
        (words.refinement, [GRID | {"origin": "fallback"}, GRID], "seule"),
        (words.leads, [{"finalists": [1, 2, 3], "n_beaten": 0}], "à égalité"),
        (words.leads, [{"finalists": [1, 2, 3], "n_beaten": 1}], "en partie"),
        (words.leads, [{"finalists": [1, 2, 3], "n_beaten": 2}], "se détache"),
        (words.leads, [{"finalists": [1], "n_beaten": 0}], "seul"),
    ],
)
def test_each_outcome_of_a_verdict(verdict, given, word):
    assert verdict(*given) == word


AUDIT, PIPELINE = "explore_dataset.", "verify_pipeline."
CLEAN = {AUDIT + name: 0 for name in ("duplicates", "duplicates_across", "black", "flat")}
SYNTHETIC = {AUDIT + "synthetic": True}
FLAT = {"lr_finder.reliable": False, "lr_finder.choice": None, "lr_finder.faults": {"1": "flat"}}
HAND = {"chosen_lr": {"lr": 2e-3, "rule": "valley", "smoothing": 0.9}}
DATA = {"config.preprocess.statistics": "data"}
TREND = {"val_accuracy": {"slope": 0.01, "low": -0.01, "high": 0.03}}
TREND = {"train.trend": TREND | {"train_loss": {"slope": -0.02, "low": -0.03, "high": -0.01}}}
SAME = "+1,0\u00a0point [−1,0\u202f;\u00a03,0]"
CUT = "la grille ne dure que 3\u00a0époques par run, sur 48\u00a0images"
NO, FEW = "ce n’est pas le cas", " ; deux graines ne suffisent pas à en mesurer la dispersion"
COMMON = " ; 1\u202f038 images leur sont communes"
LIGHT, CHOICE = "measure_robustness.light_harmful", {"lr_finder.choice": 1e-3}
SECOND = " ; *River* prise pour *Highway* (1\u00a0image), que nous attendions, est au rang 2"
EXCESS = "analyse_errors.excess_interval_before"
CHOSEN = {"train.origin": {"lr": "compare_finalists"}, "compare_finalists.n_beaten": 0}
LOSS, FAR = "check_initial_loss.", "n’atteint pas le côté de l’image (96 pixels), mais la moyenne "
NEAR = "atteint déjà le côté de l’image (32 pixels) pour tous les réseaux"
FAR += "globale réunit toutes les positions"
OUTCOMES = [  # answer, facts that differ, word, what it is then
    ("S0", {"config.identity.author": "Ada L."}, "etudiant", "Ada L."),
    ("S0", {}, "depot", "_URL publique_"),
    ("D2", {PIPELINE + "used.train": 100}, "utilisees", "100, 60 et 60, tirées au hasard"),
    ("D3", {}, "decoupage", "publié"),
    ("D3", {AUDIT + "published_lists": False}, "decoupage", "autre"),
    ("D3", SYNTHETIC, "decoupage", "synthétique"),
    ("D3", {"config.data.split": "spatial"}, "decoupage", "spatial"),
    ("D3", {"config.data.split": "spatial"}, "voisines", ""),
    ("D3", {}, "repartition", "stratifiée"),
    ("D3", {AUDIT + "balance": {"p_value": 0.372}}, "repartition", "hasard"),
    ("D3", {AUDIT + "balance": {"p_value": 0.01}}, "repartition", "biais"),
    ("D4", {AUDIT + "imbalance": 1.56}, "modere", "oui"),
    ("D5", {"explore_dataset.faint": 0, "explore_dataset.faint_classes": []}, "dont", ""),
    ("D5", {}, "a_nettoyer", "oui"),
    ("D5", {}, "copies", "3 ; 1\u00a0groupe sur plusieurs splits"),
    ("D5", CLEAN, "a_nettoyer", ""),
    ("D5", {}, "dont", ", dont 6 de *River* et 1 de *Forest*"),
    ("D6", {}, "constantes", words_data.WHOSE["ImageNet"]),
    ("D6", {"config.preprocess.mean": [0.3, 0.4, 0.4]}, "constantes", words_data.WHOSE["other"]),
    ("D6", DATA, "constantes", words_data.WHOSE["data"]),
    ("D8", {PIPELINE + "reshuffled": False}, "changent", "**ne changent pas**"),
    ("D8", {PIPELINE + "repeatable": False}, "redonne", "**ne redonne pas**"),
    ("D9", {}, "variation", "reste sous"),
    ("D9", {AUDIT + "channel_sd": [0.2, 0.14, 0.01]}, "variation", "dépasse"),
    ("M1", {}, "couvre", "atteint déjà le côté de l’image (64 pixels) pour 1 des 2 réseaux"),
    ("M1", {"test_model.input_shape": [3, 32, 32]}, "couvre", NEAR),
    ("M1", {"test_model.input_shape": [3, 96, 96]}, "couvre", FAR),
    ("M2", {}, "gradient", "biais"),
    ("M2", {LOSS + "faint": ["stages.0.1.bias", "head.bias"]}, "gradient", "faible"),
    ("M2", {LOSS + "faint": []}, "gradient", "partout"),
    ("M3", {"shuffled_labels.shuffled_known": 0.4}, "par_coeur", ""),
    ("M3", {}, "controles", "réussies"),
    ("M3", {"check_training.uses_images": False}, "controles", "à revoir"),
    ("M3", {"shuffled_labels.informative": False}, "controles", "à revoir"),
    ("M4", {}, "comment", "médiane de 6 lectures, trois par graine"),
    ("M4", HAND, "comment", "lu à la main sur la courbe (règle : vallée)"),
    ("M4", FLAT, "lr", "5\u202f×\u202f10⁻⁴"),
    ("M5", {}, "sous_la_barre", "2\u00a0runs"),
    ("M5", {"compute_baselines": None}, "sous_la_barre", ""),
    ("M5", cases(TWO, THREE), "interaction", "nette"),
    ("M5", cases(TWO, (-0.03, 0.02, 0.0, 0.03)), "interaction", "non tranchée"),
    ("M5", cases(TWO), "interaction", "non mesurée"),
    ("M5", cases(TWO, TWO[:3]), "interaction", "non mesurée"),
    ("M5", cases(TWO[:2], TWO[:2]), "interaction", "non mesurée"),
    ("S6", {}, "autre_plan", ""),
    ("S6", {"final_architecture.receptive_field": 94}, "receptive_field", "94"),
    ("S6", {"final_architecture.blocks_per_stage": 3}, "autre_plan", "oui"),
    ("S6.lr", {"train.lr": 5e-4, **CHOICE}, "compare", "2,0 fois plus petit que celui"),
    ("S6.lr", {"train.lr": 5e-3, **CHOICE}, "cause", ""),
    ("S6.lr", {"train.lr": 5e-4}, "au_dela", "plus petit"),
    ("S6.lr", {"lr_finder.choice": None}, "finder", ""),
    ("M6", TREND, "pente_val_accuracy", SAME),
    ("M6", {}, "mieux", "98,8\u202f%"),
    ("M6", {"beside.low": -0.01}, "mieux", ""),
    ("M6", {"train.lowest_val_loss_epoch": 3}, "minimum", ", son minimum"),
    ("M7", {"compare_curves.dilation_stage3.score": effect(DOWN)}, "dilation_stage3", NO),
    ("S8", {}, "montent", "2\u00a0runs"),
    ("M8", {"compare_finalists.n_seeds": 2}, "ecart_type", ""),
    ("M8", {}, "bord", "le plus petit"),
    ("M8", {}, "verdict", "même point"),
    ("M8.recette", {"beside.same_network": False}, "reseau", "Un autre réseau (B = 3, D = 3)"),
    ("M8.recette", {}, "ecart", "+2,00\u00a0points [1,00\u202f;\u00a03,00]"),
    ("S9", {"confusions": [["River", "Highway", 9]]}, "attente", "comme attendu"),
    ("S9", {"confusions": [["A", "B", 9]]}, "attente", "contre notre attente"),
    ("S9", {"confusions": [["A", "B", 9], ["River", "Highway", 1]]}, "attendue", SECOND),
    ("S9", {"synthetic": True}, "confusion", ""),
    ("S9.4", {LIGHT: ["blur", "haze"]}, "legers", "le flou et la brume font déjà"),
    ("S9.3", {EXCESS: OPEN}, "verdict", "bonne"),
    ("S9.3", {EXCESS: UP}, "verdict", "trop haute"),
    ("S9.3", {EXCESS: DOWN}, "verdict", "trop basse"),
    ("S9.graines", {"evaluate_seeds": handmade.seeds(7).facts()}, "several", ""),
    ("S9.graines", {}, "dispersion", ", écart-type 10,00\u00a0points"),
    ("S9.graines", {"evaluate_seeds": handmade.seeds(7, 8).facts()}, "dispersion", FEW),
    ("S9.6", {"compare_splits": SPLITS, "common": 1038}, "communes", COMMON),
    ("S9.6", {"compare_splits": SPLITS}, "pire", "−37,0\u00a0points (Forest)"),
    ("M9", {"evaluate.gap": -0.012}, "raisonnable", "l’est"),
    ("M9", {"evaluate.gap": 0.02}, "raisonnable", "ne l’est pas"),
    ("M9", {"evaluate.low": 0.67}, "barre", "est au-dessus de"),
    ("M9", {"compute_baselines": None}, "barre", ""),
    ("M9", {}, "par_coeur", "inconnu"),
    ("M9", {"evaluate.hyperparameters.dilation_stage3": 3}, "par_coeur", "non"),
    ("S10", {"grid_search": None}, "recherches", "aucune grille n’a été calculée"),
    ("S10", {}, "recherches", "la grille ne dure que 3\u00a0époques par run"),
    ("S10", {"train.train_images": 99}, "recherches", CUT),
    ("S11", {}, "checkpoint_case", " "),
    ("S11", {"config.seed": 7}, "graines_finalistes", "8, 9 et 10"),
    ("resume", CHOSEN, "finalistes", "à égalité"),
]


@pytest.mark.parametrize(("name", "changes", "word", "expected"), OUTCOMES)
def test_each_outcome_has_its_word_and_renders(name, changes, word, expected):
    tree = {stage: found for stage, found in facts(changes).items() if found is not None}
    found = words.words_of(name, tree)
    assert found[word] == expected
    assert all(str(text).count("[") == str(text).count("]") for text in found.values())
    assert words.render(name, tree)


def test_an_effect_is_said_with_its_interval_its_direction_and_its_pairs():
    undecided = (
        "plus bas (−1,0\u00a0point [−1,0\u202f;\u00a03,0], 5\u00a0paires sur 8, non tranché)"
    )
    assert words_results._seen({"score": effect(OPEN, -0.01, 3)}, "score") == undecided
    found = {"speed": effect(UP, 0.02, 8) | {"ci_low": None}}
    alone = "plus rapide (+2,0\u00a0points, 8\u00a0paires sur 8, établi à cette graine)"
    assert words_results._seen(found, "speed") == alone


def test_opposite_effects_and_the_ends_of_curves_are_said():
    starts = [{"value": b, "speed": effect(OPEN, mean)} for b, mean in ((2, 0.058), (3, -0.057))]
    told = " : +5,8\u00a0points avec B = 2 et −5,7\u00a0points avec B = 3, sans rien d’établi"
    assert words_results._opposed(starts) == told and words_results._opposed(starts[:1]) == ""
    runs = (("a", 2, 0.669), ("b", 3, 0.618), ("c", 3, 0.9))
    rows = [{"run": run, "blocks_per_stage": b, "val_accuracy": end} for run, b, end in runs]
    told = " ; les courbes finissent à 66,9\u202f% avec B = 2 et 61,8\u202f% avec B = 3"
    curves = [{"name": "a"}, {"name": "b"}]
    assert words_results._ends("blocks_per_stage", curves, rows) == told


def test_the_extract_of_the_configuration_has_no_null_and_the_values_of_the_checkpoint():
    told = words.words_of("S11", facts())["extrait"]
    assert "null" not in told and "lr: 0.001" in told and "weight_decay: 1.0e-05" in told


def test_diary_is_shown_as_it_is_and_its_absence_is_said(tmp_path):
    assert words_results.journal(tmp_path, "") == words_results.journal(tmp_path, "x") == ""
    write_text(tmp_path / "journal.md", "<!-- mode d’emploi -->\n- **1er mai.** NaN\n")
    assert words_results.journal(tmp_path, "x") == "- **1er mai.** NaN"
    write_text(tmp_path / "x" / "journal.md", "- autre\n")
    assert words_results.journal(tmp_path, "x") == "- autre"
    own = words.words_of("S10", facts())
    assert "- autre" in words.fill("S10", own | {"journal": "  - autre"})
    assert "aucun journal" in words.fill("S10", own | {"journal": ""})


def test_files_are_there_only_when_git_holds_them(tmp_path):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    config = load_config(tmp_path / "configs/config.yaml")
    own = "train: {lr: 0.001, weight_decay: 1.0e-5, dilation_stage3: 2, blocks_per_stage: 2}"
    for name in ("runs/train/events.1", "artifacts/best.ckpt", "artifacts/config.yaml"):
        write_text(tmp_path / name, own)
    assert not any(words_results.files_there(config, handmade.EVALUATION).values())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert all(words_results.files_there(config, handmade.EVALUATION).values())
    (tmp_path / "artifacts/config.yaml").write_text("train: {lr: 0.5}")
    (tmp_path / "artifacts/best.ckpt").unlink()
    found = words_results.files_there(config, handmade.EVALUATION)
    assert found == {"runs": True, "checkpoint": False, "config": False}
