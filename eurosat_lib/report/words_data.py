"""Words of sections 0 to 4: data, baselines, network, LR finder. A function is its answer's."""

from __future__ import annotations

import re

from eurosat_lib import french
from eurosat_lib.audit import SATURATED
from eurosat_lib.french import liste, nombre, pct, plural, power
from eurosat_lib.report.title import NAMELESS
from eurosat_lib.report.words import Facts, Words, commands, lag, write

IMAGENET = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]  # mean and deviation per channel
WHOSE = {  # constants
    "data": "calculées sur le seul split d’entraînement",
    "ImageNet": "celles d’ImageNet, usuelles pour des images RGB ; aucune des nôtres n’y entre",
    "other": "fixées d’avance dans la configuration",
}
KNOWN = 0.9  # share of images with shuffled labels from which they are learnt by heart
CONVOLUTION_BIAS = re.compile(r"stages\.\d\.[036]\.bias")  # a BatchNorm comes next
MODERATE = 2.0  # largest class over smallest, below which the difference is called so
SIGNS = re.compile(r"[<>&$\\`*_\[\]{}#~^|]")  # that may mean something to Markdown, TeX or HTML


def literal(text: str) -> str:
    """Write a text for Markdown so that it is shown sign by sign, whatever it holds."""
    shown = SIGNS.sub(lambda sign: f"&#{ord(sign[0])};", text)
    return text if shown == text else f'<span class="literal">{shown}</span>'


def s0(facts: Facts) -> Words:
    """Who, what, where; a blank of the template where the configuration says nothing."""
    config, own = facts["config"], facts["config"]["identity"]
    unfilled = ("", NAMELESS)
    return {
        **write(facts["environment"]),
        "cuda": facts["environment"]["cuda"] or "aucun",
        "etudiant": literal(own["author"]) if own["author"] not in unfilled else "_Nom, Prénom_",
        "projet": literal(own["title"]),
        "depot": f"<{own['repository']}>" if own["repository"] else "_URL publique_",
        **commands(config, facts["explore_dataset"]["synthetic"], facts["given"]),
    }


def d1(facts: Facts) -> Words:
    """Which data set, the format of its images, and what the loaders say of them."""
    audit, revision = facts["explore_dataset"], facts["explore_dataset"]["source_revision"]
    read = f", lu dans le dossier local `{audit['source_location']}`"
    if revision:
        read = f", révision `{revision[:7]}`"
    if audit["synthetic"]:
        read = ", remplacé ici par des images synthétiques de démonstration"
    own = {"num_classes": len(audit["classes"]), "cote": audit["image_shape"][1], "lecture": read}
    return write(audit | facts["verify_pipeline"]) | own


def d2(facts: Facts) -> Words:
    """Size of each split, how uneven its classes are, and how many images are used."""
    audit, used = facts["explore_dataset"], facts["verify_pipeline"]["used"]
    whole = all(used[split] == audit[f"n_{split}"] for split in used)
    limit = facts["config"]["grid"]["train_limit"]
    words = {"utilisees": "la totalité" if whole else f"{liste(used.values())}, tirées au hasard"}
    words["grille"] = nombre(limit) if limit and limit < used["train"] else ""
    for split, held in audit["counts"].items():
        words[f"classe_{split}"] = f"{nombre(min(held))} à {nombre(max(held))}"
    return d1(facts) | words


def d3(facts: Facts) -> Words:
    """Who made the splits, whether they keep the shares of the classes and the places apart."""
    audit, overlaps = facts["explore_dataset"], facts["find_overlaps"]
    balance, made = audit["balance"], "publié" if audit["published_lists"] else "autre"
    if facts["config"]["data"]["split"] == "spatial":
        made = "spatial"
    if audit["synthetic"]:
        balance, made = None, "synthétique"
    return write(audit | overlaps) | {
        "decoupage": made,
        "repartition": _balance(balance["p_value"]) if balance else "",
        "voisines": "oui" if made in ("publié", "autre") and overlaps["across"] else "",
        "test_part": pct(overlaps["test_images"] / audit["n_test"]),
    }


def _balance(p: float) -> str:
    """Judge the chi-square test of split against class: too even, even or too uneven for luck."""
    return "stratifiée" if p > 0.95 else "hasard" if p >= 0.05 else "biais"


def d4(facts: Facts) -> Words:
    """How far the most frequent class is from the rarest, and what that means."""
    audit = facts["explore_dataset"]
    return write(audit) | {"modere": "oui" if audit["imbalance"] < MODERATE else ""}


def d5(facts: Facts) -> Words:
    """What the audit of all images found, one count per finding."""
    audit, overlaps = facts["explore_dataset"], facts["find_overlaps"]
    copies, across = audit["duplicates"], plural(audit["duplicates_across"], "groupe")
    empty = audit["black"] + audit["flat"]
    counts = dict(zip(audit["classes"], audit["faint_by_class"], strict=True))
    faint = liste(f"{nombre(counts[name])} de *{name}*" for name in audit["faint_classes"])
    return {
        **write(audit | overlaps | facts["verify_pipeline"]),
        "copies": f"{nombre(copies)} ; {across} sur plusieurs splits" if copies else "aucune",
        "vides": nombre(empty) if empty else "aucune",
        "dont": f", dont {faint}" if audit["faint"] else "",
        "seuil": pct(SATURATED, 0),
        "test_part": pct(overlaps["test_images"] / audit["n_test"]),
        "a_nettoyer": "oui" if empty or audit["duplicates_across"] else "",
    }


