"""Words of sections 5 to 8: searches, final training. A verdict is a rule before its answer."""

from collections.abc import Collection, Sequence

import numpy as np

from eurosat_lib import french
from eurosat_lib.french import ecart, intervalle, liste, magnitude, nombre, plural, power, signe
from eurosat_lib.report.words import Facts, Words, commands, difference, lag, write
from eurosat_lib.stats import FEWEST, mean_interval

SIZE = ("plus grand", "plus petit")
MEASURES = {  # what a factor changes on the curves: its name, when it grows, when it shrinks
    "score": ("le score", "plus haut", "plus bas"),
    "gap": ("l’écart train − val", *SIZE),
    "speed": ("le départ", "plus rapide", "plus lent"),
    "spread": ("l’écart des deux dernières époques", *SIZE),
    "fit": ("l’exactitude d’entraînement", "plus haute", "plus basse"),
    "start": ("la perte d’entraînement de la première époque", "plus haute", "plus basse"),
}
EXPECTED = {  # of a factor: the measure, and the sign of the change; 0: none
    "lr": ("start", -1),
    "weight_decay": ("score", 0),
    "dilation_stage3": ("score", 0),
    "blocks_per_stage": ("score", 1),
}
GROWN = {"dilation_stage3": "le réseau plus dilaté", "blocks_per_stage": "le réseau plus profond"}
NEAR = 0.02  # an interval within this of 0 is almost no effect (notebook 05 says so)
MOST = 0.75  # share of the pairs that names a direction where the interval does not
LEARNT = 0.99  # training accuracy from which hardly an image is left to learn
RISEN = 1.1  # a final validation loss of so many times its minimum has risen
SHAKY = 0.02  # fall of the validation accuracy from one epoch to the next
TREND = {"plus bas": "baisse", "plus haut": "monte", "égalité": "n’a pas de pente établie"}
ENDS = {"plus haut": "ne plafonne pas encore", "plus bas": "recule à la fin"}  # of validation
NO_PLATEAU = "rien ne montre qu’elle plafonne : sa meilleure époque est la dernière"
SWINGS = {"agitée": "oscille comme prévu", "bonne": "oscille peu"}  # by stability


def direction(effect: Facts, more: str, less: str, expected: int | None, near: float) -> str:
    """Tell in a clause which way an effect goes and, where it has a sign, if that was expected.

    Without a sign, an interval within ``near`` of 0 is no change; else three pairs in four name a
    direction.
    """
    bounds = (effect["ci_low"], effect["ci_high"])
    way = more if effect["mean"] > 0 else less
    small = None not in bounds and max(map(abs, bounds)) <= near
    if effect["sign"]:  # the interval leaves 0 out
        if expected is None:
            return f"est {way}"
        if small and expected == 0:
            return f"est, de peu, {way}"
        aside = "comme attendu" if effect["sign"] == expected else "contre notre attente"
        return f"est, {aside}, {way}"
    if small:
        return "est presque inchangé"
    clear = effect["mean"] and effect["going"] >= MOST * effect["pairs"]
    return f"est {way}" if clear else "ne change pas nettement"


def _told(effect: Facts, measure: str, expected: int | None, pairs: bool) -> tuple[str, str]:
    """Write a change of one measure: which way; how much, in how many pairs, and if it is sure."""
    (_, *ways), found, loss = MEASURES[measure], effect[measure], measure == "start"
    if not found["pairs"]:
        return "ne se compare pas", "une seule valeur"
    word = direction(found, *ways, expected, 0.0 if loss else NEAR)
    bounds = None if found["ci_low"] is None else (found["ci_low"], found["ci_high"])
    told = [ecart(found["mean"], bounds, 3, "nat") if loss else ecart(found["mean"], bounds)]
    told += [f"{plural(found['going'], 'paire')} sur {found['pairs']}"] if pairs else []
    if word.endswith(tuple(ways)) and not (loss and found["sign"]):
        told.append("établi à cette graine" if found["sign"] else "non tranché")
    return word, ", ".join(told)


def seen(effect: Facts, measure: str, expected: int | None = None, pairs: bool = True) -> str:
    """Write what is observed of a measure, in a clause."""
    (word, numbers), found = _told(effect, measure, expected, pairs), effect[measure]
    told = f"{MEASURES[measure][0]} {word} ({numbers})"
    holds_zero = found["ci_low"] is not None and found["sign"] == 0
    if expected == 0 and holds_zero:
        return f"{told}, ce qui ne contredit pas notre attente"
    return told


