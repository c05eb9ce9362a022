"""Words of sections 9 to 12, abstract and conclusion; a verdict is a rule before its answer."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from textwrap import indent

import yaml

from eurosat_lib import french
from eurosat_lib.config import PARAMETERS, Config, read_yaml
from eurosat_lib.errors import UserError
from eurosat_lib.files import git
from eurosat_lib.french import ecart, intervalle, liste, magnitude, nombre, pct, plural
from eurosat_lib.report.words import Facts, Words, answers_folder, commands, difference, write
from eurosat_lib.report.words_training import ending, leads
from eurosat_lib.stats import FEWEST

CONFUSED = [{"Highway", "River"}, {"Pasture", "HerbaceousVegetation"}]  # expected in D10
NOTHING = "rien perdre de décelable"
REASONABLE = 0.02  # gap of test and validation
NAMING = ("name", "profile", "data", "config_path")  # parameters that have options of their own


def rarity(supports: Sequence[int], recalls: Sequence[float]) -> str:
    """Say what the recall of the rarest class tells: ``minimum``, or what rarity does to errors.

    Empty if no class is the rarest, or if all recalls are equal.
    """
    low, rare = min(recalls), recalls[supports.index(min(supports))]
    if low == max(recalls) or supports.count(min(supports)) > 1:
        return ""
    if rare == low and recalls.count(low) == 1:
        return "minimum"
    return "ne suffit pas à expliquer" if rare < fmean(recalls) else "n’explique pas"


def confusions(pairs: Sequence[tuple[str, str, int]]) -> Words:
    """Write the most frequent confusion, and the first that D10 expects, with its rank or tie."""
    told = [f"*{true}* prise pour *{said}* ({plural(n, 'image')})" for true, said, n in pairs]
    place = next((k for k, pair in enumerate(pairs) if {*pair[:2]} in CONFUSED), None)
    words = {"confusion": told[0] if told else "", "attente": "comme attendu", "attendue": ""}
    if place != 0:
        words["attente"] = "contre notre attente"
    if place:
        counts = [count for *_, count in pairs]
        rank = 1 + sum(count > counts[place] for count in counts)
        tie = ", à égalité" * (counts.count(counts[place]) > 1)
        words["attendue"] = f" ; {told[place]}, que nous attendions, vient au rang {rank}{tie}"
    return words


def s9(facts: Facts) -> Words:
    """The tested checkpoint, its scores, its rarest class and its most frequent confusions."""
    found, seen = facts["evaluate"], [one for one in facts["classes"] if one["support"]]
    rare, low = (min(seen, key=lambda one: one[key]) for key in ("support", "recall"))
    supports, recalls = ([one[key] for one in seen] for key in ("support", "recall"))
    recall = {"rare": rare, "basse": low, "recall": fmean(recalls)}
    words = commands(facts["config"]) | write(found | found["hyperparameters"] | recall)
    words |= confusions([] if facts["synthetic"] else facts["confusions"])
    return words | {
        "empreinte": found["checkpoint_sha256"][:12],
        "f1_intervalle": intervalle(found["macro_f1_interval"], 2),
        "rarete": rarity(supports, recalls),
        "basses": liste(f"*{one['name']}*" for one in seen if one["recall"] == low["recall"]),
    }


def s9_calibration(facts: Facts) -> Words:
    """Whether the mean confidence is right, and what a temperature changes."""
    found, bounds = facts["analyse_errors"], facts["analyse_errors"]["excess_interval_before"]
    judged = {"plus haut": "trop haute", "plus bas": "trop basse"}
    verdict = judged.get(difference(*bounds), "sans écart décelable")
    return write(found) | {"ecart": ecart(found["excess_before"], bounds, 2), "verdict": verdict}


def s9_robustesse(facts: Facts) -> Words:
    """Orientation and faults of the image."""
    found = facts["measure_robustness"]
    light = liste(map(french.CORRUPTIONS.get, found["light_harmful"]))
    return write(found) | {
        "vue": lost(*found["worst_view_change"]),
        "change": lost(*found["worst_change"]),
        "defaut": french.CORRUPTIONS[found["worst_fault"]],
        "legers": f"l’exactitude baisse déjà ({light})" if light else "rien ne baisse nettement",
    }


def lost(change: float, low: float, high: float) -> str:
    """Write a fall of accuracy that its interval establishes, or that there is none."""
    fell = difference(low, high) == "plus bas"
    return f"fait perdre {magnitude(change)}" if fell else f"ne fait {NOTHING}"


def s9_graines(facts: Facts) -> Words:
    """The final training from other seeds; a standard deviation takes three."""
    found, words = facts["evaluate_seeds"], write(facts["evaluate_seeds"])
    spread, lost = " ; deux graines ne suffisent pas à en mesurer la dispersion", found["diverged"]
    few = found["count"] < FEWEST
    return words | {
        "seeds": liste(found["seeds"]),
        "dispersion": spread if few else f", écart-type {words['accuracy_sd']}",
        "perdues": f" ({plural(len(lost), 'divergence')})" if lost else "",
    }


def spatial_drop(splits: Facts) -> str:
    """Judge the drop to the spatial split; empty if it is absent, or of another training."""
    same = splits.get("same_training")
    return difference(splits["gap_low"], splits["gap_high"]) if same else ""


def s9_decoupage(facts: Facts) -> Words:
    """The same training on the spatial split."""
    found = facts["compare_splits"]
    words = write(found) | {"verdict": spatial_drop(found)}
    if not found["available"]:
        return words
    drops, same, told = found["drops"], found["same_training"], []
    chosen = " Les réglages, eux, viennent des listes standard, où "
    chosen += f"{nombre(found['spatial']['n'] - found['common'])} de ces {words['spatial_n']} "
    chosen += "images servent à l’entraînement ou à la validation : ce score est plutôt optimiste."
    worst, least = max(drops, key=drops.get), min(drops, key=drops.get)
    if drops[worst] > 0:
        told.append(f"baisse de {magnitude(drops[worst])} au plus (*{worst}*)")
    if drops[least] < 0:
        told.append(f"monte de {magnitude(drops[least])} au plus (*{least}*)")
    return words | {
        "ecart": ecart(found["gap"], (found["gap_low"], found["gap_high"]), 2),
        "autre": "" if same else " pour un autre réseau",
        "varie": " et ".join(told) or "ne change pas",
        "etablies": liste(f"*{name}*" for name in found["lower"]) or "aucune",
        "choisis": chosen if 0 < found["common"] < found["spatial"]["n"] and same else "",
    }


def m9(facts: Facts) -> Words:
    """Test against validation and against published scores; whether training knows its images."""
    found, train, words = facts["evaluate"], facts.get("train", {}), conclusion(facts)
    gap = (found["gap_low"], found["gap_high"])
    words |= {"verdict": difference(*gap), "ecart": ecart(found["gap"], gap, 2)}
    words["raisonnable"] = "l’est" if abs(found["gap"]) < REASONABLE else "ne l’est pas"
    words |= {"seuil": magnitude(REASONABLE, 0), "par_coeur": "inconnu"}
    tested = {"best_epoch": found["epoch"], "seed": found["seed"], **found["hyperparameters"]}
    if tested.items() <= train.items():  # the checkpoint of the run's final training
        learnt = train["best_train_accuracy"]
        words["entrainement"] = pct(learnt)
        words["par_coeur"] = "oui" if learnt > found["high"] else "non"
    return words


def s10(facts: Facts) -> Words:
    """Limits, what diverged, and the diary of the run's owner."""
    train, grid = facts.get("train", {}), facts.get("grid_search")
    searched, seeds = "aucune grille n’a été calculée", facts.get("evaluate_seeds", {})
    if grid:
        searched = f"la grille ne dure que {plural(grid['epochs'], 'époque')} par run"
        if grid["train_images"] < train.get("train_images", 0):
            searched += f", sur {plural(grid['train_images'], 'image')}"
    grids = [facts[key] for key in ("grid_search", "refined_grid_search") if facts.get(key)]
    ran, lost = [], sum(one["n_diverged"] for one in grids) + bool(train.get("diverged"))
    lost += len(seeds.get("diverged", ()))
    if grids:
        which = "de la grille" if len(grids) == 1 else "des deux grilles"
        ran.append(f"les essais {which} ({liste(nombre(one['n_trials']) for one in grids)})")
    if train:
        ran.append("l’entraînement final")
    if seeds.get("diverged"):
        ran.append("les autres graines")
    apart = facts["config"]["data"]["split"] == "spatial"
    places = "rien ne garantit que les splits séparent les lieux"
    places = "un seul découpage sépare les lieux" if apart else places
    broken = f"{plural(lost, 'divergence')} parmi" if lost else "ni divergence ni NaN dans"
    reports, count = answers_folder().parent, seeds.get("count", 1)
    alone = "une seule graine ; nos intervalles disent l’aléa des images de test, pas celui d’un "
    alone += "autre entraînement"
    return conclusion(facts) | {
        "graines": plural(count, "graine") if count > 1 else alone,
        "lieux": places,
        "recherches": searched,
        "pannes": f"{broken} {liste(ran)}" if ran else "rien n’a été entraîné dans ce run",
        "journal": indent(journal(reports, facts["config"]["paths"]["name"]), "  "),
    }


