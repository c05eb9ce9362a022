"""Written values and verdict words of sections 5 to 8; sentences are in ``reports/answers``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eurosat_lib.french import (
    FIXED,
    SHORT,
    THIN,
    capital,
    code,
    duree,
    factor_value,
    intervalle,
    liste,
    nombre,
    pct,
    plural,
    power,
    signe,
)
from eurosat_lib.report import verdicts
from eurosat_lib.report.words import agree, magnitude, points_and_interval, results_folder

Facts = Mapping[str, Any]
Words = dict[str, Any]
ENDS = ("slope", "low", "high")  # of a trend: its value and its interval
AGAINST = {  # an observation against what was expected
    "conforme": "c’est bien le cas",
    "contraire": "c’est l’inverse",
    "non tranché": "ces runs ne tranchent pas",
    "une valeur": "rien n’a été essayé ici",
}
ORIGINS = {  # of a hyperparameter of the final training
    "config": "donné par la configuration",
    "grid_search": "meilleur point de la grille",
    "refined_grid_search": "meilleur point de la grille resserrée",
    "compare_finalists": "meilleure moyenne des finalistes",
    "fallback": "valeur de repli, faute de recherche",
}


def s5(facts: Facts) -> Words:
    """The grid as it ran."""
    grid, own = facts["grid_search"], facts["config"]["grid"]
    factors = liste(own["lr_factors"])
    origins = {
        "lr_finder": f"le choix de la section 4 multiplié par {factors}",
        "chosen_lr": f"un LR choisi à la main sur le balayage, multiplié par {factors}",
        "config": "donnés par la configuration",
        "fallback": f"la valeur de repli de la configuration multipliée par {factors}",
    }
    return {
        **{name: _braces(name, grid["values"][name]) for name in grid["values"]},
        "origine": origins[grid["origin"]],
        "epoques": plural(grid["epochs"], "époque"),
        "graine": grid["seed"],
        "essais": plural(grid["n_trials"], "run"),
        "images": nombre(grid["train_images"]),
        "validation": nombre(grid["validation_images"]),
        "duree": duree(grid["seconds"]),
        "regle": _rule(grid),
    }


def m5(facts: Facts) -> Words:
    """The best point, and what the two factors of the model change on the curves."""
    grid, bar = facts["grid_search"], facts.get("compute_baselines")
    cases, effects = grid["lr_effect_by"]["blocks_per_stage"], grid["effects"]
    verdict, difference = verdicts.interaction(cases)
    best, diverged, low = grid["best_by_epoch_name"], grid["n_diverged"], 0
    count = grid["n_trials"]
    if bar:
        low = sum(trial["score"] < bar["best_linear"] for trial in facts["trials"])
    return {
        **point(grid),
        "nom": code(grid["name"]),
        "score": pct(grid["score"]),
        "regle": _rule(grid),
        "second": pct(grid["second_score"]),
        "dernier": pct(grid["worst_score"]),
        "maximum": pct(grid["best_by_epoch_accuracy"]),
        "maximum_de": "la même combinaison" if best == grid["name"] else code(best),
        "bruit": "" if grid["noise"] is None else magnitude(grid["noise"]),
        "sous_la_barre": agree(low, f"run sur {count} reste", f"runs sur {count} restent")
        if low
        else "",
        "barre": pct(bar["best_linear"]) if bar else "",
        "dilatation": _curves("dilation_stage3", effects["dilation_stage3"], grid["epochs"]),
        "blocs": _curves("blocks_per_stage", effects["blocks_per_stage"], grid["epochs"]),
        "lr_selon_b": f"{capital(_step('lr', effects['lr']['score']))}, le niveau est, "
        + verdicts.by_value(cases, "B", "plus haut", "plus bas"),
        "interaction": verdict,
        "interaction_ecart": difference,
        "divergences": agree(diverged, "run a", "runs ont") if diverged else "",
    }


def s6(facts: Facts) -> Words:
    """The final configuration, where it comes from, and its network."""
    train, net = facts["train"], facts["final_architecture"]
    remarks = "" if 10 <= train["epochs"] <= 20 else " ; hors de la fourchette du cours"
    if train["epochs"] < train["planned_epochs"]:
        why = "la perte a divergé" if train["diverged"] else "limite de pas atteinte"
        remarks += f" ; {train['planned_epochs']} prévues, {why}"
    return {
        **point(train),
        **{f"origine_{name}": ORIGINS[where] for name, where in train["origin"].items()},
        "lot": train["batch_size"],
        "epoques": train["epochs"],
        "remarque": remarks,
        "checkpoint": code(results_folder(facts["config"]) + "best.ckpt"),
        "meilleure": train["best_epoch"],
        "val": pct(train["best_val_accuracy"], 2),
        "parametres": nombre(net["parameters"]),
        "champ": net["receptive_field"],
        "cote": net["input_shape"][1],
    }


def s6_lr(facts: Facts) -> Words:
    """The final learning rate beside what the sweeps and the grid say."""
    train, check, swept = facts["train"], facts.get("check_lr"), facts["config"]["model"]
    grid, depth = facts.get("grid_search"), ""
    for case in grid["lr_effect_by"]["blocks_per_stage"] if grid else []:
        effect = case["score"]
        if case["value"] == train["blocks_per_stage"] and effect["pairs"]:
            level = verdicts.seen(effect, "plus haut", "plus bas")
            depth = f"{_step('lr', effect)}, le niveau est {level}"
    found = check if check and check["choice"] else None
    return {
        **point(train),
        "rapport": verdicts.rate_and_finder(train["lr"], facts["lr_finder"]),
        "b_balaye": swept["blocks_per_stage"],
        "d_balaye": swept["dilation_stage3"],
        "epoques": plural(train["epochs"], "époque"),
        "verification": verdicts.rate_and_check(train["lr"], check),
        "propose": power(found["choice"]) if found else "",
        "de": power(found["lowest"]) if found else "",
        "jusqua": power(found["highest"]) if found else "",
        "profondeur": depth,
    }


def m6(facts: Facts) -> Words:
    """Under-fitting, over-fitting, stability."""
    train, beside = facts["train"], facts.get("beside") or {}
    better = beside.get("same_network") and beside["low"] > 0
    return {
        "epoques": plural(train["epochs"], "époque"),
        "perte_debut": nombre(train["first_train_loss"], 3),
        "perte_fin": nombre(train["last_train_loss"], 3),
        "perte_val": nombre(train["last_val_loss"], 3),
        "perte_val_min": nombre(train["lowest_val_loss"], 3),
        "epoque_min": train["lowest_val_loss_epoch"],
        "val_debut": pct(train["first_val_accuracy"]),
        "val_fin": pct(train["last_val_accuracy"]),
        "intervalle": intervalle((train["last_val_low"], train["last_val_high"])),
        "images": nombre(train["validation_images"]),
        "maximum": pct(train["best_val_accuracy"], 2),
        "epoque_max": train["best_epoch"],
        "train_fin": pct(train["last_train_accuracy"]),
        "ecart": signe(train["gap"]),
        "sous": verdicts.underfitting(train),
        "sur": verdicts.overfitting(train),
        "stabilite": verdicts.stability(train),
        **_trend(train["trend"]),
        "mieux": pct(facts["train_recipe"]["val_accuracy"]["mean"]) if better else "",
        "chute": magnitude(train["largest_drop"]),
        "queue": f"les {train['tail']} dernières époques font {pct(train['tail_mean'])} "
        f"en moyenne, écart-type {magnitude(train['tail_sd'])}",
    }


def s6_finalistes(facts: Facts) -> Words:
    """The finalists over new seeds."""
    found = facts["compare_finalists"]
    return {
        "graines": agree(found["n_seeds"], "graine nouvelle", "graines nouvelles"),
        "moyennes": f"{THIN}; ".join(_finalist(one) for one in found["finalists"]),
        "verdict": verdicts.leads(found),
        "premier": code(found["leader"]),
    }


def s7(facts: Facts) -> Words:
    """The compared runs, value by value."""
    found = facts["compare_curves"]
    return {
        **_pictures(facts["photographed"]),
        "meilleur": code(found["best"]),
        "lr": _values(found, "lr", "first_val_accuracy"),
        "wd": _values(found, "weight_decay", "gap"),
        "d": _values(found, "dilation_stage3", "score"),
        "b": _values(found, "blocks_per_stage", "score"),
    }


def m7(facts: Facts) -> Words:
    """Expectation against observation, factor by factor."""
    found = facts["compare_curves"]
    lr, decay = found["lr"], found["weight_decay"]
    dilation, blocks = found["dilation_stage3"], found["blocks_per_stage"]
    cases = found["lr_effect_by"]["blocks_per_stage"]
    level = ("plus haut", "plus bas")
    seeds = found["n_seeds"]
    return {
        **_pictures(facts["photographed"]),
        "pas_lr": _step("lr", lr["score"]),
        "lr": AGAINST[verdicts.against_expectation(lr["speed"], 1)],
        "lr_depart": verdicts.seen(lr["speed"], "plus rapide", "plus lent"),
        "lr_niveau": verdicts.by_value(cases, "B", *level),
        "pas_wd": _step("weight_decay", decay["score"]),
        "wd": AGAINST[verdicts.against_expectation(decay["score"], 0)],
        "wd_niveau": verdicts.seen(decay["score"], *level),
        "wd_ecart": verdicts.seen(decay["gap"], "plus grand", "plus petit"),
        "dilatation": verdicts.seen(dilation["score"], *level),
        "pas_d": _step("dilation_stage3", dilation["score"]),
        "blocs": verdicts.seen(blocks["score"], *level),
        "pas_b": _step("blocks_per_stage", blocks["score"]),
        "modele": AGAINST[verdicts.against_expectation(blocks["score"], 1)],
        "interaction": verdicts.interaction(cases)[0],
        "essais": f"{plural(found['epochs'], 'époque')}, {nombre(found['train_images'])} images",
        "graines": "une seule graine" if seeds < 2 else f"{seeds} graines",
    }


def s8(facts: Facts) -> Words:
    """The refined grid as it ran."""
    grid = facts["refined_grid_search"]
    return {
        **point(grid),
        **{f"{name}_essayes": _braces(name, grid["values"][name]) for name in SHORT},
        "autour": "la grille" if grid["origin"] == "grid_search" else "repli",
        "essais": plural(grid["n_trials"], "run"),
        "epoques": plural(grid["epochs"], "époque"),
        "nom": code(grid["name"]),
        "score": pct(grid["score"], 2),
        "regle": _rule(grid),
        "dernier": pct(grid["worst_score"], 2),
    }


def m8(facts: Facts) -> Words:
    """The refined grid beside the grid, and what the finalists' new seeds say of both."""
    refined, grid = facts["refined_grid_search"], facts.get("grid_search")
    finalists, trials = facts.get("compare_finalists"), facts["trials"]
    means = [
        f"{pct(verdicts.mean_score(trials, 'lr', value))} à {power(value)}"
        for value in refined["values"]["lr"]
    ]
    again = finalists["finalists"] if finalists else []
    seeds = finalists["n_seeds"] if finalists else 0
    centred = grid and refined["origin"] == "grid_search"
    return {
        "centre": f"de son meilleur point, {code(grid['name'])}" if centred else "du point choisi",
        "essais": refined["n_trials"],
        "nom": code(refined["name"]),
        "score": pct(refined["score"], 2),
        "verdict": verdicts.refinement(refined, grid),
        "ecart": signe(refined["score"] - grid["score"], 2) if grid else "",
        "sommet": verdicts.peak(trials, "lr"),
        "moyennes": liste(means),
        "graines": agree(seeds, "graine nouvelle", "graines nouvelles"),
        "retours": liste(map(_back, again)) if again else "",
    }