def by_depth(cases: Sequence[Facts], measure: str, expected: int | None, pairs: bool) -> str:
    """Write an effect for each depth; those that go the same way stand together."""
    said: dict[str, list[str]] = {}
    for case in cases:
        word, numbers = _told(case, measure, expected, pairs)
        said.setdefault(word, []).append(f"avec B = {case['value']} ({numbers})")
    (first, depths), *others = said.items()
    told = f"{first} {' comme '.join(depths)}"
    for word, depths in others:
        joint = ", et" if word.split()[-1] == first.split()[-1] else ", mais"
        own = f" {word} {' comme '.join(depths)}"
        told += joint + (own.removeprefix(" est") if first.startswith("est") else own)
    return told


def step(factor: str, effect: Facts) -> str:
    """Write from where to where a factor goes: ``de D = 2 à 3``."""
    low, high = (french.factor_value(factor, effect["score"][end]) for end in ("low", "high"))
    name = french.SHORT[factor]
    return f"à {name} = {low}" if low == high else f"de {name} = {low} à {high}"


def effect_of(factor: str, effect: Facts) -> str:
    """Write what a factor changes: level and gap, then what is established, then what is not.

    A lower level is told apart by the training images: learnt more slowly, or by heart.
    """
    if not effect["score"]["pairs"]:
        return "une seule valeur, rien à comparer"
    told = [seen(effect, "score", EXPECTED[factor][1]), seen(effect, "gap")]
    signs = {key: effect[key]["sign"] for key in MEASURES}
    fit = _told(effect, "fit", None, pairs=True)[1]
    if signs["score"] < 0 and signs["fit"] < 0:
        why = f"{GROWN[factor]} est moins exact ({fit}) : il apprend plus lentement"
        told[-1] += f". Sur ses images d’entraînement aussi, {why} plutôt qu’il ne surapprend"
    elif signs["score"] < 0 < signs["gap"]:
        told.append(f"{GROWN[factor]} surapprend donc, à cette graine")
    curve = ("speed", "spread") if effect["spread"]["mean"] else ()  # one epoch has none
    told += [seen(effect, key) for key in curve if signs[key]]
    unclear = [MEASURES[key][0] for key in curve if not signs[key]]
    told += [f"rien n’est établi pour {' ni pour '.join(unclear)}"] if unclear else []
    return f"{step(factor, effect)}, {' ; '.join(told)}"


def interaction(cases: Sequence[Facts]) -> Words:
    """Tell whether the effect of the learning rate on the score depends on another factor.

    Its pairs at the factor's first and last value differ in that alone: Student's interval of
    their differences leaves 0 out or holds it, unless there are too few.
    """
    first, last = (cases[end]["score"]["differences"] for end in (0, -1))
    if len(cases) < 2 or len(first) != len(last) or len(first) < FEWEST:
        return {"interaction": "non mesurée"}
    bounds = mean_interval(np.subtract(last, first))
    verdict = "non tranchée" if difference(*bounds) == "égalité" else "nette"
    return {"interaction": verdict, "interaction_ecart": intervalle(bounds, 1, "points")}


def beside_bar(trials: Sequence[Facts], bar: float) -> Words:
    """Tell how many scores pass the linear baseline, and how many best epochs if none does."""
    scored = [trial for trial in trials if trial["score"] > 0]
    passing = sum(trial["score"] >= bar for trial in scored)
    above = sum(trial["best_val_accuracy"] > bar for trial in scored)
    one = len(scored) == 1
    whole, words = "score" if one else f"des {nombre(len(scored))} scores", {"depassent": ""}
    words["barre"] = f"n’est franchie que par {passing} {whole}"
    if passing == len(scored):
        words["barre"] = f"est franchie par {'le seul score' if one else 'tous les scores'}"
    elif not passing:
        words["barre"] = f"n’est franchie par aucun {whole}"
    if above and not passing:
        whose = "leur" if above > 1 else "sa"
        words["depassent"] = f" ; elle l’est par {plural(above, 'run')} à {whose} meilleure époque"
    return words


def tried(search: Facts) -> Words:
    """Count the trials of a search, and place its best one, which alone may have a score."""
    words, count = write(search), search["n_trials"]
    words["essais"], words["seul"] = plural(count, "run"), count - search["n_diverged"] < 2
    if words["seul"]:
        rivals = {"rival": "le seul score", "rivales": "seule à avoir un score"}
        return words | rivals | {"meilleur": "Le seul run à avoir un score"}
    least = words["worst_score"]
    return words | {
        "rival": f"contre {least} pour le dernier",
        "rivales": f"contre {words['second_score']} pour la deuxième et {least} pour la dernière",
        "meilleur": f"Le meilleur des {nombre(count)} runs",
    }


