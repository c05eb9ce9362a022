"""Written values and verdict words of sections 9 to 12, of the abstract and of the conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent
from typing import Any

import yaml

from eurosat_lib.french import (
    THIN,
    code,
    intervalle,
    liste,
    nombre,
    p_value,
    pct,
    plural,
    signe,
)
from eurosat_lib.report import verdicts
from eurosat_lib.report.deposit import journal
from eurosat_lib.report.words import (
    agree,
    answers_folder,
    magnitude,
    make_options,
    options,
    points_and_interval,
    results_folder,
)
from eurosat_lib.report.words_training import point

Facts = Mapping[str, Any]
Words = dict[str, Any]
FAULTS = {
    "blur": "le flou",
    "noise": "le bruit",
    "jpeg": "la compression JPEG",
    "haze": "la brume",
}
ABSENT = {  # why there is no spatial split
    "synthetic": "car les images dessinées n’ont ni lieu ni voisines",
    "split": "car ce rapport est calculé tout entier sur un autre découpage que le standard",
    "disabled": "car ce run ne l’a pas demandé ; le score standard peut devoir aux voisines",
    "lists": "faute de ses listes ; le score standard peut devoir aux voisines",
}
PLACES = {  # of a file that the course asks for
    "déposé": "dans le dépôt",
    "ici seulement": "sur la machine de calcul, non dans le dépôt ; les commandes le refont",
    "absent": "absent",
}
FULL_SIDE = 64  # pixels, of an image as it is published
NAMING = ("name", "profile", "data", "config_path")  # parameters that have options of their own
HELBER = 0.9857  # accuracy that the abstract of Helber et al. (2019) states
EXTRACT = {  # what section 11 shows of the configuration
    "data": ("image_size", "batch_size", "train_limit", "validation_limit", "test_limit"),
    "augment": ("crop_padding", "flip_probability", "brightness", "contrast", "saturation"),
    "model": ("channels",),
    "grid": ("lr", "weight_decay", "dilation_stage3", "blocks_per_stage", "epochs", "train_limit"),
    "train": (
        *("lr", "weight_decay", "dilation_stage3", "blocks_per_stage", "max_epochs"),
        *("max_steps", "optimizer", "schedule"),
    ),
}
NULLS = {  # how a null of the extract reads
    "toutes les images": ("train_limit", "validation_limit", "test_limit"),
    "aucun arrêt avant la dernière époque": ("max_steps",),
    "déduit des étapes précédentes": ("lr", "weight_decay", "dilation_stage3", "blocks_per_stage"),
}


def s9(facts: Facts) -> Words:
    """The tested checkpoint and its scores."""
    found, config = facts["evaluate"], facts["config"]
    given = config["evaluate"]["checkpoint"]
    return {
        **point(found["hyperparameters"]),
        "checkpoint": code(given or results_folder(config) + "best.ckpt"),
        "epoque": found["epoch"],
        "empreinte": code(found["checkpoint_sha256"][:12] + "…"),
        "accuracy": pct(found["accuracy"], 2),
        "justes": nombre(found["correct"]),
        "n": nombre(found["n"]),
        "niveau": pct(found["confidence_level"], 0),
        "intervalle": intervalle((found["low"], found["high"]), 2),
        "f1": pct(found["macro_f1"], 2),
        "f1_intervalle": intervalle(found["macro_f1_interval"], 2),
        "perte": nombre(found["loss"], 3),
        "pire": f"{pct(found['worst_f1'])} ({found['worst_class']})",
        "mieux": f"{pct(found['best_f1'])} ({found['best_class']})",
    }


def s9_2(facts: Facts) -> Words:
    """Labels to look at."""
    found = facts["analyse_errors"]
    count = found["doubtful"]
    return {
        "douteuses": agree(count, "étiquette", "étiquettes") if count else "aucune étiquette",
        "n": nombre(found["n"]),
        "erreurs": pct(found["errors"] / found["n"]),
    }


def s9_3(facts: Facts) -> Words:
    """Calibration and risk."""
    found = facts["analyse_errors"]
    effects = {"plus haut": "abaisse la perte du test", "plus bas": "augmente la perte du test"}
    effect = verdicts.difference(*found["gain_interval"])
    return {
        "verdict": verdicts.calibration(found),
        "ece": pct(found["ece_before"], 2),
        "seuil": pct(found["ece_calibrated_before"], 2),
        "ecart": signe(found["excess_before"], 2),
        "temperature": nombre(found["temperature"], 2),
        "effet": effects.get(effect, "ne change pas la perte du test de façon décelable"),
        "garde": pct(found["kept"], 0),
        "risque": pct(found["kept_risk"]),
        "risque_intervalle": intervalle(found["kept_interval"]),
        "erreurs": pct(found["errors"] / found["n"]),
    }


def s9_4(facts: Facts) -> Words:
    """Orientation and faults of the image."""
    found = facts["measure_robustness"]
    light = [FAULTS[kind] for kind in found["light_harmful"]]
    return {
        "stables": pct(found["stable"]),
        "n": nombre(found["n"]),
        "vue": found["worst_view"],
        "perte_vue": _loss(found["worst_view_change"]),
        "defaut": FAULTS[found["worst_fault"]],
        "perte_defaut": _loss(found["worst_change"]),
        "legers": f"perte décelable avec {liste(light)}" if light else "aucune perte décelable",
    }


def s9_5(facts: Facts) -> Words:
    """The two best finalists on the same test images."""
    found = facts["compare_finalists_on_test"]
    decided = "une vraie différence entre ces deux réseaux (une seule graine)"
    return {
        "premier": code(found["first"]),
        "second": code(found["second"]),
        "epoques": plural(found["epochs"], "époque"),
        "images": nombre(found["train_images"]),
        "n": nombre(found["n"]),
        "un": pct(found["accuracies"][0], 2),
        "deux": pct(found["accuracies"][1], 2),
        "ecart": points_and_interval(found["difference"], *found["interval"]),
        "p": p_value(found["p_value"]),
        "verdict": decided if found["decided"] else "aucune différence décelable",
    }


def s9_graines(facts: Facts) -> Words:
    """The final training from other seeds, on either split."""
    spatial = facts.get("evaluate_spatial_seeds") or {}
    more = f" ; sur le découpage spatial, {_over_seeds(spatial)}" if spatial.get("count") else ""
    return {"standard": _over_seeds(facts["evaluate_seeds"]), "spatial": more}


def s9_6(facts: Facts) -> Words:
    """The same training on the spatial split."""
    found = facts["compare_splits"]
    if not found["available"]:
        return {"spatial": ABSENT[found["absent"]], "verdict": "absent", "baisses": ""}
    lower, drops = found["lower"], found["drops"]
    falls = liste(f"{name} ({signe(-drops[name])})" for name in lower) if lower else ""
    gap = (found["gap_low"], found["gap_high"])
    one, other = found["spatial"], found["standard"]
    return {
        "spatial": "oui",
        "accuracy": pct(one["accuracy"], 2),
        "intervalle": intervalle((one["low"], one["high"]), 2),
        "standard": pct(other["accuracy"], 2),
        "autre": "" if found["same_training"] else ", qui n’ont pas la même configuration",
        "ecart": signe(found["gap"], 2),
        "bornes": intervalle([100 * end for end in gap], 2, ""),
        "verdict": verdicts.difference(*gap),
        "baisses": f"Le rappel baisse nettement (Bonferroni) pour {falls}"
        if lower
        else "Aucune baisse du rappel d’une classe n’est établie",
    }


def s9_recette(facts: Facts) -> Words:
    """The recipe on the test images."""
    found = facts["train_recipe"]
    one, own, precision = found["accuracy"], found.get("spatial"), "une graine, "
    precision += intervalle((found["low"], found["high"]), 2)
    if found["count"] > 1:
        precision = f"moyenne de {found['count']} graines, écart-type {magnitude(one['sd'], 2)}"
    bounds = intervalle((own["low"], own["high"]), 2) if own else ""
    told = f" et {pct(own['accuracy'], 2)} {bounds} sur le découpage spatial" if own else ""
    return {"accuracy": pct(one["mean"], 2), "precision": precision, "spatial": told}


def m9(facts: Facts) -> Words:
    """Test against validation, and whether the network knows its training images by heart."""
    found, bars, train = facts["evaluate"], facts.get("compute_baselines"), facts.get("train")
    gap = (found["gap_low"], found["gap_high"])
    own = train if train and _same_training(train, found) else None
    learnt, bar = "inconnu", ""
    if own:
        learnt = "oui" if own["best_train_accuracy"] > found["high"] else "non"
    if bars:
        bar = "C’est" if found["low"] > bars["best_linear"] else "Ce n’est pas"
        bar += " nettement plus que le meilleur modèle linéaire, "
        bar += f"{pct(bars['best_linear'])} en validation"
    return {
        "accuracy": pct(found["accuracy"], 2),
        "n": nombre(found["n"]),
        "niveau": pct(found["confidence_level"], 0),
        "intervalle": intervalle((found["low"], found["high"]), 2),
        "f1": pct(found["macro_f1"], 2),
        "barre": bar,
        "validation": pct(found["val_accuracy"], 2),
        "ecart": signe(found["gap"], 2),
        "bornes": intervalle([100 * end for end in gap], 2, ""),
        "verdict": verdicts.difference(*gap),
        "par_coeur": learnt,
        "entrainement": pct(own["best_train_accuracy"]) if own else "",
        "avance": magnitude(own["best_train_accuracy"] - found["accuracy"]) if own else "",
    }


def m9_familles(facts: Facts) -> Words:
    """Whether the errors stay in the families of look-alikes that were announced."""
    found, errors = facts["analyse_errors"]["look_alikes"], facts["evaluate"]["errors"]
    groups = [set(family["classes"]) for family in found["families"]]
    outside = [
        f", dont {truth} pris pour {guess} ({plural(count, 'image')})"
        for truth, guess, count in facts["evaluate"]["confusions"]
        if not any({truth, guess} <= group for group in groups)
    ]
    return {
        "verdict": verdicts.families(found),
        "dedans": nombre(found["within"]),
        "erreurs": nombre(errors),
        "part": pct(found["share"]),
        "part_intervalle": intervalle((found["low"], found["high"])),
        "hasard": pct(found["chance"]),
        "sortent": nombre(errors - found["within"]),
        "exemple": outside[0] if outside else "",
    }


def m9_litterature(facts: Facts) -> Words:
    """The scores beside the two published ones whose sources were read."""
    found, spatial = facts["evaluate"], facts["compare_splits"]
    there = spatial["available"]
    return {
        "accuracy": pct(found["accuracy"], 2),
        "ecart": signe(found["accuracy"] - HELBER),
        "helber": pct(HELBER, 2),
        "spatial": pct(spatial["spatial"]["accuracy"], 2) if there else "",
    }


def s10(facts: Facts) -> Words:
    """Limits, and the diary of the run's owner."""
    found, config, grid = facts["evaluate"], facts["config"], facts.get("grid_search")
    views, side = facts.get("measure_robustness"), config["data"]["image_size"]
    seeds = facts.get("evaluate_seeds", {}).get("count", 1)
    early = reduced = turned = ""
    if grid:
        length = f"{plural(grid['epochs'], 'époque')}, {nombre(grid['train_images'])} images"
        early = f" ; les hyperparamètres sont choisis sur des débuts d’entraînement ({length})"
    if side < FULL_SIDE:
        reduced = f" ; les images sont réduites à {side} pixels, hors du protocole complet"
    if views and views["worst_view_change"][2] < 0:
        lost = magnitude(views["worst_view_change"][0])
        turned = f" ; tourner l’image fait perdre jusqu’à {lost}"
    return {
        "donnees": _data_limits(facts["synthetic"], facts.get("compare_splits") or {}),
        "graines": plural(seeds, "graine"),
        "n": nombre(found["n"]),
        "debuts": early,
        "reduction": reduced,
        "pire": f"{found['worst_class']} (F1 de {pct(found['worst_f1'])})",
        "orientation": turned,
        "journal": indent(journal(answers_folder().parent, config["paths"]["name"]), "  "),
    }


