"""Words of sections 0 to 4: data, baselines, network, LR finder. A function is its answer's."""

from __future__ import annotations

import re

from eurosat_lib import french
from eurosat_lib.french import liste, nombre, p_value, pct, plural, power, signe
from eurosat_lib.report.words import MODERATE, Facts, Words, commands, plain, written

IMAGENET = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]
SIGNS = re.compile(r"[<>&$\\`*_\[\]{}#~^|]")  # that may mean something to Markdown, TeX or HTML


def literal(text: str) -> str:
    """Write a text for Markdown so that it is shown sign by sign, whatever it holds."""
    shown = SIGNS.sub(lambda sign: f"&#{ord(sign[0])};", text)
    return text if shown == text else f'<span class="literal">{shown}</span>'


def s0(facts: Facts) -> Words:
    """Who, what, where; a blank of the template where the configuration says nothing."""
    config, environment = facts["config"], facts["environment"]
    author, repository = config["identity"]["author"], config["identity"]["repository"]
    return {
        **plain(environment),
        "cuda": environment["cuda"] or "aucun",
        "etudiant": "_Nom, Prénom_" if author in ("", "Prénom Nom") else literal(author),
        "projet": literal(config["identity"]["title"]),
        "depot": f"<{repository}>" if repository else "_URL publique_",
        **commands(config, facts["explore_dataset"]["synthetic"], facts["given"]),
    }


def d1(facts: Facts) -> Words:
    """Which data set, the format of its images, and what the loaders say of them."""
    audit, pipeline = facts["explore_dataset"], facts["verify_pipeline"]
    side, revision = audit["image_shape"][1], audit["source_revision"]
    read = f", lu dans le dossier local `{audit['source_location']}`"
    if revision:
        read = f", révision `{revision[:7]}`"
    if audit["synthetic"]:
        read = ", remplacé ici par des images synthétiques de démonstration"
    return {
        **plain(audit),
        **plain(pipeline),
        "num_classes": len(audit["classes"]),
        "source": "synthétique" if audit["synthetic"] else "EuroSAT",
        "lecture": read,
        "cote": side,
    }


def d2(facts: Facts) -> Words:
    """Size of each split, how uneven its classes are, and how many images are used."""
    audit, used = facts["explore_dataset"], facts["verify_pipeline"]["used"]
    whole = all(used[split] == audit[f"n_{split}"] for split in used)
    limit = facts["config"]["grid"]["train_limit"]
    words = {"utilisees": "la totalité" if whole else f"{liste(used.values())}, tirées au hasard"}
    words["grille"] = nombre(limit) if limit and limit < used["train"] else ""
    for split, held in audit["counts"].items():
        words[f"part_{split}"] = pct(audit["shares"][split], 0)
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
    return {
        "decoupage": made,
        "repartition": "" if not balance else "biais" if balance["p_value"] < 0.05 else "hasard",
        "p": p_value(balance["p_value"]) if balance else "",
        "voisines": "oui" if made in ("publié", "autre") and overlaps["across"] else "",
        "recouvrements": plural(overlaps["across"], "recouvrement"),
        "test": plural(overlaps["test_images"], "image"),
        "test_part": pct(overlaps["test_images"] / audit["n_test"]),
    }


def d4(facts: Facts) -> Words:
    """How far the most frequent class is from the rarest, and what that means."""
    audit = facts["explore_dataset"]
    return {
        **plain(audit),
        "rapport": nombre(audit["imbalance"], 2),
        "desequilibre": "modéré" if audit["imbalance"] < MODERATE else "fort",
    }


def d5(facts: Facts) -> Words:
    """What the audit of all images found, one count per finding."""
    audit, overlaps = facts["explore_dataset"], facts["find_overlaps"]
    copies, across = audit["duplicates"], plural(audit["duplicates_across"], "groupe")
    counts = dict(zip(audit["classes"], audit["faint_by_class"], strict=True))
    faint = [f"{nombre(counts[name])} de {name}" for name in audit["faint_classes"]]
    empty = audit["black"] + audit["flat"]
    return {
        **plain(audit),
        **plain(overlaps),
        **plain(facts["verify_pipeline"]),
        "copies": f"{nombre(copies)} ; {across} sur plusieurs splits" if copies else "aucune",
        "vides": nombre(empty) if empty else "aucune",
        "presque_unies": f", dont {liste(faint)}" if faint else "",
        "test_part": pct(overlaps["test_images"] / audit["n_test"]),
        "a_nettoyer": "oui" if empty or audit["duplicates_across"] else "",
    }


