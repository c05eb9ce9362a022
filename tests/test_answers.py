"""Verdicts, a case per outcome, and the words of each answer that follow from them.

The facts of all stages come from small results made by hand, as the notebooks give them.
"""

import json
import subprocess
from functools import cache, reduce

import handmade
import pytest
from settings import ROOT

from eurosat_lib.config import load_config
from eurosat_lib.errors import UserError
from eurosat_lib.files import write_text
from eurosat_lib.report import words
from eurosat_lib.report import words_results as results
from eurosat_lib.report import words_training as rules
from eurosat_lib.search import RefinedGrid, compare
from eurosat_lib.trainings import SplitComparison, csv_rows

NETWORK = {
    **{"input_shape": [3, 64, 64], "output_shape": [10], "channels": [64, 128, 256]},
    **{"blocks_per_stage": 2, "dilation_stage3": 2, "tensors": 26, "parameters": 1149770},
    **{"receptive_field": 48, "variants": [{"receptive_field": 48}, {"receptive_field": 70}]},
}
LEARNT = {"true_accuracy": 0.4, "shuffled_accuracy": 0.1, "shuffled_known": 1.0}
SANE = {"validation_images": 500, "repeatable": True, "uses_images": True}
RECIPE = {"name": "best", "count": 1, "low": 0.98, "high": 0.99, "epochs": 24, "steps": ["Muon"]}
BESIDE = {"gain": 0.02, "low": 0.01, "high": 0.03, "same_network": True}
STAGES = {
    **{"test_model": NETWORK, "final_architecture": NETWORK},
    "shuffled_labels": LEARNT | {"informative": True},
    "check_training": SANE | {"blind_accuracy": 0.1, "seen_accuracy": 0.5},
    "train_recipe": RECIPE | {"accuracy": {"mean": 0.9885}, "val_accuracy": {"mean": 0.988}},
    "beside": BESIDE | {"blocks_per_stage": 3, "dilation_stage3": 3},
}
SPLITS = {
    **{"available": True, "same_training": True, "gap": 0.12, "gap_low": 0.1, "gap_high": 0.14},
    "common": 9,
    "standard": {"accuracy": 0.9},
    "spatial": {"n": 50, "accuracy": 0.78, "low": 0.77, "high": 0.79},
    **{"drops": {"Forest": 0.37, "River": -0.13, "Highway": 0.0}, "lower": ["Forest"]},
}
CELLS = {  # what the cells give besides
    **{"given": {}, "repository": "", "photographed": False, "synthetic": False},
    "environment": {"python": "3.11.7", "torch": "2.9.0", "cuda": ""},
    "confusions": handmade.EVALUATION.confusions(),
    "classes": handmade.EVALUATION.per_class,
    "there": {"runs": True, "checkpoint": False, "config": True},
}


@cache
def stored(profile: str) -> str:
    """Facts as JSON, as the cells of the notebooks keep them."""
    grid, made = handmade.GRID, handmade
    refined = RefinedGrid(trials=grid.trials[:3], epochs=3, origin="grid_search")
    results = [made.AUDIT, made.PIPELINE, made.OVERLAPS, made.BASELINES, made.INITIAL_LOSS]
    results += [made.OVERFIT, made.LR_FINDER, grid, refined, made.FINALISTS, compare(grid)]
    results += [made.TRAINING, made.EVALUATION, made.ERRORS, made.ROBUSTNESS]
    results += [made.seeds(7, 8, 9), SplitComparison(absent="no lists")]
    tree = {result.stage: result.facts() for result in results} | STAGES | CELLS
    tree["config"] = load_config(ROOT / "configs" / "config.yaml", profile).model_dump(mode="json")
    tree["trials"] = csv_rows(grid.trials[:3])
    return json.dumps(tree, default=str)


def facts(changes: dict | None = None, profile: str = "full") -> dict:
    """Facts of a run, with ``changes`` by ``stage.key``."""
    tree = json.loads(stored(profile))
    for path, value in (changes or {}).items():
        *above, key = path.split(".")
        reduce(lambda place, name: place.setdefault(name, {}), above, tree)[key] = value
    return tree


UP, DOWN, OPEN, WIDE = (0.01, 0.03), (-0.03, -0.01), (-0.01, 0.03), (-0.016, 0.044)
TWO, THREE = (-0.020, -0.001, 0.019, 0.023), (-0.061, -0.034, -0.090, -0.081)  # by depth


