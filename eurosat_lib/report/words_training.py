"""Words of sections 5 to 8: grids, final training, recipe. A function is its answer's."""

from __future__ import annotations

from eurosat_lib import french
from eurosat_lib.french import THIN, code, intervalle, liste, nombre, pct, plural, power, signe
from eurosat_lib.report import words as verdicts
from eurosat_lib.report.words import (
    Facts,
    Words,
    bounded,
    commands,
    magnitude,
    plain,
    point,
    written,
)

OTHERS = {  # what else a factor may change on the curves: its name, when it grows, when it shrinks
    "speed": ("le départ", "plus rapide", "plus lent"),
    "gap": ("l’écart train − val", "plus grand", "plus petit"),
    "spread": ("l’écart des deux dernières époques (stabilité)", "plus grand", "plus petit"),
}
AGAINST = {  # an observation against what was expected
    "conforme": "c’est bien le cas",
    "contraire": "ce n’est pas le cas",
    "compatible": "rien ne contredit cette attente",
    "non tranché": "ces runs ne tranchent pas",
    "une valeur": "rien n’a été essayé ici",
}
MEAN = ("mean", "ci_low", "ci_high")  # of an effect
TREND = {"plus bas": "baisse", "plus haut": "monte", "égalité": "ne change pas nettement"}


def m5(facts: Facts) -> Words:
    """The grid as it ran, its best point, and what the factors change on the curves."""
    grid, bar = facts["grid_search"], facts.get("compute_baselines")
    effects, cases = grid["effects"], grid["lr_effect_by"]["blocks_per_stage"]
    verdict, gap = verdicts.interaction(cases)
    by_depth = [
        f"{signe(case['score']['mean'])} avec B = {case['value']} ({_pairs(case['score'])})"
        for case in cases
    ]
    lr = effects["lr"]["score"]
    lead = lr["sign"] and abs(lr["mean"]) == max(abs(e["score"]["mean"]) for e in effects.values())
    words = {
        **point(grid),
        **{f"essais_{name}": _braces(name, values) for name, values in grid["values"].items()},
        **written(pct, grid, "score", "second_score", "worst_score", "best_by_epoch_accuracy"),
        "origine": french.ORIGINS[grid["origin"]],
        "epoques": plural(grid["epochs"], "époque"),
        "duree": french.duree(grid["seconds"]),
        "dilatation": _effect("dilation_stage3", effects["dilation_stage3"]),
        "blocs": _effect("blocks_per_stage", effects["blocks_per_stage"]),
        "pas_lr": french.capital(_step("lr", lr)),
        "niveau_lr": _seen(lr),
        "lr_selon_b": liste(by_depth) if lr["pairs"] else "un seul LR a été essayé",
        "lr_compte": ", l’effet le plus fort des quatre facteurs" if lead else "",
        "interaction": verdict,
        "interaction_ecart": french.in_points(gap[1:], 1),
        "divergences": plural(grid["n_diverged"], "run") if grid["n_diverged"] else "",
        "sous_la_barre": "",
    }
    if bar:
        low = sum(0 < trial["score"] < bar["best_linear"] for trial in facts["trials"])
        words["sous_la_barre"] = plural(low, "run") if low else ""
        words |= written(pct, bar, "best_linear") | written(nombre, bar, "linear_train_images")
    return words


def s6(facts: Facts) -> Words:
    """The final configuration, where it comes from, and its network."""
    train, net = facts["train"], facts["final_architecture"]
    return {
        **commands(facts["config"]),
        **point(train),
        **{f"origine_{name}": french.ORIGINS[where] for name, where in train["origin"].items()},
        **plain(net),
        **written(pct, train, "best_val_accuracy", digits=2),
        "cote": net["input_shape"][1],
    }


def s6_lr(facts: Facts) -> Words:
    """The final learning rate beside what the sweeps say."""
    train, check, choice = facts["train"], facts.get("check_lr"), facts["lr_finder"]["choice"]
    lr, grids = train["lr"], [facts.get(k) for k in ("grid_search", "refined_grid_search")]
    extreme = verdicts.edge(lr, {lr}.union(*(grid["values"]["lr"] for grid in grids if grid)))
    words = {
        **point(train),
        "finder": power(choice) if choice else "",
        "vient": "est donné" if train["origin"]["lr"] == "config" else "vient des essais",
        "b_balaye": facts["config"]["model"]["blocks_per_stage"],
        "d_balaye": facts["config"]["model"]["dilation_stage3"],
        "epoques": plural(train["epochs"], "époque"),
        "verification": verdicts.rate_and_check(lr, check),
        "extreme": extreme,
        "place": "",
    }
    if choice:
        size, times = "petit" if lr < choice else "grand", nombre(max(lr / choice, choice / lr), 1)
        words["compare"] = "celui" if lr == choice else f"{times} fois plus {size} que celui"
    if check and check["choice"]:
        side = "au-dessous" if lr < check["lowest"] else "au-dessus"
        beyond = {"au bord": "juste", "dehors": "nettement"}.get(words["verification"])
        words["place"] = f"**{beyond} {side}** de" if beyond else "**dans**"
        words |= written(power, check, "choice", "lowest", "highest", digits=1)
    return words