def m8_recette(facts: Facts) -> Words:
    """The recipe beside the protocol, judged on the same validation images."""
    recipe, beside, train = facts["train_recipe"], facts["beside"], facts["train"]
    shape = f"(B = {beside['blocks_per_stage']}, D = {beside['dilation_stage3']})"
    same = "Le même réseau" if beside["same_network"] else f"Un réseau de même famille {shape}"
    outcomes = {"plus haut": "la recette fait mieux", "plus bas": "la recette fait moins bien"}
    verdict = verdicts.difference(beside["low"], beside["high"])
    return {
        "reseau": same,
        "epoques": plural(recipe["epochs"], "époque"),
        "etapes": f"{THIN}; ".join(recipe["steps"]),
        "images": nombre(train["validation_images"]),
        "val": pct(recipe["val_accuracy"]["mean"], 2),
        "protocole": pct(train["best_val_accuracy"], 2),
        "ecart": signe(beside["gain"], 2),
        "bornes": _bounds(beside["low"], beside["high"], 2),
        "verdict": outcomes.get(verdict, "aucune différence établie"),
        "mise_au_point": "racontée" if recipe["name"] == "best" else "tue",
    }


def m8_etapes(facts: Facts) -> Words:
    """What each step of the recipe brings to short trainings, at the size that they had."""
    found, recipe = facts["ablate_recipe"], facts["config"]["recipe"]
    side = recipe["ablation_image_size"] or facts["config"]["data"]["image_size"]
    steps = [
        (_step_name(row["name"], facts["train_recipe"]["settings"]["sides"], side), row)
        for row in found["rows"]
        if row["interval"]
    ]
    up = [_gain(name, row) for name, row in steps if row["interval"][0] > 0]
    down = [_gain(name, row) for name, row in steps if row["interval"][1] < 0]
    told = [f"gagnent nettement {liste(up)}"] if up else []
    told += [f"font perdre nettement {liste(down)}"] if down else []
    told += [f"{len(steps) - len(up) - len(down)} étapes sur {len(steps)} ne sont pas tranchées"]
    return {
        "epoques": plural(found["epochs"], "époque"),
        "images": nombre(found["train_images"]),
        "cote": side,
        "graines": plural(len(found["seeds"]), "graine"),
        "bilan": f"{THIN}; ".join(told),
        "longueur": plural(facts["train_recipe"]["epochs"], "époque"),
    }