def effect(bounds=UP, mean=0.02, going=7, pairs=8, differences=()):
    low, high = bounds
    found = {"low": 1.0, "high": 2.0, "pairs": pairs, "going": going, "mean": mean}
    found |= {"ci_low": low, "ci_high": high, "differences": list(differences)}
    return found | {"sign": (low > 0) - (high < 0)}


def trend(accuracy, loss):
    """Slopes at the end: of the validation accuracy, of the training loss."""
    ends = {"val_accuracy": accuracy, "train_loss": loss}
    slopes = {k: {"slope": sum(v) / 2, "low": v[0], "high": v[1]} for k, v in ends.items()}
    return {"train.trend": slopes}


def cases(*differences):
    found = [{"value": 2, "score": effect(differences=one)} for one in differences]
    return {"grid_search.lr_effect_by.blocks_per_stage": found}


def says(found, expected):
    """Compare a word; of an expected one that ends in ``…``, the beginning."""
    more = str(expected).endswith("…")
    return found.startswith(expected[:-1]) if more else found == expected


@pytest.mark.parametrize(
    ("found", "expected", "near", "word"),
    [
        (effect(), None, 0.03, "est plus haut"),
        (effect(), 1, 0.03, "est, comme attendu, plus haut"),
        (effect((0.001, 0.002)), 0, 0.03, "est, de peu, plus haut"),
        (effect((0.001, 0.002)), 1, 0.03, "est, comme attendu, plus haut"),
        (effect(DOWN, -1), 0, 0, "est, contre notre attente, plus bas"),
        (effect(OPEN), 1, 0.03, "est presque inchangé"),
        (effect(WIDE, 0.014, 9, 12), 0, 0.03, "est plus haut"),
        (effect(WIDE, 0.014, 7, 12), 0, 0.03, "ne change pas nettement"),
        (effect(WIDE, -0.01, 6), 0, 0.03, "est plus bas"),
        (effect(WIDE, 0.0), 0, 0.03, "ne change pas nettement"),
    ],
)
def test_each_direction_of_an_effect(found, expected, near, word):
    assert rules.direction(found, "plus haut", "plus bas", expected, near) == word