def d6(facts: Facts) -> Words:
    """The preprocessing, value by value, and what the network receives."""
    audit, own = facts["explore_dataset"], facts["config"]["preprocess"]
    side, size = audit["image_shape"][1], facts["config"]["data"]["image_size"]
    mean, sd = own["mean"], own["std"]
    whose = "ImageNet" if [mean, sd] == IMAGENET else "other"
    if own["statistics"] == "data":
        whose = "data"
        mean, sd = ([round(v, 3) for v in audit[k]] for k in ("channel_mean", "channel_sd"))
    return {
        **write(facts["verify_pipeline"]),
        "taille": size,
        "origine": side,
        "mean": str(mean),
        "std": str(sd),
        "constantes": WHOSE[whose],
        "explique": pct(max(audit["explained"]), 0),
    }


def d8(facts: Facts) -> Words:
    """The augmentation, value by value, and whether it was found right."""
    audit, pipeline, config = (facts[s] for s in ("explore_dataset", "verify_pipeline", "config"))
    augment, size = config["augment"], config["data"]["image_size"]
    turn, drawn = "RandomHorizontalFlip", f"p = {nombre(augment['flip_probability'])}"
    if augment["symmetries"]:
        turn, drawn = "Symétries du carré", "8 équiprobables"
    colour = max(augment[name] for name in ("brightness", "contrast", "saturation"))
    channels = zip(audit["channel_sd"], audit["channel_mean"], strict=True)
    spread = min(sd / mean for sd, mean in channels)
    return {
        **write(augment | {"synthetic": audit["synthetic"]}),
        "taille": size,
        "retournement": turn,
        "tirage": drawn,
        "couleur": pct(colour, 0),
        "dispersion": pct(spread, 0),
        "variation": "reste sous" if colour < spread else "dépasse",
        "changent": "changent" if pipeline["reshuffled"] else "**ne changent pas**",
        "redonne": "redonne" if pipeline["repeatable"] else "**ne redonne pas**",
    }


def m1(facts: Facts) -> Words:
    """The network, its size, and what its two hyperparameters change."""
    net = facts["test_model"]
    size, fields = net["input_shape"][1], [one["receptive_field"] for one in net["variants"]]
    wide, side = sum(field >= size for field in fields), f"le côté de l’image ({size} pixels)"
    count = "tous les" if wide == len(fields) else f"{wide} des {len(fields)}"
    covers = f"atteint déjà {side} pour {count} réseaux"
    if not wide:
        covers = f"n’atteint pas {side}, mais la moyenne globale réunit toutes les positions"
    return {
        **write(net),
        **{f"canaux_{rank}": width for rank, width in enumerate(net["channels"], start=1)},
        "cote": size,
        "cote_1": size // 2,
        "cote_2": size // 4,
        "classes": net["output_shape"][0],
        "champs": f"de {min(fields)} à {max(fields)} pixels",
        "couvre": covers,
        "repetitions": net["blocks_per_stage"] - 1,
    }


def m2(facts: Facts) -> Words:
    """Whether the initial loss is as expected, and which parameters the gradient passes by."""
    found = facts["check_initial_loss"]
    faint, known = found["faint"], all(map(CONVOLUTION_BIAS.fullmatch, found["faint"]))
    count = f"{len(faint)} biais de convolution" if known else plural(len(faint), "tenseur")
    return write(found) | {
        "gradient": "partout" if not faint else "biais" if known else "faible",
        "faibles": count,
    }


def m3(facts: Facts) -> Words:
    """Whether the network learnt the sample by heart, and whether the controls say so too."""
    run, shuffled, sane = map(facts.get, ("overfit_small", "shuffled_labels", "check_training"))
    passed = shuffled["informative"] and sane["uses_images"] and sane["repeatable"]
    return {
        **write(shuffled | sane | run),
        "steps": facts["config"]["controls"]["steps"],
        "pairs": plural(facts["config"]["controls"]["pairs"], "tirage"),
        "par_coeur": "oui" * (shuffled["informative"] and shuffled["shuffled_known"] > KNOWN),
        "controles": "réussies" if passed else "à revoir",
        "repetition": "redonne le même" if sane["repeatable"] else "donne un autre",
    }


def m4(facts: Facts) -> Words:
    """Which learning rate and weight decay to start from, and how sure that is."""
    finder, config, picked = facts["lr_finder"], facts["config"], facts.get("chosen_lr")
    if picked:
        rule = french.RULES.get(picked["rule"], "médiane")
        lr, how = picked["lr"], f"lu à la main sur la courbe (règle : {rule})"
    elif finder["reliable"]:
        count = 3 * finder["n_seeds"]
        lr, how = finder["choice"], f"médiane de {count} lectures, trois par graine"
    else:
        why = liste(sorted({french.FAULTS[fault] for fault in finder["faults"].values()}))
        how = f"valeur de repli, car le balayage ne permet pas de choisir ({why})"
        lr = config["train"]["fallback_lr"]
    return {
        **write(config["lr_finder"] | config["model"] | finder),
        **lag(config["lr_finder"]),
        "lr": power(lr),
        "comment": how,
        "weight_decays": liste(power(value, 1) for value in config["grid"]["weight_decay"]),
    }


# The list at the head of a section holds values of the question under it.
s1_1, s1_2, s1_3, s1_4 = d1, d2, d6, d8
d9 = d10 = d8
s2_2, s3, s4 = m1, m3, m4