def m6(facts: Facts) -> Words:
    """Under-fitting, over-fitting, stability."""
    train, beside = facts["train"], facts.get("beside") or {}
    better, trend = beside.get("same_network") and beside["low"] > 0, train["trend"]
    ahead = train["last_train_accuracy"] > train["last_val_high"]
    words = {
        **plain(train),
        **written(nombre, train, "first_train_loss", "last_train_loss", digits=3),
        **written(nombre, train, "last_val_loss", "lowest_val_loss", digits=3),
        **written(pct, train, "first_val_accuracy", "last_val_accuracy", "last_train_accuracy"),
        **written(pct, train, "best_val_accuracy", digits=2),
        **written(magnitude, train, "largest_drop"),
        "chute": "",
        "epoques": plural(train["epochs"], "époque"),
        "intervalle": intervalle((train["last_val_low"], train["last_val_high"])),
        "sous": verdicts.underfitting(train),
        "sur": verdicts.overfitting(train),
        "stabilite": verdicts.stability(train),
        "depasse": "dépasse" if ahead else "ne dépasse pas",
        "pente_val": "",
        "mieux": pct(facts["train_recipe"]["val_accuracy"]["mean"]) if better else "",
    }
    if train["largest_drop"] > 0:
        curve = facts["curve"]
        before = min(range(1, len(curve)), key=lambda epoch: curve[epoch] - curve[epoch - 1])
        words["chute"] = f" (de l’époque {before} à la {before + 1})"
    if trend:
        accuracy, loss = trend["val_accuracy"], trend["train_loss"]
        words["pente_val"] = bounded(*map(accuracy.get, ("slope", "low", "high")))
        bounds = intervalle((loss["low"], loss["high"]), 4, "")
        words["pente_perte"] = f"{signe(loss['slope'], 4, '')} {bounds}"
        words["perte_va"] = TREND[verdicts.difference(loss["low"], loss["high"])]
        words["val_va"] = TREND[verdicts.difference(accuracy["low"], accuracy["high"])]
    return words


def s6_finalistes(facts: Facts) -> Words:
    """The finalists over new seeds."""
    found, means = facts["compare_finalists"], []
    for one in found["finalists"]:
        spread = "" if one["sd"] is None else f" ± {magnitude(one['sd'])}"
        means.append(f"{code(one['name'])}, {pct(one['mean'])}{spread}")
    return {
        **plain(found),
        "moyennes": f"{THIN}; ".join(means),
        "verdict": verdicts.leads(found),
    }


def s7(facts: Facts) -> Words:
    """Around which run the others are laid over one another, and where they are shown."""
    shown = facts["photographed"]
    views = {"vue": "capture", "modele": "model"} if shown else {"vue": "fig", "modele": "blocks"}
    return plain(facts["compare_curves"]) | views | {"captures": "oui" if shown else ""}


def m7(facts: Facts) -> Words:
    """Expectation against observation, factor by factor."""
    found = facts["compare_curves"]
    expected = {"lr": ("speed", 1), "weight_decay": ("score", 0), "dilation_stage3": ("score", 0)}
    words = s7(facts)
    for factor, (measure, sign) in {**expected, "blocks_per_stage": ("score", 1)}.items():
        words[factor] = AGAINST[verdicts.against_expectation(found[factor][measure], sign)]
        words[f"pas_{factor}"] = _step(factor, found[factor]["score"])
        words[f"niveau_{factor}"] = _seen(found[factor]["score"])
    return words | {
        "depart": _seen(found["lr"]["speed"], *OTHERS["speed"][1:]),
        "ecart": _seen(found["weight_decay"]["gap"], *OTHERS["gap"][1:]),
        "interaction": verdicts.interaction(found["lr_effect_by"]["blocks_per_stage"])[0],
        "essais": f"{plural(found['epochs'], 'époque')}, {nombre(found['train_images'])} images",
    }