def m5(facts: Facts) -> Words:
    """The grid as it ran, its best point, and what the factors change on the curves."""
    grid, effects = facts["grid_search"], facts["grid_search"]["effects"]
    depths, bar = grid["lr_effect_by"]["blocks_per_stage"], facts.get("compute_baselines", {})
    (name, peak), isolated = (grid["best_by_epoch_name"], grid["best_by_epoch_accuracy"]), ""
    if (name, peak) != (grid["name"], grid["score"]):
        isolated = f" ; la meilleure époque isolée ({french.pct(peak, 2)}) est celle de `{name}`"
    return {
        **write(bar),
        **tried(grid),
        **interaction(depths),
        **(beside_bar(facts["trials"], bar["best_linear"]) if bar else {"barre": ""}),
        "isolee": isolated,
        "origine": french.ORIGINS[grid["origin"]],
        "duree": french.duree(grid["seconds"]),
        "effet_a": effect_of("dilation_stage3", effects["dilation_stage3"]),
        "effet_b": effect_of("blocks_per_stage", effects["blocks_per_stage"]),
        "effet_lr": f"{step('lr', effects['lr'])}, {seen(effects['lr'], 'score')}",
        "lr_selon_b": by_depth(depths, "score", None, pairs=True),
        "divergences": plural(grid["n_diverged"], "run") if grid["n_diverged"] else "",
    }


def edge(value: float, tried: Collection[float]) -> str:
    """Tell where a value is among those tried: ``le plus petit``, ``entre deux autres``."""
    ends = {max(tried): "le plus grand", min(tried): "le plus petit"}
    return ends.get(value, "entre deux autres") if len(ends) == 2 else "le seul essayé"


def s6(facts: Facts) -> Words:
    """The final configuration, where it comes from, and its network."""
    train, net = facts["train"], facts["final_architecture"]
    words = {f"origine_{name}": french.ORIGINS[stage] for name, stage in train["origin"].items()}
    words["epoques"], most = nombre(train["epochs"]), facts["config"]["train"]["max_steps"]
    if most:
        words["epoques"] += f" ({nombre(most)} pas au plus)"
    return commands(facts["config"]) | write(train | net) | words


def s6_lr(facts: Facts) -> Words:
    """The final learning rate beside what the sweeps say."""
    train, choice, sweep = facts["train"], facts["lr_finder"]["choice"], facts.get("check_lr", {})
    lr, model = train["lr"], facts["config"]["model"]
    searches = [facts[k] for k in ("grid_search", "refined_grid_search") if k in facts]
    place = edge(lr, {lr}.union(*(search["values"]["lr"] for search in searches)))
    words = write(sweep | model | {"epochs": train["epochs"], "lr": lr}) | {
        "finder": power(choice) if choice else "",
        "cause": "",
        "refait": bool(sweep),
        "au_dela": place.removeprefix("le ") if place.startswith("le plus") else "",
    }
    if choice and lr < choice:
        words["cause"] = lag(facts["lr_finder"])["decalage"]
    if sweep.get("reliable"):
        out = "au-dessous de" if lr < sweep["lowest"] else "au-dessus de"
        words["place"] = "dans" if sweep["lowest"] <= lr <= sweep["highest"] else out
    return words


def underfitting(train: Facts) -> str:
    """Judge by what is left to learn, then by the trends of the last epochs, if there are any.

    Training loss and validation accuracy improve (``oui``), one (``en partie``) or none does.
    """
    trend = train["trend"]
    if train["last_train_accuracy"] >= LEARNT:
        return "non"
    if trend is None:
        return "indécidable"
    rising, falling = trend["val_accuracy"]["low"] > 0, trend["train_loss"]["high"] < 0
    return ("non établi", "en partie", "oui")[rising + falling]


def overfitting(train: Facts) -> str:
    """Judge by the lead of training over validation, and by the rise of the validation loss."""
    earlier = train["lowest_val_loss_epoch"] < train["epochs"]
    risen = earlier and train["last_val_loss"] > RISEN * train["lowest_val_loss"]
    if train["last_train_accuracy"] > train["last_val_high"]:
        return "oui" if risen else "un début"
    return "non établi" if risen else "aucun signe"


