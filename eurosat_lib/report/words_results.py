"""Words of sections 5 to 12, abstract and conclusion. A function is its answer's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from textwrap import indent

import yaml

from eurosat_lib import french
from eurosat_lib.config import Config, read_yaml
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.french import intervalle, liste, nombre, pct, plural, power, signe
from eurosat_lib.report import words as verdicts
from eurosat_lib.report.title import git
from eurosat_lib.report.words import Facts, Words, bounded, commands, magnitude, write
from eurosat_lib.stats import FEWEST

SIZE = ("plus grand", "plus petit")
MEASURES = {  # what a factor changes on the curves: its name, when it grows, when it shrinks
    "score": ("le niveau", "plus haut", "plus bas"),
    "speed": ("le départ", "plus rapide", "plus lent"),
    "gap": ("l’écart train − val", *SIZE),
    "spread": ("l’écart des deux dernières époques (instabilité, ou progrès en cours)", *SIZE),
}
EXPECTED = {"lr": 1, "weight_decay": 0, "dilation_stage3": 0, "blocks_per_stage": 1}  # signs
TREND = {"plus bas": "baisse", "plus haut": "monte", "égalité": "ne change pas nettement"}
CONFUSED = [{"Highway", "River"}, {"Pasture", "HerbaceousVegetation"}]  # expected in D10
SWINGS = {"agitée": "oscille comme prévu", "bonne": "oscille moins que prévu"}  # by stability
REASONABLE = 0.02  # gap of test and validation
BESIDE = {"plus haut": "est au-dessus de", "plus bas": "est au-dessous de", "égalité": "contient"}
FAULTS = dict(blur="le flou", noise="le bruit", jpeg="la compression JPEG", haze="la brume")
NAMING = ("name", "profile", "data", "config_path")  # parameters that have options of their own


def m5(facts: Facts) -> Words:
    """The grid as it ran, its best point, and what the factors change on the curves."""
    grid, effects = facts["grid_search"], facts["grid_search"]["effects"]
    cases, trials = grid["lr_effect_by"]["blocks_per_stage"], facts.get("trials", ())
    lr = french.capital(_step("lr", effects["lr"]["score"]))
    bar = facts.get("compute_baselines", {"best_linear": 0})
    below = sum(0 < trial["score"] < bar["best_linear"] for trial in trials)
    return {
        **write(bar | grid),
        **verdicts.interaction(cases),
        "origine": french.ORIGINS[grid["origin"]],
        "duree": french.duree(grid["seconds"]),
        "effet_a": _effect("dilation_stage3", effects["dilation_stage3"]),
        "effet_b": _effect("blocks_per_stage", effects["blocks_per_stage"]),
        "effet_lr": f"{lr}, le niveau est {_seen(effects['lr'], 'score')}",
        "lr_selon_b": liste(f"avec B = {case['value']}, {_seen(case, 'score')}" for case in cases),
        "divergences": plural(grid["n_diverged"], "run") if grid["n_diverged"] else "",
        "sous_la_barre": plural(below, "run") if below else "",
    }


def s6(facts: Facts) -> Words:
    """The final configuration, where it comes from, and its network."""
    train, net = facts["train"], facts["final_architecture"]
    words = {f"origine_{name}": french.ORIGINS[stage] for name, stage in train["origin"].items()}
    deeper = net["blocks_per_stage"] != facts["config"]["model"]["blocks_per_stage"]
    words |= {"cote": net["input_shape"][1], "autre_plan": "oui" * deeper}
    return commands(facts["config"]) | write(train | net) | words


def s6_lr(facts: Facts) -> Words:
    """The final learning rate beside what the sweeps say."""
    train, check, choice = facts["train"], facts.get("check_lr", {}), facts["lr_finder"]["choice"]
    searches = [facts[k] for k in ("grid_search", "refined_grid_search") if k in facts]
    lr = train["lr"]
    extreme = verdicts.edge(lr, {lr}.union(*(search["values"]["lr"] for search in searches)))
    words = write({"epochs": train["epochs"], "lr": lr} | check | facts["config"]["model"])
    words |= {"finder": power(choice) if choice else "", "cause": ""}
    if choice:
        times, size = nombre(max(lr / choice, choice / lr), 1), "petit" if lr < choice else "grand"
        words["compare"] = "celui" if lr == choice else f"{times} fois plus {size} que celui"
    if choice and lr < choice:
        words["cause"] = verdicts.lag(facts["config"]["lr_finder"])["decalage"]
    words |= {"place": verdicts.beside_sweep(lr, check), "extreme": extreme}
    return words | {"au_dela": extreme.removeprefix("le ")}


def m6(facts: Facts) -> Words:
    """Under-fitting, over-fitting, stability."""
    train, trend, beside = facts["train"], facts["train"]["trend"] or {}, facts.get("beside", {})
    better, stable = beside.get("same_network") and beside["low"] > 0, verdicts.stability(train)
    ahead = train["last_train_accuracy"] > train["last_val_high"]
    words, lowest = write(train), train["lowest_val_loss_epoch"]
    later = f" ; son minimum, {words['lowest_val_loss']}, est à l’époque {lowest}"
    words |= {
        "intervalle": intervalle((train["last_val_low"], train["last_val_high"])),
        "depasse": "dépasse" if ahead else "ne dépasse pas",
        "sous": verdicts.underfitting(train),
        "sur": verdicts.overfitting(train),
        "stabilite": stable,
        "oscille": SWINGS.get(stable, "") if train["largest_drop"] else "n’oscille pas",
        "plafond": verdicts.plateau(train) if stable in SWINGS else "",
        "minimum": ", son minimum" if lowest == train["epochs"] else later,
        "mieux": pct(facts["train_recipe"]["val_accuracy"]["mean"]) if better else "",
        "pente_val_accuracy": "",
    }
    for name in {"train_loss", "val_accuracy"} & set(trend):
        slope, low, high = (trend[name][key] for key in ("slope", "low", "high"))
        bounds = f"{signe(slope, 4, '')} {intervalle((low, high), 4, '')}"
        words[f"pente_{name}"] = bounded(slope, low, high) if name == "val_accuracy" else bounds
        words[f"va_{name}"] = TREND[verdicts.difference(low, high)]
    return words


def s6_finalistes(facts: Facts) -> Words:
    """The finalists over new seeds."""
    found = facts["compare_finalists"]
    return write(found) | {"verdict": verdicts.leads(found)}


def m7(facts: Facts) -> Words:
    """Expectation against observation, factor by factor; where the curves are shown."""
    found, shown, trials = facts["compare_curves"], facts["photographed"], facts.get("trials", ())
    cases = found["lr_effect_by"]["blocks_per_stage"]
    words = write({"photographed": shown} | found) | verdicts.interaction(cases)
    for factor, sign in EXPECTED.items():
        measure = "speed" if factor == "lr" else "score"  # of what is expected
        words[factor] = verdicts.against_expectation(found[factor][measure], sign)
        words[f"pas_{factor}"] = _step(factor, found[factor]["score"])
        words[f"niveau_{factor}"] = _seen(found[factor], "score", pairs=False)
        words[f"fin_{factor}"] = _ends(factor, found[factor]["curves"], trials)
    return words | {
        "vue": "capture" if shown else "fig",
        "modele": "model" if shown else "blocks",
        "depart": _seen(found["lr"], "speed", pairs=False) + _opposed(cases),
        "ecart": _seen(found["weight_decay"], "gap", pairs=False),
    }


def s8(facts: Facts) -> Words:
    """The refined grid as it ran; a trial still rises if its last epoch beats its last two."""
    refined = facts["refined_grid_search"]
    rising = sum(0 < trial["score"] < trial["val_accuracy"] for trial in facts["trials"])
    return write(refined) | {"montent": plural(rising, "run") if rising else "aucun run"}


def m8(facts: Facts) -> Words:
    """The refined grid beside the grid."""
    refined, grid = facts["refined_grid_search"], facts.get("grid_search")
    rates, final = grid["values"]["lr"] if grid else [], facts["compare_finalists"]
    place = verdicts.edge(grid["lr"], rates) if grid else "inconnu, faute de grille"
    least, equal = min(one["sd"] or 0.0 for one in final["finalists"]), verdicts.leads(final)
    return write(refined) | {
        "verdict": verdicts.refinement(refined, grid),
        "ecart": signe(refined["score"] - grid["score"], 2) if grid else "",
        "bord": "le seul essayé" if len(rates) == 1 else place or "entre deux autres",
        "suivant": magnitude(refined["score"] - refined["second_score"], 2),
        "ecart_type": magnitude(least) if final["n_seeds"] >= FEWEST else "",
        "lr_final": power(final["lr"]),
        "reserve": ", mais ces graines ne départagent pas les finalistes" * (equal == "à égalité"),
    }


def m8_recette(facts: Facts) -> Words:
    """The recipe beside the protocol, judged on the same validation images."""
    recipe, beside = facts["train_recipe"], facts["beside"]
    other = "Un autre réseau (B = {blocks_per_stage}, D = {dilation_stage3})".format_map(beside)
    return write(facts["train"] | recipe | beside) | {
        "reseau": "Le même réseau" if beside["same_network"] else other,
        "etapes": " ; ".join(recipe["steps"]),
        "ecart": bounded(beside["gain"], beside["low"], beside["high"], 2),
    }


def s9(facts: Facts) -> Words:
    """The tested checkpoint, its scores, its rarest class and its most frequent confusions."""
    found, pairs = facts["evaluate"], facts["confusions"]
    seen = [one for one in facts["classes"] if one["support"]]
    rare, low = (min(seen, key=lambda one: one[key]) for key in ("support", "recall"))
    recalls = [one["recall"] for one in seen]
    recall = {"rare": rare, "basse": low, "recall": fmean(recalls)}
    words = commands(facts["config"]) | write(found | found["hyperparameters"] | recall)
    words |= {
        "empreinte": found["checkpoint_sha256"][:12],
        "f1_intervalle": intervalle(found["macro_f1_interval"], 2),
        "rarete": verdicts.rarity(rare["recall"], recalls),
        "confusion": "",
    }
    if pairs and not facts["synthetic"]:
        told = [f"*{true}* prise pour *{said}* ({plural(n, 'image')})" for true, said, n in pairs]
        first = next((rank for rank, pair in enumerate(pairs) if set(pair[:2]) in CONFUSED), None)
        words["attente"] = "comme attendu" if first == 0 else "contre notre attente"
        words |= {"confusion": told[0], "attendue": ""}
        if first:
            words["attendue"] = f" ; {told[first]}, que nous attendions, est au rang {first + 1}"
    return words


def s9_3(facts: Facts) -> Words:
    """Whether the mean confidence is right, and what a temperature changes."""
    found, bounds = facts["analyse_errors"], facts["analyse_errors"]["excess_interval_before"]
    judged = verdicts.difference(*bounds)
    return write(found) | {
        "ecart": bounded(found["excess_before"], *bounds),
        "verdict": {"plus haut": "trop haute", "plus bas": "trop basse"}.get(judged, "bonne"),
    }


def s9_4(facts: Facts) -> Words:
    """Orientation and faults of the image."""
    found = facts["measure_robustness"]
    light = [FAULTS[kind] for kind in found["light_harmful"]]
    verb = "font" if len(light) > 1 else "fait"
    return write(found) | {
        "vue": _loss(*found["worst_view_change"]),
        "change": _loss(*found["worst_change"]),
        "defaut": FAULTS[found["worst_fault"]],
        "legers": f"{liste(light)} {verb} déjà" if light else "aucun ne fait nettement",
    }


def s9_graines(facts: Facts) -> Words:
    """The final training from other seeds; a standard deviation takes three."""
    words, few = write(facts["evaluate_seeds"]), facts["evaluate_seeds"]["count"] < FEWEST
    spread = " ; deux graines ne suffisent pas à en mesurer la dispersion"
    return words | {"dispersion": spread if few else f", écart-type {words['accuracy_sd']}"}


def s9_6(facts: Facts) -> Words:
    """The same training on the spatial split."""
    found = facts["compare_splits"]
    if not found["available"]:
        return {"verdict": "absent"}
    drops, gap = found["drops"], (found["gap_low"], found["gap_high"])
    worst, both = max(drops, key=drops.get), facts.get("common")
    return write(found) | {
        "ecart": bounded(found["gap"], *gap, 2),
        "verdict": verdicts.difference(*gap),
        "communes": f" ; {nombre(both)} images leur sont communes" if both else "",
        "autre": "" if found["same_training"] else " d’un autre réseau",
        "pire": f"{signe(-drops[worst])} ({worst})",
        "etablies": plural(len(found["lower"]), "classe"),
    }


def m9(facts: Facts) -> Words:
    """Test against validation and against published scores; whether training knows its images."""
    found, train, bar = facts["evaluate"], facts.get("train", {}), facts.get("compute_baselines")
    gap, words = (found["gap_low"], found["gap_high"]), conclusion(facts)
    words |= {"par_coeur": "inconnu", "verdict": verdicts.difference(*gap), "barre": ""}
    words |= {"ecart": bounded(found["gap"], *gap, 2), "seuil": magnitude(REASONABLE, 0)}
    words["raisonnable"] = "l’est" if abs(found["gap"]) < REASONABLE else "ne l’est pas"
    if bar:
        ends = (found[end] - bar["best_linear"] for end in ("low", "high"))
        words |= write(bar) | {"barre": BESIDE[verdicts.difference(*ends)]}
    tested = {"best_epoch": found["epoch"], "seed": found["seed"], **found["hyperparameters"]}
    if tested.items() <= train.items():  # the checkpoint of the run's final training
        learnt = train["best_train_accuracy"]
        words["entrainement"] = pct(learnt)
        words["par_coeur"] = "oui" if learnt > found["high"] else "non"
    return words


def s10(facts: Facts) -> Words:
    """Limits, and the diary of the run's owner."""
    name, count = facts["config"]["paths"]["name"], facts.get("evaluate_seeds", {}).get("count", 1)
    searched = "aucune grille n’a été calculée"
    if grid := facts.get("grid_search"):
        searched = f"la grille ne dure que {plural(grid['epochs'], 'époque')} par run"
        if grid["train_images"] < facts.get("train", grid)["train_images"]:
            searched += f", sur {plural(grid['train_images'], 'image')}"
    return conclusion(facts) | {
        "graines": plural(count, "graine") if count > 1 else "une seule graine",
        "recherches": searched,
        "journal": indent(journal(verdicts.answers_folder().parent, name), "  "),
    }