AUDIT, PIPELINE = "explore_dataset.", "verify_pipeline."
SOME = "100 (entraînement), 60 (validation) et 60 (test), tirées au hasard"
CLEAN = {AUDIT + name: 0 for name in ("duplicates_across", "black", "flat")}
SYNTHETIC = {AUDIT + "synthetic": True}
NAMED = {"config.paths.name": "x", **SYNTHETIC}
MAKE = ' PROFILE=full DATA=synthetic NAME=x PARAMS="-f artifacts/x/params.yaml"'
FLAT = {"lr_finder.reliable": False, "lr_finder.choice": None, "lr_finder.faults": {"1": "flat"}}
HAND = {"chosen_lr": {"lr": 2e-3, "rule": "valley", "smoothing": 0.9}}
DATA = {"config.preprocess.statistics": "data"}
SAME = "+1,00\u00a0point [−1,00\u202f;\u00a03,00]"
KNOWN, LAST = {"train.last_train_accuracy": 0.995}, {"train.best_epoch": 3}
AHEAD, CALM = {"train.last_train_accuracy": 0.97}, {"train.last_val_loss": 0.2}
FALLING = "la perte d’entraînement baissait encore"
GRID, REFINED = "grid_search.", "refined_grid_search."
FINALISTS, BEATEN = "compare_finalists.finalists", "compare_finalists.n_beaten"
EASIER = {"compare_splits": SPLITS | {"gap_low": -0.1, "gap_high": -0.02}}
LIGHT, CHOICE = "measure_robustness.light_harmful", {"lr_finder.choice": 1e-3}
CHECK = {"check_lr": {"reliable": True, "choice": 5e-4, "lowest": 4e-4, "highest": 6e-4}}
EXCESS = "analyse_errors.excess_interval_before"
CHOSEN = {"train.origin": {"lr": "compare_finalists"}, "compare_finalists.n_beaten": 0}
OTHER_SPLITS = {"compare_splits": SPLITS | {"same_training": False}}
LOSS = "check_initial_loss."
FLAGS = " --set 'lr_finder.seeds=[0, 1]'"
BAR = "compute_baselines.best_linear"
IN_SEEDS = "2\u00a0divergences parmi les essais de la grille (3), l’entraînement final et les…"
IN_BOTH = "1\u00a0divergence parmi les essais des deux grilles (4 et 3) et l’entraînement final"
ONE_GRID = {"train": None, "refined_grid_search": None}
NOTHING_RAN = dict.fromkeys(("train", "grid_search", "refined_grid_search"))
LOST = csv_rows([handmade.trial(lr=2e-3, values=(), diverged="epoch 1"), handmade.trial(lr=5e-4)])
FIRST = csv_rows(handmade.GRID.trials[:1])
SMALL, TWICE = {"config.data.image_size": 32}, handmade.seeds(7, 8).facts()
MOVED = "baisse de 37,0\u00a0points au plus (*Forest*) et monte de 13,0\u00a0points au plus…"
RANK = " ; *River* prise pour *Highway* (3\u00a0images), que nous attendions, vient au rang 2, à…"
BETWEEN = {REFINED + "values.lr": [5e-4, 1e-3, 2e-3]}
AWAITED, LOSSES = ["River", "Highway", 3], "measure_robustness.worst_view_change"
RECALLS = [("A", 9, 0.9), ("B", 3, 0.8), ("C", 9, 0.6), ("D", 9, 0.99)]
RECALLS = [dict(zip(("name", "support", "recall"), one, strict=True)) for one in RECALLS]
RARE = RECALLS[1] | {"support": 2}
BLOCKS = "grid_search.effects.blocks_per_stage.score"
ALONE = handmade.grid_of(*handmade.GRID.trials[2:], kind=RefinedGrid).facts()
ALONE["origin"] = "grid_search"
BY_HAND = "lu à la main sur la courbe (règle : vallée)"
ABOVE = " ; elle l’est par 1\u00a0run à sa meilleure époque"
TOO = "ne suffit pas à expliquer"
SHORT = csv_rows([handmade.trial(values=(0.5, 0.7)), handmade.trial(values=(0.7, 0.5))])
APART, UNFORESEEN = "+12,00\u00a0points [10,00…", [["A", "B", 9], ["C", "D", 3]]
PARTLY = {"train.origin": {"lr": "compare_finalists", "weight_decay": "config"}}
LOWER = {"evaluate.gap_low": -0.03, "evaluate.gap_high": -0.01}
TESTED = {"evaluate.hyperparameters.dilation_stage3": 3}
SPACE, LOCAL = {"compare_splits": SPLITS}, {"beside.same_network": False, "train_recipe.count": 2}
OUTCOMES = [  # answer, facts that differ, word, what it is then, another word …
    ("S0", {}, "depot", "_URL publique_", "etudiant", "_Nom, Prénom_"),
    ("S0", {"config.identity.author": "Zoé"}, "etudiant", "Zoé"),
    ("S0", {"repository": "https://x.org/y"}, "depot", "<https://x.org/y>"),
    ("S5", {"grid_search.seed": 2024}, "seed", "2024"),
    ("S0", NAMED, "options", " --profile full --data synthetic --name x"),
    ("S0", NAMED, "fichier", "artifacts/x/best.ckpt"),
    ("S0", {**NAMED, "given.lr": 1}, "make", MAKE),
    ("D2", {}, "utilisees", "la totalité", "grille", "", "classe_train", "30 à 90"),
    ("D2", {"config.grid.train_limit": 100}, "grille", "100"),
    ("D2", {PIPELINE + "used.train": 100}, "utilisees", SOME),
    ("D3", {}, "decoupage", "publié", "repartition", "stratifiée", "voisines", True),
    ("D3", {AUDIT + "published_lists": False}, "decoupage", "autre"),
    ("D3", SYNTHETIC, "decoupage", "synthétique"),
    ("D3", {"config.data.split": "spatial"}, "voisines", False),
    ("D3", {AUDIT + "balance": {"p_value": 0.372}}, "repartition", "hasard"),
    ("D3", {AUDIT + "balance": {"p_value": 0.01}}, "repartition", "biais"),
    ("D4", {AUDIT + "imbalance": 1.56}, "modere", True),
    ("D4", {}, "modere", False),
    ("D5", {}, "a_nettoyer", True, "dont", ", toutes de *River* (6) ou de *Forest* (1)"),
    ("D5", CLEAN, "a_nettoyer", False),
    *(("D5", CLEAN | {fault: 1}, "a_nettoyer", True) for fault in CLEAN),
    ("D5", {AUDIT + "faint": 9}, "dont", ", dont 6 de *River* et 1 de *Forest*"),
    ("D6", DATA, "mean", "[0.34, 0.38, 0.41]", "constantes", "calculées sur…"),
    ("D6", {"config.preprocess.mean": [0.5] * 3}, "constantes", "fixées d’avance ; aucune…"),
    ("D6", {}, "constantes", "celles d’ImageNet, usuelles…"),
    ("D6", {}, "change", "les vignettes l’ont déjà, rien ne change"),
    ("D6", SMALL, "change", "nous passons de 64 à 32 pixels de côté, pour 4 fois moins…"),
    ("D9", {}, "variation", "reste sous", "oui", "Oui", "retournement", "RandomHorizontalFlip"),
    ("D9", {"config.augment.brightness": 0.5}, "variation", "dépasse", "oui", "Pas à coup sûr"),
    ("D9", {"config.augment.symmetries": True}, "tirage", "8 équiprobables"),
    ("M2", {}, "gradient", "biais", "distance", "1,0"),
    ("M2", {LOSS + "faint": ["stages.0.0.bias", "stages.0.1.bias"]}, "gradient", "faible"),
    ("M2", {LOSS + "faint": ["stages.0.1.bias", "head.bias"]}, "gradient", "faible"),
    ("M2", {LOSS + "faint": []}, "gradient", "partout"),
    ("M3", {}, "controles", "réussies", "repetition", "redonne le même"),
    ("M3", {"check_training.uses_images": False}, "controles", "à revoir"),
    ("M3", {"check_training.repeatable": False}, "controles", "à revoir", "repetition", "donne…"),
    ("M3", {"shuffled_labels.informative": False}, "controles", "à revoir"),
    ("M4", {}, "comment", "médiane de 6 lectures (trois règles par graine)", "retard", "9"),
    ("M4", HAND, "comment", BY_HAND, "lr", "2\u202f×\u202f10⁻³"),
    ("M4", FLAT, "lr", "5\u202f×\u202f10⁻⁴"),
    ("M5", {}, "barre", "n’est franchie que par 1 des 3 scores", "divergences", "1\u00a0run"),
    ("M5", {}, "effet_a", "de D = 2 à 3…", "effet_b", "une seule…", "duree", "14\u00a0s"),
    ("M5", {}, "rivales", "contre 65,00\u202f% pour la deuxième et 40…", "origine", "LR finder"),
    ("M5", {BAR: 0.76}, "barre", "n’est franchie par aucun des 3 scores", "depassent", ABOVE),
    ("M5", {BAR: 0.2}, "barre", "est franchie par tous les scores"),
    (
        "M5",
        {},
        "isolee",
        " ; la meilleure époque isolée (80,00\u202f%) est celle de `lr1e-3_wd1e-5_D3…",
    ),
    ("M5", {GRID + "best_by_epoch_accuracy": 0.75}, "isolee", ""),
    ("M5", cases(TWO, THREE), "interaction", "nette", "interaction_ecart", "[−13,6…"),
    ("M5", cases(TWO, (-0.03, 0.02, 0.0, 0.03)), "interaction", "non tranchée"),
    ("M5", cases(TWO), "interaction", "non mesurée"),
    ("S6.lr", {"train.lr": 5e-3, **CHOICE}, "cause", ""),
    ("S6.lr", {"train.lr": 5e-4, **CHOICE}, "cause", "3,5"),
    ("S6.lr", {"train.lr": 5e-4}, "au_dela", "plus petit"),
    ("S6.lr", {"train.lr": 5e-4, **CHECK}, "place", "dans"),
    ("S6.lr", {"train.lr": 9e-4, **CHECK}, "place", "au-dessus de"),
    ("S6.lr", {"train.lr": 1e-4, **CHECK}, "place", "au-dessous de"),
    ("S6", {}, "origine_lr", "configuration", "origine_weight_decay", "grille"),
    ("S6", {"config.train.max_steps": 40}, "epoques", "3 (40 pas au plus)"),
    ("S6.lr", {"lr_finder.choice": None}, "finder", ""),
    ("S6.finalistes", {BEATEN: 0}, "verdict", "à égalité"),
    ("S6.finalistes", {FINALISTS: [1, 2, 3]}, "verdict", "en partie"),
    ("S6.finalistes", {}, "verdict", "se détache"),
    ("S6.finalistes", {FINALISTS: [1], BEATEN: 0}, "verdict", "seul"),
    ("M6", trend(OPEN, DOWN), "pente_val_accuracy", SAME),
    ("M6", trend(OPEN, DOWN), "va_val_accuracy", "n’a pas de pente établie"),
    ("M6", trend(UP, DOWN), "sous", "oui", "plafond", "ne plafonne pas encore"),
    ("M6", trend(UP, DOWN), "va_val_accuracy", "monte", "pente_train_loss", "−0,0200…"),
    ("M6", trend(UP, DOWN), "va_train_loss", "baisse"),
    ("M6", trend(UP, OPEN), "sous", "en partie"),
    ("M6", trend(OPEN, OPEN), "sous", "non établi"),
    ("M6", trend(UP, DOWN) | KNOWN, "sous", "non"),
    ("M6", {}, "sous", "indécidable", "sur", "non établi", "stabilite", "agitée", "plafond", ""),
    ("M6", {}, "oscille", "oscille comme prévu", "depasse", "ne dépasse pas"),
    ("M6", {}, "mieux", "98,8\u202f%"),
    ("M6", {}, "minimum", " ; son minimum, 0,200, est à l’époque 2", "intervalle", "[54,6…"),
    ("M6", AHEAD, "sur", "oui", "depasse", "dépasse"),
    ("M6", AHEAD | CALM, "sur", "un début"),
    ("M6", {"train.lowest_val_loss_epoch": 3}, "sur", "aucun signe", "minimum", ", son minimum"),
    ("M6", {"train.diverged": "loss not finite"}, "stabilite", "divergence"),
    ("M6", {"train.epochs": 1}, "stabilite", "indécidable"),
    ("M6", {"train.largest_drop": 0.01, "beside.low": -0.01}, "stabilite", "bonne", "mieux", ""),
    ("M6", trend(DOWN, DOWN) | LAST, "plafond", "recule à la fin"),
    ("M6", trend(OPEN, DOWN) | LAST, "plafond", rules.NO_PLATEAU),
    ("M6", trend(OPEN, DOWN), "plafond", "plafonne, autant qu’on puisse le dire"),
    ("M7", {}, "vu_dilation_stage3", "de D = 2 à 3, le score est plus haut…", "vue", "fig"),
    ("M7", {"photographed": True}, "vue", "capture", "modele", "[figure](#capture-compare-model)"),
    ("S8", {}, "montent", "monte encore pour 2\u00a0runs sur 3"),
    ("S8", {REFINED + "epochs": 1}, "montent", ""),
    ("S8", {REFINED + "epochs": 2, "trials": SHORT}, "montent", "monte encore pour 1…"),
    ("S8", {REFINED + "epochs": 2}, "montent", "monte encore pour 2\u00a0runs sur 3"),
    ("S8", {"refined_grid_search": ALONE}, "rival", "le seul score"),
    ("M8", {"refined_grid_search": ALONE, "grid_search": ALONE}, "verdict", "point repris"),
    ("M8", {"refined_grid_search": ALONE}, "meilleur", "Le seul run à avoir un score"),
    ("M5", {"grid_search": ALONE}, "rivales", "seule à avoir un score"),
    ("M5", {BAR: 0.9, "trials": FIRST}, "barre", "n’est franchie par aucun score"),
    ("M1", {}, "champs", "va de 48 à 70 pixels selon le réseau", "cote_2", 16, "repetitions", 1),
    ("M1", {"test_model.variants": [{"receptive_field": 48}]}, "champs", "est de 48 pixels"),
    ("S8", {}, "baissent", " ; elle ne baisse qu’à LR = 2\u202f×\u202f10⁻³ (1\u00a0run)"),
    ("M8", {"compare_finalists.n_seeds": 2}, "ecart_type", ""),
    (
        "M8",
        {},
        "bord",
        "le plus petit essayé",
        "verdict",
        "même point",
        "place",
        "est le plus petit",
    ),
    ("M8", {}, "ecart_type", "1,0\u00a0point", "lr_final", "2\u202f×\u202f10⁻³", "reserve", ""),
    ("M8", {GRID + "lr": 2e-3}, "bord", "le plus grand essayé"),
    ("M8", {GRID + "values.lr": [5e-4, 1e-3, 2e-3]}, "bord", "entre deux autres"),
    ("M8", {GRID + "values.lr": [1e-3]}, "bord", "le seul essayé"),
    ("M8", {REFINED + "name": "b", REFINED + "score": 0.8}, "verdict", "gain", "ecart", "+5,00…"),
    ("M8", {REFINED + "name": "b", REFINED + "score": 0.6}, "verdict", "aucun gain"),
    ("M8", {REFINED + "epochs": 5}, "verdict", "incomparable"),
    ("M8", {REFINED + "seed": 7}, "verdict", "incomparable"),
    ("M8", {REFINED + "origin": "fallback"}, "verdict", "seule"),
    ("M8", {"grid_search": None}, "verdict", "seule"),
    ("M8", {**BETWEEN, REFINED + "score": 0.4001}, "place", "n’est plus au bord, mais…"),
    ("M8", BETWEEN, "place", "n’est plus au bord"),
    ("M8", BETWEEN, "voisins", "au même weight decay, le score est de 40,00\u202f% à 2…"),
    ("M8", {"compare_finalists.n_beaten": 0}, "reserve", ", mais ces graines ne départagent pas…"),
    ("M8", {REFINED + "values.lr": [1e-3, 5e-3]}, "absents", "5\u202f×\u202f10⁻³"),
    ("M8.recette", {}, "ecart", "+2,00\u00a0points [1,00\u202f;\u00a03,00]"),
    ("M8.recette", {}, "reseau", "Le même réseau", "premiere", ""),
    ("M8.recette", LOCAL, "reseau", "Un autre réseau (B = 3, D = 3)", "premiere", " (première…"),
    ("S9", {"confusions": [AWAITED]}, "attente", "comme attendu"),
    ("S9", {"confusions": [["A", "B", 9], AWAITED, ["C", "D", 3]]}, "attendue", RANK),
    ("S9", {"confusions": [["A", "B", 9]]}, "attente", "contre notre attente"),
    ("S9", {"confusions": UNFORESEEN}, "confusion", "*A* prise pour *B*…"),
    ("S9", {}, "f1_intervalle", "[30,30…"),
    ("S9", {"classes": RECALLS[:2]}, "rarete", "minimum"),
    ("S9", {"classes": RECALLS}, "rarete", TOO),
    ("S9", {"classes": RECALLS[1:3]}, "rarete", "n’explique pas"),
    ("S9", {"classes": [*RECALLS[1:], RARE | {"recall": 0.6}]}, "rarete", TOO),
    ("S9", {"classes": RECALLS + RECALLS[2:3]}, "basses", "*C* et *C*"),
    ("S9", {"classes": [RARE, RECALLS[0] | {"recall": 0.8}]}, "rarete", ""),
    ("S9", {"classes": RECALLS[2:]}, "rarete", ""),  # none is rarest
    ("S9", {"synthetic": True}, "confusion", ""),
    ("S9.robustesse", {LIGHT: ["blur"]}, "legers", "l’exactitude baisse déjà (flou)"),
    (
        "S9.robustesse",
        {},
        "legers",
        "rien ne baisse nettement",
        "change",
        "fait perdre 29,0\u00a0points",
    ),
    ("S9.robustesse", {LIGHT: []}, "legers", "rien ne baisse nettement"),
    ("S9.robustesse", {"measure_robustness.worst_fault": "noise"}, "defaut", "bruit"),
    ("S9.robustesse", {LOSSES: [-0.03, *DOWN]}, "vue", "fait perdre 3,0\u00a0points"),
    ("S9.robustesse", {LOSSES: [-0.03, *OPEN]}, "vue", "ne fait rien perdre de décelable"),
    ("S9.calibration", {EXCESS: UP}, "verdict", "trop haute"),
    ("S9.calibration", {EXCESS: DOWN}, "verdict", "trop basse"),
    ("S9.calibration", {EXCESS: OPEN}, "verdict", "sans écart décelable"),
    ("S9.graines", {}, "perdues", "", "dispersion", ", écart-type 10…"),
    ("S9.graines", {"evaluate_seeds.diverged": [45]}, "perdues", " (1\u00a0divergence)"),
    ("S9.graines", {"evaluate_seeds": handmade.seeds(7).facts()}, "several", False),
    ("S9.graines", {"evaluate_seeds": TWICE}, "dispersion", " ; deux graines ne…"),
    ("S9.decoupage", SPACE, "varie", MOVED, "etablies", "*Forest*", "autre", ""),
    ("S9.decoupage", {"compare_splits": SPLITS | {"common": 50}}, "choisis", ""),
    (
        "S9.decoupage",
        OTHER_SPLITS,
        "autre",
        " pour un autre réseau",
        "choisis",
        "",
        "ecart",
        APART,
    ),
    ("S9.decoupage", EASIER, "verdict", "plus bas"),
    ("M9", LOWER, "verdict", "plus bas"),
    ("M9", {"evaluate.gap": -0.012}, "raisonnable", "l’est", "verdict", "égalité"),
    ("M9", {"evaluate.gap": 0.02}, "raisonnable", "ne l’est pas", "par_coeur", "inconnu"),
    ("M9", TESTED, "par_coeur", "non", "entrainement", "75,0\u202f%"),
    ("M9", TESTED | {"evaluate.high": 0.1}, "par_coeur", "oui"),
    ("S10", {}, "pannes", IN_BOTH, "ecart_spatial", "", "graines", "3\u00a0graines"),
    ("S10", ONE_GRID, "pannes", "1\u00a0divergence parmi les essais de la grille (4)"),
    ("S10", SPACE, "ecart_spatial", "plus haut"),
    ("S10", OTHER_SPLITS, "ecart_spatial", ""),
    ("S10", {"grid_search": None}, "recherches", "aucune grille n’a été calculée"),
    ("S10", {"grid_search": None, "evaluate_seeds.diverged": [8, 9]}, "pannes", IN_SEEDS),
    ("S10", {"grid_search.n_diverged": 0}, "pannes", "ni divergence ni NaN dans les…"),
    ("S10", {"config.data.split": "spatial"}, "lieux", "un seul découpage sépare les lieux"),
    ("S10", NOTHING_RAN, "pannes", "rien n’a été entraîné dans ce run"),
    ("S8", {"trials": LOST}, "montent", "monte encore pour 1\u00a0run sur 2"),
    ("S8", {"trials": LOST[:1]}, "montent", "ne monte plus pour aucun run"),
    ("M8", BETWEEN | {"trials": LOST}, "voisins", "au même weight decay, le score est…"),
    ("S11", {}, "checkpoint_case", "☐", "graines_finalistes", "43, 44 et 45", "absents", True),
    ("S11", {}, "graines_finales", " ; les entraînements finals répétés, celles de…"),
    ("S11", {"config.train.seeds": []}, "graines_finales", ""),
    ("S11", {}, "graines_lr", "0, 1 et 2", "valeurs", " --lr 0.001 --weight_decay 1e-05…"),
    ("S11", {"given": {"lr_seeds": [0, 1], "name": "x", "lr": 1.0}}, "drapeaux", FLAGS),
    ("conclusion", KNOWN, "fin", ""),
    ("conclusion", trend(UP, OPEN), "fin", "le réseau apprenait encore…"),
    ("conclusion", trend(OPEN, DOWN) | LAST, "fin", FALLING + " : des époques de plus…"),
    ("conclusion", trend(OPEN, DOWN), "fin", FALLING + ", sans gain net en validation"),
    ("conclusion", trend(OPEN, OPEN), "fin", ""),
    ("resume", {BLOCKS: effect(DOWN, -0.02)}, "sans_gain", True),
    ("resume", CHOSEN, "finalistes", "à égalité"),
    ("resume", CHOSEN | {"grid_search": None}, "finalistes", ""),
    ("resume", PARTLY, "finalistes", "", "sans_gain", False),
    ("conclusion", {}, "recette", "98,85\u202f%"),
    ("conclusion", {"train_recipe.low": 0.1}, "recette", ""),
    # what the prose then says
    ("D4", {}, "", "est **fort**"),
    ("D8", {PIPELINE + "reshuffled": False}, "", "a échoué"),
    ("D8", {PIPELINE + "repeatable": False}, "", "a échoué"),
    ("D11", {}, "", "forme est bien"),
    ("M2", {}, "", "Il est respecté"),
    ("M3", {}, "", "Ce qui prouve"),
    ("S2.1", {}, "", "10,80\u202f%** en validation, 10,26\u202f% sur"),
    ("M9", {}, "", "aucune différence"),
    ("M9", LOWER, "", "plus bas que la validation"),
    ("M9", {"evaluate.gap_low": 0.01}, "", "plus haut que la validation"),
    ("S9", {}, "", "(7 images sur 10)"),
    ("S9.decoupage", SPACE, "", "où 41 de ces 50 images", "", "pas pour une autre région"),
    ("S9.decoupage", EASIER, "", "plus facile"),
    ("S9.decoupage", {"compare_splits": SPLITS | {"gap_low": -0.1}}, "", "aucune différence"),
    ("S9.graines", {}, "", "avec les graines 42, 43 et 44"),
    ("S10", {}, "", "rien ne garantit"),
    ("S10", SPACE, "", "n’atteint que 78,00\u202f%"),
    ("S11", {}, "", "train: {lr: 0.001"),
    ("resume", {}, "", "contre 80,00\u202f% en validation"),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: f"{outcome[0]}-{outcome[2]}")