def stability(train: Facts) -> str:
    """Judge by the largest fall of the validation accuracy between two epochs."""
    if train["diverged"]:
        return "divergence"
    if train["epochs"] < 2:
        return "indécidable"
    return "agitée" if train["largest_drop"] > SHAKY else "bonne"


def plateau(train: Facts) -> str:
    """Judge how validation ends, in a clause: by its slope, if there is one, then by its best."""
    slope = (train["trend"] or {}).get("val_accuracy")
    way = difference(slope["low"], slope["high"]) if slope else ""
    if way in ENDS:
        return ENDS[way]
    if train["best_epoch"] == train["epochs"]:
        return NO_PLATEAU
    return "plafonne, autant qu’on puisse le dire" if slope else ""


def ending(train: Facts) -> str:
    """Tell in a clause what was left to learn at the end; empty if nothing was."""
    if underfitting(train) not in ("oui", "en partie"):
        return ""
    end = plateau(train)
    if end == ENDS["plus haut"]:  # always so, if validation still improves
        return "le réseau apprenait encore, et des époques manquaient sans doute"
    if end == NO_PLATEAU:
        return "la perte d’entraînement baissait encore : des époques de plus auraient pu aider"
    return "la perte d’entraînement baissait encore, sans gain net en validation"


def m6(facts: Facts) -> Words:
    """Under-fitting, over-fitting, stability."""
    train, trend, beside = facts["train"], facts["train"]["trend"], facts.get("beside", {})
    stable, ahead = stability(train), train["last_train_accuracy"] > train["last_val_high"]
    lowest = train["lowest_val_loss_epoch"]
    words = write(train) | {
        "intervalle": intervalle((train["last_val_low"], train["last_val_high"])),
        "depasse": "dépasse" if ahead else "ne dépasse pas",
        "sous": underfitting(train),
        "sur": overfitting(train),
        "stabilite": stable,
        "seuil": magnitude(SHAKY, 0),
        "oscille": SWINGS.get(stable, "") if train["largest_drop"] else "n’oscille pas",
        "plafond": plateau(train) if stable in SWINGS else "",
        "minimum": ", son minimum" if lowest == train["epochs"] else "",
        "mieux": "",
        "tendance": bool(trend),
    }
    if lowest < train["epochs"]:
        words["minimum"] = f" ; son minimum, {words['lowest_val_loss']}, est à l’époque {lowest}"
    if beside.get("same_network") and beside["low"] > 0:
        words["mieux"] = french.pct(facts["train_recipe"]["val_accuracy"]["mean"])
    for name in ("train_loss", "val_accuracy") if trend else ():
        slope, *bounds = (trend[name][key] for key in ("slope", "low", "high"))
        form = (4, "nat") if name == "train_loss" else (2, "points")
        words[f"pente_{name}"] = ecart(slope, bounds, *form)
        words[f"va_{name}"] = TREND[difference(*bounds)]
    return words


def leads(finalists: Facts) -> str:
    """Judge the first finalist: ``seul``, ``se détache``, ``en partie`` or ``à égalité``."""
    others, beaten = len(finalists["finalists"]) - 1, finalists["n_beaten"]
    if not others:
        return "seul"
    return "se détache" if beaten == others else "en partie" if beaten else "à égalité"


def s6_finalistes(facts: Facts) -> Words:
    """The finalists over new seeds."""
    found = facts["compare_finalists"]
    return write(found) | {"verdict": leads(found)}


def m7(facts: Facts) -> Words:
    """Expectation against observation, factor by factor; where the curves are shown."""
    found, shown = facts["compare_curves"], facts["photographed"]
    depths, words = found["lr_effect_by"]["blocks_per_stage"], write(found)
    for factor, (measure, sign) in EXPECTED.items():
        told = seen(found[factor], measure, sign, pairs=False)
        if measure == "start":
            told = f"{MEASURES[measure][0]} {by_depth(depths, measure, sign, pairs=False)}"
            told += f", et {seen(found[factor], 'speed', 1, pairs=False)}"
        words[f"vu_{factor}"] = f"{step(factor, found[factor])}, {told}"
    two = "[figure](#fig-compare-dilation) et [figure](#fig-compare-blocks)"
    words["photographed"], words["vue"] = shown, "capture" if shown else "fig"
    words["modele"] = "[figure](#capture-compare-model)" if shown else two
    for factor in ("weight_decay", "blocks_per_stage"):
        words[f"ecart_{factor}"] = seen(found[factor], "gap", pairs=False)
    return words | interaction(depths)


