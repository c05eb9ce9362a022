"""Words of sections 9 to 12, abstract and conclusion. A function is its answer's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from textwrap import indent

import yaml

from eurosat_lib.config import Config, read_yaml
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.french import intervalle, liste, nombre, pct, plural, signe
from eurosat_lib.report import words as verdicts
from eurosat_lib.report.words import (
    Facts,
    Words,
    answers_folder,
    between,
    bounded,
    commands,
    magnitude,
    plain,
    point,
    written,
)

FAULTS = {"blur": "flou", "noise": "bruit", "jpeg": "JPEG", "haze": "brume"}
NAMING = ("name", "profile", "data", "config_path")  # parameters that have options of their own
ABSENT = {  # why there is no spatial split
    "synthetic": "car les images dessinées n’ont ni lieu ni voisines",
    "split": "car tout ce run est calculé sur un autre découpage que le standard",
    "disabled": "car ce run ne l’a pas demandé",
    "lists": "faute de ses listes",
}
HELBER = 0.9857  # accuracy that the abstract of Helber et al. (2019) states
EXPECTED = [{"Highway", "River"}, {"Pasture", "HerbaceousVegetation"}]  # confusions, in D10
EXTRACT = ("data", "augment", "model", "grid")  # of the configuration, in section 11


def journal(reports: Path, name: str) -> str:
    """Return the diary that the owner of a run keeps, as it is but for comments.

    ``reports/NAME/journal.md`` of a named run, else ``reports/journal.md``; nothing without one.
    """
    for path in (reports / name / "journal.md", reports / "journal.md"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip()
    return ""


def files_there(config: Config, evaluation: Evaluation) -> dict[str, bool]:
    """Tell which of a run's files git holds; its copy of the configuration has what was tested."""
    folder, stored = config.paths.artifacts, config.paths.artifacts / "config.yaml"
    given = Path(config.evaluate.checkpoint or folder / "best.ckpt").expanduser()
    kept = read_yaml(stored).get("train", {}) if stored.is_file() else {}
    own = evaluation.hyperparameters.model_dump().items()
    aligned = all(kept.get(key) == value for key, value in own)
    return {
        "runs": _committed(config, config.paths.runs),
        "checkpoint": _committed(config, Path(config.paths.root, given)),
        "config": aligned and _committed(config, stored),
    }


def s9(facts: Facts) -> Words:
    """The tested checkpoint and its scores, the rarest class and the most frequent confusion."""
    found, config, classes = facts["evaluate"], facts["config"], facts["classes"]
    rare, low = (min(classes, key=lambda one: one[key]) for key in ("support", "recall"))
    words = _scores(found) | {
        **point(found["hyperparameters"]),
        **written(nombre, found, "loss", digits=3),
        "fichier": _checkpoint(config),
        "empreinte": found["checkpoint_sha256"][:12],
        "f1_intervalle": intervalle(found["macro_f1_interval"], 2),
        "rare": rare["name"],
        "rappel_rare": pct(rare["recall"]),
        "basse": low["name"],
        "rappel_bas": pct(low["recall"]),
        "rarete": "peut en être une cause" if rare == low else "n’explique pas les erreurs",
        "vraie": "",
    }
    if facts["confusions"] and not facts["synthetic"]:
        words["vraie"], words["predite"], count = facts["confusions"][0]
        words["confondues"] = plural(count, "image")
        expected = {words["vraie"], words["predite"]} in EXPECTED
        words["attente"] = "comme attendu" if expected else "contre notre attente"
    return words


def s9_3(facts: Facts) -> Words:
    """Whether the mean confidence is right, and what a temperature changes."""
    found = facts["analyse_errors"]
    return {
        **written(pct, found, "ece_before", "ece_after", digits=2),
        **written(nombre, found, "temperature", digits=2),
        "verdict": verdicts.calibration(found),
        "ecart": bounded(found["excess_before"], *found["excess_interval_before"]),
    }


def s9_4(facts: Facts) -> Words:
    """Orientation and faults of the image."""
    found = facts["measure_robustness"]
    light = [FAULTS[kind] for kind in found["light_harmful"]]
    return {
        **plain(found),
        **written(pct, found, "stable"),
        **written(_loss, found, "worst_view_change", "worst_change"),
        "defaut": FAULTS[found["worst_fault"]],
        "legers": f"avec {liste(light)}" if light else "aucune",
    }


