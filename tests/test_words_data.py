"""Words of each answer: the values that are written, and the verdict of each outcome."""

import handmade
import pytest
from answer_facts import SPLITS, facts

from eurosat_lib.french import THIN
from eurosat_lib.report import words

AUDIT, PIPELINE, OVERLAPS = "explore_dataset.", "verify_pipeline.", "find_overlaps."
CLEAN = {AUDIT + name: 0 for name in ("duplicates", "duplicates_across", "black", "flat")}
BIASED = {AUDIT + "balance": {"p_value": 0.01}}
FLAT = {"lr_finder.reliable": False, "lr_finder.choice": None, "lr_finder.faults": {"1": "flat"}}
HAND = {"chosen_lr": {"lr": 2e-3, "rule": "valley", "smoothing": 0.9}}


DATA = {"config.preprocess.statistics": "data"}
IMAGENET = "celles d’ImageNet, usuelles pour des images RGB, ce qui facilite les comparaisons"
INITIAL = "check_initial_loss."
BIASES = {INITIAL + "faint": ["stages.0.0.bias"], INITIAL + "tensors": 6}
FOURFOLD = ", et les réduire divise le calcul par 4 environ"
SWEPT = {"check_lr": {"choice": 2e-3, "lowest": 1e-3, "highest": 4e-3}}
FLAT_LINE = {"slope": 0.01, "low": -0.01, "high": 0.03}
TREND = {"val_accuracy": FLAT_LINE, "train_loss": {"slope": -0.02, "low": -0.03, "high": -0.01}}
BIGGER, SMALLER = "3,0 fois plus grand que celui", "2,0 fois plus petit que celui"
CLASSES = [{"name": "A", "support": 5, "recall": 0.9}, {"name": "B", "support": 9, "recall": 0.2}]
FOUND = dict.fromkeys(("lr", "weight_decay"), "compare_finalists")
CHOSEN = {"train.origin": FOUND, "refined_grid_search.values.lr": [6e-4, 1e-3]}
CHOSEN |= {"compare_finalists.n_beaten": 0}
OUTCOMES = [  # answer, facts that differ, word, what it is then
    ("S0", {}, "etudiant", "_Nom, Prénom_"),
    ("S0", {"config.identity.author": "Ada L."}, "etudiant", "Ada L."),
    ("S0", {}, "depot", "_URL publique_"),
    ("S0", {"config.identity.repository": "https://x.org/y"}, "depot", "<https://x.org/y>"),
    ("S0", {"config.paths.name": "essai"}, "dossier", "artifacts/essai/"),
    ("D1", {}, "lecture", ", révision `b4e2855`"),
    ("D1", {AUDIT + "synthetic": True}, "source", "synthétique"),
    ("D2", {}, "utilisees", "la totalité"),
    ("D2", {}, "grille", ""),
    ("D2", {"config.grid.train_limit": 30}, "grille", "30"),
    ("D2", {PIPELINE + "used.train": 100}, "utilisees", "100, 60 et 60, tirées au hasard"),
    ("D3", {}, "decoupage", "publié"),
    ("D3", {AUDIT + "published_lists": False}, "decoupage", "autre"),
    ("D3", {AUDIT + "synthetic": True}, "decoupage", "synthétique"),
    ("D3", {AUDIT + "synthetic": True}, "repartition", ""),
    ("D3", {"config.data.split": "spatial"}, "decoupage", "spatial"),
    ("D3", {"config.data.split": "spatial"}, "voisines", ""),
    ("D3", {}, "repartition", "hasard"),
    ("D3", BIASED, "repartition", "biais"),
    ("D3", {AUDIT + "balance": None}, "repartition", ""),
    ("D3", {}, "test_part", f"1,7{THIN}%"),
    ("D4", {}, "desequilibre", "fort"),
    ("D4", {AUDIT + "imbalance": 1.56}, "desequilibre", "modéré"),
    ("D4", {}, "rapport", "3,00"),
    ("D5", {}, "a_nettoyer", "oui"),
    ("D5", {}, "copies", "3 ; 1\u00a0groupe sur plusieurs splits"),
    ("D5", CLEAN, "copies", "aucune"),
    ("D5", CLEAN, "a_nettoyer", ""),
    ("D5", {}, "presque_unies", ", dont 6 de River et 1 de Forest"),
    ("D6", {}, "constantes", IMAGENET),
    ("D6", {"config.preprocess.mean": [0.3] * 3}, "constantes", "fixées par la configuration"),
    ("D6", DATA, "constantes", "calculées sur le seul split d’entraînement"),
    ("D6", DATA, "mean", "[0.34, 0.38, 0.41]"),
    ("D6", {}, "reduction", ""),
    ("D6", {"config.data.image_size": 32}, "reduction", FOURFOLD),
    ("D8", {}, "verification", "réussie"),
    ("D8", {PIPELINE + "reshuffled": False}, "verification", "**échouée**"),
    ("D8", {"config.augment.symmetries": True}, "retournement", "Symétries du carré"),
    ("D9", {}, "variation", "reste petit devant"),
    ("D9", {"config.augment.contrast": 0.5}, "variation", "atteint"),
    ("D9", {}, "dispersion", f"29 à 59{THIN}%"),
    ("D10", {AUDIT + "synthetic": True}, "images", "synthétiques"),
    ("D11", {}, "verdict", "est bien"),
    ("D11", {PIPELINE + "coherent": False}, "verdict", "**n’est pas**"),
    ("M0", {}, "best_linear", f"66,0{THIN}%"),
    ("M0", {}, "linear_train_images", f"1{THIN}000"),
    ("M1", {}, "couvre", "l’essentiel ou la totalité d’une "),
    ("M1", {"test_model.input_shape": [3, 32, 32]}, "couvre", "toute l’"),
    ("M1", {}, "formule", "le même nombre"),
    ("M2", {}, "verdict", "cohérente"),
    ("M2", {INITIAL + "coherent": False}, "verdict", "incohérente"),
    ("M2", {INITIAL + "faint": []}, "gradient", "partout"),
    ("M2", BIASES, "gradient", "biais"),
    ("M2", {INITIAL + "faint": ["head.bias"]}, "gradient", "faible"),
    ("M3", {}, "verdict", "démontré"),
    ("M3", {"overfit_small.reached": False}, "verdict", "non démontré"),
    ("M3", {}, "controles", "réussies"),
    ("M3", {"check_training.uses_images": False}, "controles", "à revoir"),
    ("M3", {"shuffled_labels.informative": False}, "controles", "à revoir"),
    ("M4", {}, "comment", "médiane de 6 lectures, trois par graine"),
    ("M4", {}, "fenetre", "10⁻³ → 10⁻²"),
    ("M4", HAND, "comment", "lu à la main sur la courbe (règle : vallée)"),
    ("M4", HAND | FLAT, "lr", f"2{THIN}×{THIN}10⁻³"),
    ("M4", FLAT, "lr", f"5{THIN}×{THIN}10⁻⁴"),
    ("M4", FLAT, "lectures", ""),
    ("M5", {}, "sous_la_barre", "2\u00a0runs"),
    ("M5", {"compute_baselines": None}, "sous_la_barre", ""),
    ("S6.lr", {"train.lr": 3e-3, "lr_finder.choice": 1e-3}, "compare", BIGGER),
    ("S6.lr", {"train.lr": 3e-3, "lr_finder.choice": 3e-3}, "compare", "celui"),
    ("S6.lr", {"train.lr": 5e-4, "lr_finder.choice": 1e-3}, "compare", SMALLER),
    ("S6.lr", {"train.lr": 5e-4}, "extreme", "le plus petit"),
    ("S6.lr", {"train.lr": 1.5e-3}, "extreme", ""),
    ("S6.lr", SWEPT | {"train.lr": 5e-4}, "place", "**nettement au-dessous** de"),
    ("S6.lr", SWEPT | {"train.lr": 9e-4}, "place", "**juste au-dessous** de"),
    ("S6.lr", SWEPT | {"train.lr": 1e-3}, "place", "**dans**"),
    ("S6.lr", SWEPT | {"train.lr": 4.1e-3}, "place", "**juste au-dessus** de"),
    ("S6.lr", {}, "place", ""),
    ("M6", {}, "chute", " (de l’époque 2 à la 3)"),
    ("M6", {"train.largest_drop": 0.0}, "chute", ""),
    ("M6", {"train.trend": TREND}, "perte_va", "baisse"),
    ("M6", {"train.trend": TREND}, "val_va", "ne change pas nettement"),
    ("M7", {}, "modele", "blocks"),
    ("M7", {"photographed": True}, "modele", "model"),
    ("M8", {}, "bord", "le plus petit"),
    ("M8", {"grid_search.lr": 1.5e-3}, "bord", "entre deux autres"),
    ("M8", {}, "verdict", "même point"),
    ("M8", {}, "ecart_type", "1,0\u00a0point"),
    ("S9", {}, "rarete", "peut en être une cause"),
    ("S9", {"classes": CLASSES}, "rarete", "n’explique pas les erreurs"),
    ("S9", {}, "attente", "contre notre attente"),
    ("S9", {"confusions": [["River", "Highway", 9]]}, "attente", "comme attendu"),
    ("S9", {"confusions": []}, "vraie", ""),
    ("S9", {"synthetic": True}, "vraie", ""),
    ("resume", {}, "essais", ""),
    ("resume", CHOSEN, "depart", ", qui ne les départagent pas"),
    ("resume", CHOSEN, "pourtant", ""),
    ("resume", CHOSEN | {"train.lr": 6e-4}, "pourtant", ", d’où vient pourtant le LR,"),
    ("S6.lr", {"lr_finder.choice": None}, "finder", ""),
    ("M6", {"beside.low": -0.01}, "mieux", ""),
    ("M8.recette", {}, "ecart", "+2,00\u00a0points [1,00\u202f;\u00a03,00]"),
    ("M8.recette", {"beside.same_network": False}, "reseau", "Un autre réseau (B = 3, D = 3)"),
    ("S9.graines", {"evaluate_seeds": handmade.seeds(7).facts()}, "plusieurs", ""),
    ("S9.6", {}, "verdict", "absent"),
    ("S9.6", {"compare_splits": SPLITS}, "pire", "−37,0\u00a0points (Forest)"),
    ("S9.6", {"compare_splits": SPLITS}, "mieux", "+13,0\u00a0points (River)"),
    ("S9.6", {"compare_splits": SPLITS}, "etablies", "1\u00a0classe"),
    ("M9", {}, "par_coeur", "inconnu"),
    ("M9", {"evaluate.hyperparameters.dilation_stage3": 3}, "par_coeur", "non"),
    ("M9", {"synthetic": True}, "helber", ""),
    ("M9", {"evaluate.low": 0.7}, "barre", "est"),
    ("S10", {"compare_splits": SPLITS}, "perte", "12,0\u00a0points"),
    ("S11", {}, "runs_case", "x"),
    ("S11", {}, "checkpoint_case", " "),
    ("S11", {}, "absents", "oui"),
    ("S12", {"train_recipe": None}, "recette", ""),
]


@pytest.mark.parametrize(("name", "changes", "word", "expected"), OUTCOMES)
def test_each_outcome_has_its_word_and_renders(name, changes, word, expected):
    tree = {stage: found for stage, found in facts(changes).items() if found is not None}
    assert words.words_of(name, tree)[word] == expected
    assert words.render(name, tree)