def s8(facts: Facts) -> Words:
    """The refined grid as it ran: who rises and who falls from the last epoch but one to the last.

    The score is the mean of these two, of two epochs in all the last: then the best one tells.
    """
    refined, trials, told = facts["refined_grid_search"], facts["trials"], ""
    other = "best_val_accuracy" if refined["epochs"] == 2 else "score"
    ran = [(t["lr"], t["val_accuracy"] - t[other]) for t in trials if t["score"]]
    rising = sum(change > 0 or (other != "score" and not change) for _, change in ran)
    falling = [lr for lr, change in ran if change < 0]
    if len({*falling}) == 1:
        told = f" ; elle ne baisse qu’à LR = {power(falling[0])} ({plural(len(falling), 'run')})"
    up = f"monte encore pour {plural(rising, 'run')} sur {nombre(len(trials))}"
    up = up if rising else "ne monte plus pour aucun run"
    words = {"montent": up if refined["epochs"] > 1 else "", "baissent": told}
    return tried(refined) | words


def refinement(refined: Facts, grid: Facts | None) -> str:
    """Judge the score of the refined grid beside the grid's, if that is where it comes from.

    ``même point``: its best run is the grid's, at its centre; ``incomparable``: other trials.
    """
    if grid is None or refined["origin"] != "grid_search":
        return "seule"
    if any(refined[key] != grid[key] for key in ("epochs", "train_images", "seed")):
        return "incomparable"
    if refined["name"] == grid["name"]:
        return "même point"
    return "gain" if refined["score"] > grid["score"] else "aucun gain"


def m8(facts: Facts) -> Words:
    """The refined grid beside the grid: its score, its rate, and what the final replays of it."""
    refined, grid = facts["refined_grid_search"], facts.get("grid_search")
    final, lr, rates = facts["compare_finalists"], refined["lr"], refined["values"]["lr"]
    least = min(one["sd"] or 0.0 for one in final["finalists"])
    replayed, equal = {one["lr"] for one in final["finalists"]}, leads(final) == "à égalité"
    before = edge(grid["lr"], grid["values"]["lr"]) if grid else "inconnu, faute de grille"
    known = final["n_seeds"] >= FEWEST  # then the seeds give a yardstick
    place, beside = f"est {edge(lr, rates)}", "l’optimum peut être au-delà"
    if place == "est entre deux autres":
        place = "n’est plus au bord" if before.startswith("le plus") else "n’est pas au bord"
        twins = [t for t in facts["trials"] if t["weight_decay"] == refined["weight_decay"]]
        others = {t["lr"]: t["score"] for t in twins if t["lr"] != lr and t["score"]}
        told = liste(f"de {french.pct(s, 2)} à {power(rate)}" for rate, s in others.items())
        beside = f"au même weight decay, le score est {told}" if told else "lui seul a un score"
        near = [power(t) for t, s in others.items() if known and refined["score"] - s < least]
        if near:
            place += ", mais de peu"
            beside += f" ; avec {liste(near)}, la différence est plus petite que cet écart-type"
    words, verdict = tried(refined), refinement(refined, grid)
    return words | {
        "verdict": "point repris" if words["seul"] and verdict == "même point" else verdict,
        "ecart": signe(refined["score"] - grid["score"], 2) if grid else "",
        "bord": before + " essayé" * before.startswith("le plus"),
        "place": place,
        "voisins": beside,
        "ecart_type": magnitude(least) if known else "",
        "lr_final": power(final["lr"]),
        "reserve": ", mais ces graines ne départagent pas les finalistes" * equal,
        "absents": liste(power(one) for one in rates if one not in replayed),
    }


def m8_recette(facts: Facts) -> Words:
    """The recipe beside the protocol, judged on the same validation images."""
    recipe, beside = facts["train_recipe"], facts["beside"]
    other = "Un autre réseau (B = {blocks_per_stage}, D = {dilation_stage3})".format_map(beside)
    return write(facts["train"] | recipe | beside) | {
        "reseau": "Le même réseau" if beside["same_network"] else other,
        "etapes": " ; ".join(recipe["steps"]),
        "premiere": " (première graine)" * (recipe["count"] > 1),
        "ecart": ecart(beside["gain"], (beside["low"], beside["high"]), 2),
    }


# The list at the head of a section holds values of the question under it.
s5, s7 = m5, m7