def d6(facts: Facts) -> Words:
    """The preprocessing, value by value, and what the network receives."""
    audit, pipeline, config = (facts[s] for s in ("explore_dataset", "verify_pipeline", "config"))
    own, side, size = config["preprocess"], audit["image_shape"][1], config["data"]["image_size"]
    saved = nombre((side / size) ** 2, 0)
    constants, whose = [own["mean"], own["std"]], "fixées par la configuration"
    if own["statistics"] == "data":
        constants = [[round(v, 3) for v in audit[name]] for name in ("channel_mean", "channel_sd")]
        whose = "calculées sur le seul split d’entraînement"
    elif constants == IMAGENET:
        whose = "celles d’ImageNet, usuelles pour des images RGB, ce qui facilite les comparaisons"
    return {
        **written(nombre, pipeline, "value_min", "value_max", digits=2),
        "taille": size,
        "origine": side,
        "reduction": f", et les réduire divise le calcul par {saved} environ"
        if size < side
        else "",
        "mean": str(constants[0]),
        "std": str(constants[1]),
        "constantes": whose,
        "explique": pct(max(audit["explained"]), 0),
    }


def d8(facts: Facts) -> Words:
    """The augmentation, value by value, beside how much the images vary by themselves."""
    audit, pipeline, config = (facts[s] for s in ("explore_dataset", "verify_pipeline", "config"))
    augment, size = config["augment"], config["data"]["image_size"]
    padding, p = augment["crop_padding"], augment["flip_probability"]
    turn, drawn = "RandomHorizontalFlip", f"p = {nombre(p)}"
    if augment["symmetries"]:
        turn, drawn = "Symétries du carré", "8 équiprobables"
    colour = max(augment[name] for name in ("brightness", "contrast", "saturation"))
    channels = zip(audit["channel_mean"], audit["channel_sd"], strict=True)
    spread = [sd / mean for mean, sd in channels]
    good = pipeline["repeatable"] and pipeline["reshuffled"]
    return {
        **written(nombre, augment, "brightness", "contrast", "saturation"),
        "taille": size,
        "images": "synthétiques" if audit["synthetic"] else "réelles",
        "padding": plural(padding, "pixel"),
        "decalage": pct(padding / size, 0),
        "retournement": turn,
        "tirage": drawn,
        "couleur": pct(colour, 0),
        "dispersion": f"{nombre(100 * min(spread), 0)} à {pct(max(spread), 0)}",
        "variation": "reste petit devant" if colour < min(spread) else "atteint",
        "verification": "réussie" if good else "**échouée**",
    }


def d11(facts: Facts) -> Words:
    """The exact shape of a batch, and whether it is what the loaders announce."""
    pipeline = facts["verify_pipeline"]
    return plain(pipeline) | {"verdict": "est bien" if pipeline["coherent"] else "**n’est pas**"}


def m0(facts: Facts) -> Words:
    """What the baselines score, and the bar they set."""
    found = facts["compute_baselines"]
    scores = ("majority_validation", "majority_test", "uniform", "color_validation")
    return {
        **plain(found),
        **written(pct, found, *scores, "thumbnail_validation", digits=2),
        **written(pct, found, "majority_share", "best_linear"),
        "ecart": signe(found["majority_validation"] - found["uniform"]),
    }


def m1(facts: Facts) -> Words:
    """The network, its size, and what its two hyperparameters change."""
    net = facts["test_model"]
    size, fields = net["input_shape"][1], [one["receptive_field"] for one in net["variants"]]
    counted, again = net["parameters_by_formula"], net["blocks_per_stage"] - 1
    return {
        **plain(net),
        **{f"canaux_{rank}": width for rank, width in enumerate(net["channels"], start=1)},
        "entree": ", ".join(map(str, net["input_shape"])),
        "blocs": plural(net["blocks_per_stage"], "bloc"),
        "cote": size,
        "cote_1": size // 2,
        "cote_2": size // 4,
        "classes": net["output_shape"][0],
        "champs": f"{min(fields)} à {max(fields)} pixels",
        "couvre": "toute l’" if min(fields) >= size else "l’essentiel ou la totalité d’une ",
        "formule": "le même nombre" if counted == net["parameters"] else nombre(counted),
        "puis": "puis" if again == 1 else f"puis {again} fois",
    }