def s11(facts: Facts) -> Words:
    """What it takes to do it again, and what of it is in the repository."""
    config, given, found = facts["config"], facts["given"], facts["evaluate"]
    extract = {"seed": config["seed"], "profile": config["profile"]}
    for part in ("data", "augment", "model", "lr_finder", "grid", "refined_grid", "finalists"):
        extract[part] = {k: value for k, value in config[part].items() if value is not None}
    del extract["data"]["synthetic_images"]
    extract["train"] = found["hyperparameters"] | {"max_epochs": config["train"]["max_epochs"]}
    again = range(config["seed"] + 1, config["seed"] + 1 + config["finalists"]["seeds"])
    return {
        **commands(config, facts["synthetic"], given),
        "graine": found["seed"],
        "graines_lr": liste(config["lr_finder"]["seeds"]),
        "graines_finalistes": liste(again),
        "extrait": yaml.safe_dump(extract, sort_keys=False, default_flow_style=None).strip(),
        "drapeaux": "".join(f" --{k} {value}" for k, value in given.items() if k not in NAMING),
        "images": facts["location"],
        "runs": config["paths"]["name"] and f"{config['paths']['name']}/",
        **{f"{key}_case": "x" if there else " " for key, there in facts["there"].items()},
        "absents": "" if all(facts["there"].values()) else "oui",
    }