def s11(facts: Facts) -> Words:
    """What it takes to do it again, and what of it is in the repository."""
    config, given, there = facts["config"], facts["given"], facts["there"]
    extract = {"seed": config["seed"], "profile": config["profile"]}
    for part in ("data", "augment", "model", "lr_finder", "grid", "refined_grid", "finalists"):
        extract[part] = {k: value for k, value in config[part].items() if value is not None}
    del extract["data"]["synthetic_images"]
    own = facts["evaluate"]["hyperparameters"] | {"max_epochs": config["train"]["max_epochs"]}
    extract["train"] = own | {"seeds": config["train"]["seeds"]}
    finals = " ; les entraînements finals répétés, celles de `train.seeds`"
    form = {"sort_keys": False, "default_flow_style": True}
    parts = (yaml.safe_dump({key: part}, width=88, **form) for key, part in extract.items())
    others = {PARAMETERS[k]: v for k, v in given.items() if k not in (*NAMING, *own)}
    again = range(config["seed"] + 1, config["seed"] + 1 + config["finalists"]["seeds"])
    return {
        **commands(config, facts["synthetic"], given),
        "graine": facts["evaluate"]["seed"],
        "fichier_shell": shlex.quote(commands(config)["fichier"]),
        "graines_lr": liste(config["lr_finder"]["seeds"]),
        "graines_finalistes": liste(again),
        "graines_finales": finals if config["train"]["seeds"] else "",
        "extrait": "\n".join(text.strip()[1:-1] for text in parts),  # a section a line
        "valeurs": "".join(f" --{name} {value}" for name, value in own.items()),
        "drapeaux": "".join(f" --set {shlex.quote(f'{k}={v}')}" for k, v in others.items()),
        "runs": config["paths"]["name"] and f"{config['paths']['name']}/",
        **{f"{key}_case": "☑" if held else "☐" for key, held in there.items()},
        "absents": not all(there.values()),
    }