def point(found: Facts) -> Words:
    """Write the four hyperparameters of anything that has them."""
    return {
        "lr": power(found["lr"]),
        "wd": power(found["weight_decay"]),
        "d": found["dilation_stage3"],
        "b": found["blocks_per_stage"],
    }


def _rule(grid: Facts) -> str:
    """Write what a score is: over the epochs and the seeds that it averages."""
    epochs = "moyenne des deux dernières époques" if grid["epochs"] > 1 else "unique époque"
    return epochs + (f" et de {grid['n_seeds']} graines" if grid["n_seeds"] > 1 else "")


def _braces(factor: str, values: list[float]) -> str:
    return "{" + f"{THIN}; ".join(factor_value(factor, value) for value in values) + "}"


def _step(factor: str, effect: Facts) -> str:
    """Write from where to where a factor goes: ``de D = 2 à 3``."""
    low, high = (factor_value(factor, effect[end]) for end in ("low", "high"))
    return f"de {SHORT[factor]} = {low} à {high}" if low != high else f"à {SHORT[factor]} = {low}"


def _curves(factor: str, effect: Facts, epochs: int) -> str:
    """Write what a factor changes on the curves: speed, level, over-fitting, stability."""
    wide = ("plus grand", "plus petit")
    measures = {
        "speed": ("le départ", "plus rapide", "plus lent"),
        "score": ("le niveau", "plus haut", "plus bas"),
        "gap": ("l’écart train − val (overfit)", *wide),
        "spread": ("l’écart entre les deux dernières époques (stabilité)", *wide),
    }
    if epochs < 2:
        measures = {name: measures[name] for name in ("score", "gap")}
    open_ = effect["score"]["pairs"] and not any(effect[name]["sign"] for name in measures)
    told = [
        f"{what} est {verdicts.seen(effect[name], *words, mark=not open_)}"
        for name, (what, *words) in measures.items()
    ]
    text = f"{capital(_step(factor, effect['score']))}, {f'{THIN}; '.join(told)}"
    return f"{text}. Rien de cela n’est tranché" if open_ else text