def s12(facts: Facts) -> Words:
    """Which parts of the run call works of their own."""
    return write(facts["compare_splits"] | {"recette": "train_recipe" in facts})


def resume(facts: Facts) -> Words:
    """The run in ten lines: both test accuracies, what was chosen, what failed."""
    origins = facts.get("train", {"origin": {}})["origin"]
    chosen = {*origins.values()} == {"compare_finalists"}
    words = conclusion(facts) | write(facts["evaluate"]["hyperparameters"])
    words["finalistes"] = verdicts.leads(facts["compare_finalists"]) if chosen else ""
    return words


def conclusion(facts: Facts) -> Words:
    """What the run teaches."""
    found, train, recipe = facts["evaluate"], facts.get("train"), facts.get("train_recipe")
    splits = facts.get("compare_splits", {"available": False})
    words = write(splits) | write(found | {"synthetic": facts.get("synthetic", False)})
    better = recipe and recipe["accuracy"]["mean"] > found["accuracy"]
    words |= {
        "fin": verdicts.ending(train) if train else "",
        "recette": pct(recipe["accuracy"]["mean"], 2) if better else "",
        "ecart_spatial": "absent",
    }
    if splits["available"]:
        words["perte"] = magnitude(splits["gap"])
        words["ecart_spatial"] = verdicts.difference(splits["gap_low"], splits["gap_high"])
    return words