def m8(facts: Facts) -> Words:
    """The refined grid as it ran, and beside the grid."""
    refined, grid = facts["refined_grid_search"], facts.get("grid_search")
    words = {
        **point(refined),
        **written(pct, refined, "score", "worst_score", digits=2),
        "lr_essayes": _braces("lr", refined["values"]["lr"]),
        "wd_essayes": _braces("weight_decay", refined["values"]["weight_decay"]),
        "epoques": plural(refined["epochs"], "époque"),
        "verdict": verdicts.refinement(refined, grid),
        "ecart": signe(refined["score"] - grid["score"], 2) if grid else "",
        "bord": (grid and verdicts.edge(grid["lr"], grid["values"]["lr"])) or "entre deux autres",
        "voisins": plural(refined["n_trials"] - 1, "voisin"),
        "suivant": magnitude(refined["score"] - refined["second_score"], 2),
    }
    if "trials" in facts:
        words["sommet"], means = verdicts.peak(facts["trials"], "lr")
        words["moyennes"] = f"{THIN}; ".join(f"{pct(y)} à {power(x)}" for x, y in means.items())
        again = facts["compare_finalists"]["finalists"]
        words["ecart_type"] = magnitude(min(one["sd"] or 0.0 for one in again))
    return words


def m8_recette(facts: Facts) -> Words:
    """The recipe beside the protocol, judged on the same validation images."""
    recipe, beside, train = facts["train_recipe"], facts["beside"], facts["train"]
    other = f"(B = {beside['blocks_per_stage']}, D = {beside['dilation_stage3']})"
    return {
        **written(pct, train, "best_val_accuracy", digits=2),
        **plain(train),
        "reseau": "Le même réseau" if beside["same_network"] else f"Un autre réseau {other}",
        "epoques": plural(recipe["epochs"], "époque"),
        "etapes": f"{THIN}; ".join(recipe["steps"]),
        "val": pct(recipe["val_accuracy"]["mean"], 2),
        "ecart": bounded(beside["gain"], beside["low"], beside["high"], 2),
        "mise_au_point": "racontée" if recipe["name"] == "best" else "tue",
    }


def _braces(factor: str, values: list[float]) -> str:
    return "{" + f"{THIN}; ".join(french.factor_value(factor, value) for value in values) + "}"


def _step(factor: str, effect: Facts) -> str:
    """Write from where to where a factor goes: ``de D = 2 à 3``."""
    low, high = (french.factor_value(factor, effect[end]) for end in ("low", "high"))
    name = french.SHORT[factor]
    return f"à {name} = {low}" if low == high else f"de {name} = {low} à {high}"


def _pairs(effect: Facts) -> str:
    """Write how many pairs go the way of the mean: ``7 paires sur 8``."""
    wins, pairs = effect["wins_high"], effect["pairs"]
    return f"{plural(wins if effect['mean'] > 0 else pairs - wins, 'paire')} sur {pairs}"


def _seen(effect: Facts, more: str = "plus haut", less: str = "plus bas") -> str:
    """Write what is observed; without a majority of pairs there is no direction to tell."""
    if not effect["pairs"]:
        return "non comparé (une seule valeur)"
    lead = effect["mean"] * (2 * effect["wins_high"] - effect["pairs"])
    word = more if effect["mean"] > 0 else less
    word = word if effect["sign"] or lead > 0 else "presque inchangé"
    judged = ", établi à cette graine" if effect["sign"] else ""
    known = effect["ci_low"] is not None
    change = bounded(*map(effect.get, MEAN)) if known else signe(effect["mean"])
    return f"{word} ({change}, {_pairs(effect)}{judged})"


def _effect(factor: str, effect: Facts) -> str:
    """Write what a factor of the model changes: the level, then what else is established."""
    if not effect["score"]["pairs"]:
        return f"{french.capital(_step(factor, effect['score']))}, rien à comparer"
    told = [
        f"{what} est {words[effect[k]['sign'] < 0]} ({bounded(*map(effect[k].get, MEAN))})"
        for k, (what, *words) in OTHERS.items()
        if effect[k]["sign"]
    ]
    unclear = [what for k, (what, *_) in OTHERS.items() if not effect[k]["sign"]]
    told += [f"rien d’établi pour {liste(unclear)}"] if unclear else []
    step, level = french.capital(_step(factor, effect["score"])), _seen(effect["score"])
    judged = "" if effect["score"]["sign"] else ", non tranché"
    return f"{step}, le niveau est {level}{judged}. {french.capital(f'{THIN}; '.join(told))}"


s5, s8 = m5, m8  # the list at the head of a section holds values of the question under it