def resume(facts: Facts) -> Words:
    """The run in ten lines: both test accuracies, what was chosen, what failed."""
    origins = facts.get("train", {"origin": {}})["origin"]
    chosen = {*origins.values()} == {"compare_finalists"} and "grid_search" in facts
    words = conclusion(facts) | write(facts["evaluate"]["hyperparameters"])
    depth = facts["grid_search"]["effects"]["blocks_per_stage"] if "grid_search" in facts else {}
    return words | {
        "finalistes": leads(facts["compare_finalists"]) if chosen else "",
        "sans_gain": bool(depth) and depth["score"]["sign"] < 0,
    }


def conclusion(facts: Facts) -> Words:
    """What the run teaches."""
    found, train, recipe = facts["evaluate"], facts.get("train"), facts.get("train_recipe")
    splits = facts.get("compare_splits", {"available": False})
    better = recipe and recipe["low"] > found["high"]
    return {
        **write(splits),
        **write(found),
        "synthetic": facts.get("synthetic", False),
        "fin": ending(train) if train else "",
        "recette": pct(recipe["accuracy"]["mean"], 2) if better else "",
        "ecart_spatial": spatial_drop(splits),
    }


def journal(reports: Path, name: str) -> str:
    """Return the diary of a run's owner, else of the project's, but for comments; may be empty."""
    places = (reports / name / "journal.md", reports / "journal.md")
    path = next((path for path in places if path.is_file()), None)
    try:
        text = path.read_text(encoding="utf-8-sig") if path else ""
    except UnicodeDecodeError:
        place = path.relative_to(reports.parent)
        raise UserError(f"{place}: not text in UTF-8: save it as UTF-8") from None
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip()


def files_there(config: Config, tested: Facts) -> dict[str, bool]:
    """Tell which of a run's files git holds; a configuration, with the hyperparameters tested."""
    root, stored = config.paths.root, config.paths.artifacts / "config.yaml"
    checkpoint = Path(root, config.evaluate.checkpoint or config.paths.artifacts / "best.ckpt")
    places = {"runs": config.paths.runs, "checkpoint": checkpoint, "config": stored}
    there = {}
    for name, path in places.items():
        held = {*git(root, "ls-files", "--", str(path)).split()} - {"runs/.gitkeep"}
        there[name] = path.exists() and bool(held)
    kept = read_yaml(stored).get("train", {}) if there["config"] else {}
    return there | {"config": tested.items() <= kept.items()}