def journal(reports: Path, name: str) -> str:
    """Return the diary of a run's owner, else of the project's, but for comments; may be empty."""
    places = (reports / name / "journal.md", reports / "journal.md")
    text = next((path.read_text(encoding="utf-8") for path in places if path.is_file()), "")
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip()


def files_there(config: Config, evaluation: Evaluation) -> dict[str, bool]:
    """Tell which of a run's files git holds; its copy of the configuration has what was tested."""
    root, stored = config.paths.root, config.paths.artifacts / "config.yaml"
    checkpoint = Path(root, config.evaluate.checkpoint or config.paths.artifacts / "best.ckpt")
    places = {"runs": config.paths.runs, "checkpoint": checkpoint, "config": stored}
    there = {}
    for name, path in places.items():
        held = {*git(root, "ls-files", "--", str(path)).split()} - {"runs/.gitkeep"}
        there[name] = path.exists() and bool(held)
    kept = read_yaml(stored).get("train", {}) if there["config"] else {}
    return there | {"config": evaluation.hyperparameters.model_dump().items() <= kept.items()}


def _loss(change: float, low: float, high: float) -> str:
    """Write a fall of accuracy that its interval establishes, or that there is none."""
    lost = verdicts.difference(low, high) == "plus bas"
    return f"fait perdre {magnitude(change)}" if lost else "ne fait rien perdre de décelable"