def s9_graines(facts: Facts) -> Words:
    """The final training from other seeds: two by themselves, more by mean and deviation."""
    seeds, one = facts["evaluate_seeds"]["seeds"], facts["evaluate_seeds"]["accuracy"]
    if len(seeds) == 1:
        return {"plusieurs": ""}
    scores = f"{pct(one['mean'], 2)} en moyenne, écart-type {magnitude(one['sd'], 2)}"
    if len(seeds) == 2:
        ends = (pct(one["mean"] + side * one["sd"] / 2**0.5, 2) for side in (-1, 1))
        scores = f"de {' à '.join(ends)}"
    return {"plusieurs": "oui", "graines": liste(seeds), "scores": scores}


def s9_6(facts: Facts) -> Words:
    """The same training on the spatial split."""
    found = facts["compare_splits"]
    if not found["available"]:
        return {"verdict": "absent", "raison": ABSENT[found["absent"]]}
    drops, gap = found["drops"], (found["gap_low"], found["gap_high"])
    ends = (max(drops, key=drops.get), min(drops, key=drops.get))
    pire, mieux = (f"{signe(-drops[name])} ({name})" for name in ends)
    return {
        **written(pct, found["spatial"], "accuracy", digits=2),
        "intervalle": between(found["spatial"]),
        "standard": pct(found["standard"]["accuracy"], 2),
        "ecart": bounded(found["gap"], *gap, 2),
        "verdict": verdicts.difference(*gap),
        "autre": "" if found["same_training"] else " d’un autre réseau",
        "pire": pire,
        "mieux": mieux,
        "etablies": plural(len(found["lower"]), "classe"),
    }


def s9_recette(facts: Facts) -> Words:
    """The recipe on the test images."""
    found = facts["train_recipe"]
    accuracy, seeds = pct(found["accuracy"]["mean"], 2), plural(found["count"], "graine")
    return {"accuracy": accuracy, "graines": seeds, "intervalle": between(found)}


def m9(facts: Facts) -> Words:
    """Test against validation and against published scores; whether training knows its images."""
    found, bar, train = facts["evaluate"], facts.get("compute_baselines"), facts.get("train") or {}
    gap = (found["gap_low"], found["gap_high"])
    words = conclusion(facts) | {
        "ecart": bounded(found["gap"], *gap, 2),
        "verdict": verdicts.difference(*gap),
        "barre": "",
        "par_coeur": "inconnu",
        "helber": "" if facts["synthetic"] else pct(HELBER, 2),
    }
    if bar:
        words |= plain(bar) | written(pct, bar, "best_linear")
        words["barre"] = "est" if found["low"] > bar["best_linear"] else "n’est pas"
    tested = {"best_epoch": found["epoch"], "seed": found["seed"], **found["hyperparameters"]}
    if tested.items() <= train.items():  # the checkpoint of the run's final training
        learnt = train["best_train_accuracy"]
        words["entrainement"] = pct(learnt)
        words["par_coeur"] = "oui" if learnt > found["high"] else "non"
        words["place"] = "au-dessous de" if learnt < found["low"] else "dans"
    return words


def s10(facts: Facts) -> Words:
    """Limits, and the diary of the run's owner."""
    name, count = facts["config"]["paths"]["name"], facts.get("evaluate_seeds", {}).get("count", 1)
    return conclusion(facts) | {
        "images": "dessinées" if facts["synthetic"] else "réelles",
        "graines": plural(count, "graine") if count > 1 else "une seule graine",
        "journal": indent(journal(answers_folder().parent, name), "  "),
    }