def m2(facts: Facts) -> Words:
    """Whether the initial loss is coherent by a criterion set beforehand; where gradients go."""
    found = facts["check_initial_loss"]
    tensors, faint = found["tensors"], found["faint"]
    convolutions = (tensors - 2) // 4  # each with a weight, a bias, and BatchNorm's two
    biases = len(faint) == convolutions and all(name.endswith(".bias") for name in faint)
    return {
        **plain(found),
        **written(nombre, found, "theory", "loss", digits=4),
        **written(nombre, found, "mean", "sd", "grad_norm", digits=3),
        **written(nombre, found, "limit_bias", "limit_sd"),
        "distance": nombre(abs(found["loss"] - found["mean"]) / found["sd"], 1),
        "verdict": "cohérente" if found["coherent"] else "incohérente",
        "gradient": "partout" if not faint else "biais" if biases else "faible",
        "n_faibles": len(faint),
    }


def m3(facts: Facts) -> Words:
    """Whether the network learnt the sample by heart, and whether the controls say so too."""
    run, shuffled = facts["overfit_small"], facts["shuffled_labels"]
    sane = facts["check_training"]
    passed = shuffled["informative"] and sane["uses_images"] and sane["repeatable"]
    return {
        **plain(run | sane | facts["config"]["controls"]),
        **written(nombre, run, "lr", "weight_decay", "target_loss"),
        **written(nombre, run, "first_loss", "last_loss", digits=3),
        **written(pct, run, "last_accuracy", digits=0),
        **written(pct, shuffled, "true_accuracy", "shuffled_accuracy"),
        **written(pct, sane, "blind_accuracy", "seen_accuracy"),
        "verdict": "démontré" if run["reached"] else "non démontré",
        "controles": "réussies" if passed else "à revoir",
        "melangees": pct(shuffled["shuffled_known"], 0),
        "repetition": "redonne le même" if sane["repeatable"] else "donne un autre",
    }


def m4(facts: Facts) -> Words:
    """Which learning rate and weight decay to start from, and how sure that is."""
    finder, config, picked = facts["lr_finder"], facts["config"], facts.get("chosen_lr")
    words = {
        **plain(finder),
        **plain(config["model"]),
        **written(power, finder, "weight_decay"),
        **written(power, config["lr_finder"], "min_lr", "max_lr"),
        "graines": plural(finder["n_seeds"], "graine"),
        "weight_decays": liste(power(value, 1) for value in config["grid"]["weight_decay"]),
    }
    if finder["reliable"]:
        lr, words["lectures"] = finder["choice"], "oui"
        words["comment"] = f"médiane de {3 * finder['n_seeds']} lectures, trois par graine"
        words["fenetre"] = f"{power(finder['window_low'])} → {power(finder['window_high'])}"
        words |= written(power, finder, "lowest", "highest", digits=1)
        words["facteur"] = nombre(finder["highest"] / finder["lowest"], 1)
    else:
        lr, words["lectures"] = config["train"]["fallback_lr"], ""
        why = liste(sorted({french.FAULTS[fault] for fault in finder["faults"].values()}))
        words["comment"] = f"valeur de repli, car le balayage ne permet pas de choisir ({why})"
        words["fenetre"] = "aucune, la perte d’au moins une graine ne descend pas nettement"
    if picked:
        rule = french.RULES.get(picked["rule"], "médiane")
        lr, words["comment"] = picked["lr"], f"lu à la main sur la courbe (règle : {rule})"
    return words | {"lr": power(lr)}


# The list at the head of a section holds values of the question under it.
s1_1, s1_2, s1_3, s1_4 = d1, d2, d6, d8
d9 = d10 = d8
s2_1, s2_2, s2_3, s3, s4 = m0, m1, m2, m3, m4