def _step(factor: str, effect: Facts) -> str:
    """Write from where to where a factor goes: ``de D = 2 à 3``."""
    low, high = (french.factor_value(factor, effect[end]) for end in ("low", "high"))
    name = french.SHORT[factor]
    return f"à {name} = {low}" if low == high else f"de {name} = {low} à {high}"


def _seen(effect: Facts, measure: str, pairs: bool = True) -> str:
    """Write what is observed: direction, size, pairs that go this way, whether it is settled."""
    (_, *ways), found = MEASURES[measure], effect[measure]
    if not found["pairs"]:
        return "non comparé (une seule valeur)"
    wins = found["wins_high"] if found["mean"] > 0 else found["pairs"] - found["wins_high"]
    word, bounds = verdicts.direction(found, *ways), (found["ci_low"], found["ci_high"])
    told = [signe(found["mean"]) if None in bounds else bounded(found["mean"], *bounds)]
    told += [f"{plural(wins, 'paire')} sur {found['pairs']}"] if pairs else []
    told += ["établi à cette graine" if found["sign"] else "non tranché"] if word in ways else []
    return f"{word} ({', '.join(told)})"


def _opposed(cases: Sequence[Facts]) -> str:
    """Write the effect on the start for each depth, where these go opposite ways."""
    means = [case["speed"]["mean"] for case in cases]
    if min(means) >= 0 or max(means) <= 0:
        return ""
    told = liste(f"{signe(case['speed']['mean'])} avec B = {case['value']}" for case in cases)
    return f" : {told}" + ", sans rien d’établi" * (not any(one["speed"]["sign"] for one in cases))


def _ends(factor: str, curves: Sequence[Facts], trials: Sequence[Facts]) -> str:
    """Write where the curves of a figure end; nothing if there is but one."""
    drawn, name = [one for one in trials if {"name": one["run"]} in curves], french.SHORT[factor]
    ends = {french.factor_value(factor, one[factor]): pct(one["val_accuracy"]) for one in drawn}
    told = liste(f"{end} avec {name} = {value}" for value, end in ends.items()) if drawn else ""
    return f" ; les courbes finissent à {told}" if len(ends) > 1 else ""


def _effect(factor: str, effect: Facts) -> str:
    """Write what a factor changes: level and gap, then what is established, then what is not."""
    if not effect["score"]["pairs"]:
        return "Une seule valeur, rien à comparer"
    told = [key for key in MEASURES if key in ("score", "gap") or effect[key]["sign"]]
    seen = [f"{MEASURES[key][0]} est {_seen(effect, key)}" for key in told]
    unclear = [MEASURES[key][0] for key in MEASURES if key not in told]
    seen += [f"rien d’établi pour {liste(unclear)}"] if unclear else []
    return f"{french.capital(_step(factor, effect['score']))}, {' ; '.join(seen)}"


# The list at the head of a section holds values of the question under it.
s5, s7 = m5, m7