def _pictures(photographed: bool) -> Words:
    """Write the references to what shows the comparisons: screenshots, or our own figures."""
    taken = {"lr": "lr", "wd": "wd", "modele": "model"}
    shots = {f"voir_{key}": f"[figure](#capture-compare-{name})" for key, name in taken.items()}
    if photographed:
        return shots
    own = {"lr": ("lr",), "wd": ("wd",), "modele": ("dilation", "blocks")}
    drawn = {
        f"voir_{key}": liste(f"[figure](#fig-compare-{name})" for name in names)
        for key, names in own.items()
    }
    return {key: f"{drawn[key]}) (capture : {shots[key]}" for key in shots}  # in parentheses


def _trend(trend: Facts | None) -> Words:
    """Write the slopes of the last epochs, per epoch."""
    if trend is None:
        return {"pente_val": "", "pente_perte": ""}
    loss = [trend["train_loss"][end] for end in ENDS]
    return {
        "pente_val": points_and_interval(*(trend["val_accuracy"][end] for end in ENDS)),
        "pente_perte": f"{signe(loss[0], 4, '')} {intervalle(loss[1:], 4, '')}",
    }


def _values(found: Facts, factor: str, field: str) -> str:
    """Enumerate a number of the compared runs: ``LR = 10⁻⁴ : 63,0 %``."""
    curves, write = found[factor]["curves"], signe if field == "gap" else pct
    told = [
        f"{SHORT[factor]} = {factor_value(factor, one['value'])}{FIXED}: {write(one[field])}"
        for one in curves
    ]
    return f"{THIN}; ".join(told) + ("" if len(curves) > 1 else " (une seule valeur essayée)")


def _finalist(one: Facts) -> str:
    spread = "" if one["sd"] is None else f" ± {magnitude(one['sd'])}"
    return f"{code(one['name'])}, {pct(one['mean'])}{spread}"


def _back(one: Facts) -> str:
    """Write how far the new seeds are from the score that chose a finalist."""
    lost = one["selected"] - one["mean"]
    return f"{magnitude(lost)} de {'moins' if lost > 0 else 'plus'} pour {code(one['name'])}"


def _step_name(name: str, sides: list, side: int) -> str:
    """Name a step of a recipe; where it changes the size of the images, by the sizes it had."""
    if "pixels" not in name:
        return name
    return f"images de {round(sides[0][1] * side)} puis {round(sides[-1][1] * side)} pixels"


def _gain(name: str, row: Facts) -> str:
    return f"*{name}*, {signe(row['gain'])} {_bounds(*row['interval'], 1)}"


def _bounds(low: float, high: float, digits: int) -> str:
    """Write an interval in points, of which the unit is said beside it."""
    return intervalle((100 * low, 100 * high), digits, "")