def s11(facts: Facts) -> Words:
    """What it takes to do it again, and what of it is in the repository."""
    config, synthetic, given = facts["config"], facts["synthetic"], facts["given"]
    folder, name, there = results_folder(config), config["paths"]["name"], facts["there"]
    checkpoint = config["evaluate"]["checkpoint"] or folder + "best.ckpt"
    extract = {"seed": config["seed"], "profile": config["profile"]}
    extract |= {part: {k: config[part][k] for k in keys} for part, keys in EXTRACT.items()}
    flags = "".join(f" --{key} {value}" for key, value in given.items() if key not in NAMING)
    files = {"runs": f"runs/{name}/" if name else "runs/", "checkpoint": checkpoint}
    files |= {"config": folder + "config.yaml"}
    return {
        **point(facts["evaluate"]["hyperparameters"]),
        "graine": facts["evaluate"]["seed"],
        "extrait": yaml.safe_dump(extract, sort_keys=False, default_flow_style=None).strip(),
        "config": code(folder + "config.yaml"),
        "nuls": _nulls(extract),
        "images": facts["location"],
        "make": make_options(config, synthetic, given),
        "options": f"--config configs/config.yaml{options(config, synthetic)}{flags}",
        "checkpoint": checkpoint,
        **{f"{key}_case": "x" if there[key] == "déposé" else " " for key in there},
        **{f"{key}_la": f"{code(path)}, {PLACES[there[key]]}" for key, path in files.items()},
    }