def test_each_outcome_has_its_word_and_renders(outcome):
    name, changes, *expected = outcome
    tree = {stage: found for stage, found in facts(changes).items() if found is not None}
    found, prose = words.words_of(name, tree), words.render(name, tree)
    for word, wanted in zip(expected[::2], expected[1::2], strict=True):
        assert says(found[word], wanted) if word else wanted in prose, word or wanted
    assert all(str(text).count("[") == str(text).count("]") for text in found.values())
    assert prose and "null" not in found.get("extrait", "")


def test_effects_are_said_with_direction_interval_pairs_and_expectation():
    told = "plus bas (−1,0\u00a0point [−1,6\u202f;\u00a04,4], 6\u00a0paires sur 8, non tranché)"
    assert rules.seen({"score": effect(WIDE, -0.01, 6)}, "score") == f"le score est {told}"
    found = {"score": effect(WIDE, 0.014, 7, 12)}
    assert rules.seen(found, "score", 0).endswith("sur 12), ce qui ne contredit pas notre attente")
    found = [{"value": 2, "start": effect((-0.103, -0.077), -0.09)}]
    found += [{"value": 3, "start": effect((0.007, 0.093), 0.05)}]
    low = "est, comme attendu, plus basse avec B = 2 (−0,090\u00a0nat [−0,103\u202f;\u00a0−0,077])"
    high = (
        ", contre notre attente, plus haute avec B = 3 (+0,050\u00a0nat [0,007\u202f;\u00a00,093])"
    )
    assert rules.by_depth(found, "start", -1, pairs=False) == f"{low}, mais{high}"
    found[1]["start"] = found[0]["start"]
    assert ") comme avec B = 3 (" in rules.by_depth(found, "start", -1, pairs=False)
    found[1]["start"] = effect((-0.021, 0.005), -0.008, 8)  # the same way, but not for sure
    told = rules.by_depth(found, "start", -1, pairs=False)
    assert "), et plus basse avec B = 3 (" in told and told.endswith("non tranché)")
    assert rules.seen({"score": effect(pairs=0)}, "score").endswith("pas (une seule valeur)")