def s11(facts: Facts) -> Words:
    """What it takes to do it again, and what of it is in the repository."""
    config, given, found = facts["config"], facts["given"], facts["evaluate"]
    name, epochs = config["paths"]["name"], config["train"]["max_epochs"]
    extract = {"seed": config["seed"], "profile": config["profile"]}
    for part in EXTRACT:
        extract[part] = {k: value for k, value in config[part].items() if value is not None}
    for key in () if facts["synthetic"] else ("source", "synthetic_images"):
        extract["data"].pop(key, None)  # of no use to a reader when the images are real
    extract["train"] = found["hyperparameters"] | {"max_epochs": epochs}
    folder, file = f"runs/{name}/" if name else "runs/", _checkpoint(config)
    return {
        **commands(config, facts["synthetic"], given),
        "graine": found["seed"],
        "extrait": yaml.safe_dump(extract, sort_keys=False, default_flow_style=None).strip(),
        "drapeaux": "".join(f" --{k} {value}" for k, value in given.items() if k not in NAMING),
        "images": facts["location"],
        "fichier": file,
        "runs": "" if folder == "runs/" else f", dans `{folder}`",
        "poids": "" if file == "artifacts/best.ckpt" else f", dans `{file}`",
        **{f"{key}_case": "x" if there else " " for key, there in facts["there"].items()},
        "absents": "" if all(facts["there"].values()) else "oui",
    }


def s12(facts: Facts) -> Words:
    """Which parts of the run call works of their own."""
    return {
        "recette": "oui" if facts.get("train_recipe") else "",
        "spatial": "oui" if facts["compare_splits"]["available"] else "",
    }


def resume(facts: Facts) -> Words:
    """The run in ten lines: both test accuracies, what was chosen, what failed."""
    searches = ("grid_search", "refined_grid_search", "compare_finalists")
    grid, refined, finalists = map(facts.get, searches)
    found, train = facts["evaluate"], facts.get("train")
    words = {
        **conclusion(facts),
        **point(found["hyperparameters"]),
        "images": "dessinées" if facts["synthetic"] else "réelles",
        "resserree": verdicts.refinement(refined, grid) if refined else "seule",
        "epoques": plural(train["epochs"], "époque") if train else "",
        **dict.fromkeys(("essais", "pourtant"), ""),
    }
    if train and grid and refined and {*train["origin"].values()} == {searches[2]}:
        words["essais"], equal = grid["n_trials"], verdicts.leads(finalists) == "à égalité"
        words["finalistes"] = plural(len(finalists["finalists"]), "finaliste")
        words["depart"] = ", qui ne les départagent pas" if equal else ""
        new = train["lr"] in refined["values"]["lr"] and train["lr"] not in grid["values"]["lr"]
        words["pourtant"] = ", d’où vient pourtant le LR," if new else ""
    return words


def conclusion(facts: Facts) -> Words:
    """What the run teaches."""
    train, recipe = facts.get("train"), facts.get("train_recipe")
    splits = facts.get("compare_splits") or {"available": False}
    words = _scores(facts["evaluate"]) | {
        "sous": verdicts.underfitting(train) if train else "inconnu",
        "recette": pct(recipe["accuracy"]["mean"], 2) if recipe else "",
        "spatial": "",
        "ecart_spatial": "absent",
    }
    if splits["available"]:
        words["spatial"] = pct(splits["spatial"]["accuracy"], 2)
        words["spatial_intervalle"] = between(splits["spatial"])
        words["perte"] = magnitude(splits["gap"])
        words["ecart_spatial"] = verdicts.difference(splits["gap_low"], splits["gap_high"])
    return words


def _scores(found: Facts) -> Words:
    """Write what every answer says of an evaluation."""
    return {
        **plain(found),
        **written(pct, found, "accuracy", "macro_f1", "val_accuracy", digits=2),
        **written(pct, found, "confidence_level", digits=0),
        **written(pct, found, "worst_f1", "best_f1"),
        "intervalle": between(found),
    }


def _checkpoint(config: Facts) -> str:
    return config["evaluate"]["checkpoint"] or commands(config)["dossier"] + "best.ckpt"


def _loss(change: tuple[float, float, float]) -> str:
    """Write a fall of accuracy that its interval establishes, or that there is none."""
    if verdicts.difference(*change[1:]) == "plus bas":
        return f"fait perdre {magnitude(change[0])}"
    return "ne fait rien perdre de décelable"


def _committed(config: Config, path: Path) -> bool:
    """Tell whether git holds a file, or anything of a folder, that is still there."""
    command = ["git", "-C", str(config.paths.root), "ls-files", "--", str(path)]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:  # no git
        return False
    return path.exists() and any(not name.endswith(".gitkeep") for name in listed.split("\n")[:-1])