def s12(facts: Facts) -> Words:
    """Which parts of the run call works of their own."""
    return {
        "recette": "oui" if facts.get("train_recipe") else "",
        "spatial": "oui" if facts["compare_splits"]["available"] else "",
    }


def resume(facts: Facts) -> Words:
    """The run in ten lines: both test accuracies, what was chosen, what failed."""
    found, splits = facts["evaluate"], facts.get("compare_splits") or {}
    grid, finalists = facts.get("grid_search"), facts.get("compare_finalists")
    spatial = searched = ""
    if splits.get("available"):
        one = splits["spatial"]
        bounds = intervalle((one["low"], one["high"]), 2)
        spatial = "Réentraîné sur un découpage qui sépare les lieux, il classe bien "
        spatial += f"**{pct(one['accuracy'], 2)}** de ses nouvelles images de test {bounds}."
    if grid and finalists:
        again = plural(len(finalists["finalists"]), "finaliste")
        searched = f", après une grille de {grid['n_trials']} essais, une grille resserrée "
        searched += f"et {again} réentraînés avec de nouvelles graines"
    return {
        **point(found["hyperparameters"]),
        "images": "dessinées" if facts["synthetic"] else "réelles",
        "parametres": nombre(found["parameters"]),
        "accuracy": pct(found["accuracy"], 2),
        "n": nombre(found["n"]),
        "intervalle": intervalle((found["low"], found["high"]), 2),
        "validation": pct(found["val_accuracy"], 2),
        "spatial": spatial,
        "recherches": searched,
        "echecs": _failures(facts),
    }