@pytest.mark.parametrize(
    ("fit", "gap", "said"),
    [(DOWN, OPEN, "il apprend plus lentement"), (OPEN, UP, "surapprend donc"), (OPEN, OPEN, "")],
)
def test_a_lower_level_is_told_apart_by_the_training_images(fit, gap, said):
    found = {name: effect(OPEN) for name in rules.MEASURES}
    found |= {"score": effect(DOWN, -0.02), "fit": effect(fit, -0.02), "gap": effect(gap)}
    told = rules.effect_of("blocks_per_stage", found)
    assert said in told and ("lentement" in told) + ("surapprend donc" in told) == bool(said)
    assert told.endswith("rien n’est établi pour le départ ni pour " + rules.MEASURES["spread"][0])
    found["spread"] = effect((0, 0), 0)  # one epoch has neither
    assert "établi pour" not in rules.effect_of("blocks_per_stage", found)


def test_diary_is_shown_as_it_is_and_its_absence_is_said(tmp_path):
    assert results.journal(tmp_path, "") == results.journal(tmp_path, "x") == ""
    write_text(tmp_path / "journal.md", "<!-- mode d’emploi -->\n- **1er mai.** NaN\n")
    assert results.journal(tmp_path, "x") == "- **1er mai.** NaN"
    write_text(tmp_path / "x" / "journal.md", "- autre\n")
    assert results.journal(tmp_path, "x") == "- autre"
    (tmp_path / "x/journal.md").write_bytes("été".encode("latin-1"))
    with pytest.raises(UserError, match=r"/x/journal\.md: not text in UTF-8: save it as UTF-8"):
        results.journal(tmp_path, "x")
    own = words.words_of("S10", facts())
    assert "- autre" in words.fill("S10", own | {"journal": "  - autre"})
    assert "Aucun journal" in words.fill("S10", own | {"journal": ""})


def test_files_are_there_only_when_git_holds_them(tmp_path, full):
    own = "train: {lr: 0.001, weight_decay: 1.0e-5, dilation_stage3: 2, blocks_per_stage: 2}"
    tested = handmade.EVALUATION.hyperparameters.model_dump()
    for name in ("runs/train/events.1", "artifacts/best.ckpt", "artifacts/config.yaml"):
        write_text(tmp_path / name, own)
    assert not any(results.files_there(full, tested).values())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert all(results.files_there(full, tested).values())
    (tmp_path / "artifacts/config.yaml").write_text("train: {lr: 0.5}")
    (tmp_path / "artifacts/best.ckpt").unlink()
    found = results.files_there(full, tested)
    assert found == {"runs": True, "checkpoint": False, "config": False}