def conclusion(facts: Facts) -> Words:
    """What the run teaches."""
    splits, train = facts.get("compare_splits") or {}, facts.get("train")
    recipe, there = facts.get("train_recipe"), splits.get("available")
    return {
        "parametres": nombre(facts["evaluate"]["parameters"]),
        "accuracy": pct(facts["evaluate"]["accuracy"], 2),
        "sous": verdicts.underfitting(train) if train else "inconnu",
        "recette": pct(recipe["accuracy"]["mean"], 2) if recipe else "",
        "verdict_spatial": verdicts.difference(splits["gap_low"], splits["gap_high"])
        if there
        else "absent",
        "accuracy_spatiale": pct(splits["spatial"]["accuracy"], 2) if there else "",
    }


def _failures(facts: Facts) -> str:
    """Write what did not work, sentence by sentence; the weakest class at least."""
    found, train = facts["evaluate"], facts.get("train")
    refined, grid = facts.get("refined_grid_search"), facts.get("grid_search")
    splits = facts.get("compare_splits") or {}
    told = []
    if refined and verdicts.refinement(refined, grid) == "gain":
        told.append("La grille resserrée n’apporte pas de gain démontré.")
    elif refined and verdicts.refinement(refined, grid) in ("perte", "égalité"):
        told.append("La grille resserrée n’améliore pas le score de la grille.")
    if train and verdicts.underfitting(train) in ("oui", "en partie"):
        told.append(
            f"En {plural(train['epochs'], 'époque')}, le réseau semble encore sous-apprendre."
        )
    if splits.get("available") and splits["gap_low"] > 0:
        told.append(f"Sur d’autres lieux, il perd {magnitude(splits['gap'])}.")
    weakest = f"{found['worst_class']} reste la classe la plus faible"
    return " ".join([*told, f"{weakest} (F1 de {pct(found['worst_f1'])})."])


def _data_limits(synthetic: bool, splits: Facts) -> str:
    if synthetic:
        return "**images de démonstration**, dessinées par programme, qui ne disent rien d’EuroSAT"
    text = "les listes standard sont tirées au hasard, et des vignettes voisines tombent des deux "
    text += "côtés"
    if splits.get("available") and splits["gap_low"] > 0:
        lost = magnitude(splits["gap"])
        text += f" ; sur un découpage qui sépare les lieux, le même entraînement perd {lost}"
    return text + " ; aucune étiquette n’a été corrigée"


def _nulls(extract: Facts) -> str:
    """Say how each null of an extract reads."""
    parts = [part for part in extract.values() if isinstance(part, dict)]
    empty = {key for part in parts for key, value in part.items() if value is None}
    told = [
        f"{words} pour {liste(code(key) for key in keys if key in empty)}"
        for words, keys in NULLS.items()
        if empty & set(keys)
    ]
    return f"`null` se lit : {f'{THIN}; '.join(told)}." if told else ""


def _loss(change: tuple[float, float, float]) -> str:
    """Write a fall of accuracy that its interval establishes, or that there is none."""
    if verdicts.difference(*change[1:]) == "plus bas":
        return f"fait perdre {magnitude(change[0])}"
    return "ne fait rien perdre de décelable"


def _over_seeds(found: Facts) -> str:
    """Write the scores over seeds: two by themselves, more by mean and standard deviation."""
    seeds, one = found["seeds"], found["accuracy"]
    if len(seeds) == 1:
        return f"{pct(one['mean'], 2)} pour la seule graine {seeds[0]}"
    if len(seeds) == 2:
        half = one["sd"] / 2**0.5
        pair = f"{pct(one['mean'] - half, 2)} et {pct(one['mean'] + half, 2)}"
        return f"{pair} pour deux graines, trop peu pour un écart-type"
    bounds = intervalle((one["low"], one["high"]), 2)
    spread = f"écart-type {magnitude(one['sd'], 2)}, moyenne dans {bounds}"
    return f"{len(seeds)} graines ({liste(seeds)}), {pct(one['mean'], 2)} en moyenne, {spread}"


def _same_training(train: Facts, found: Facts) -> bool:
    """Tell whether a tested checkpoint is that of the run's final training."""
    own = all(train[key] == value for key, value in found["hyperparameters"].items())
    return own and (train["best_epoch"], train["seed"]) == (found["epoch"], found["seed"])
