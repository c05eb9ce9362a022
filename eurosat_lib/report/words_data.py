"""Words of sections 0 to 4: the data, the baselines, the checks of the network, the LR finder.

Each function takes the facts of the stages, by stage, and is named after its answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eurosat_lib import french
from eurosat_lib.french import intervalle, liste, nombre, pct, plural, power, shape
from eurosat_lib.report.words import agree, make_options, options, rates, results_folder, share

Facts = Mapping[str, Any]
Words = dict[str, Any]

SPLITS = ("train", "validation", "test")
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
COLOURS = ("rouge", "vert", "bleu")
METRES = 10  # ground covered by one pixel of EuroSAT
SIGNS = re.compile(r"[<>&$\\`*_\[\]{}#~^|]")  # that may mean something to Markdown, TeX or HTML
NAMELESS = ("", "Prénom Nom")  # an author that nobody has filled in
EVEN = 0.01  # classes are in the training split to the same share, to within this
BALANCED, MODERATE = 1.1, 2.0  # largest class over smallest, below which it is called so
SYMMETRIES = 8  # of the square


def literal(text: str) -> str:
    """Write a text for Markdown so that it is shown sign by sign, whatever it holds."""
    shown = SIGNS.sub(lambda sign: f"&#{ord(sign[0])};", text)
    return text if shown == text else f'<span class="literal">{shown}</span>'


def s0(facts: Facts) -> Words:
    """Who, what, where; a blank of the template where the configuration says nothing."""
    config, environment = facts["config"], facts["environment"]
    identity, synthetic = config["identity"], facts["explore_dataset"]["synthetic"]
    author, repository = identity["author"], identity["repository"]
    return {
        "etudiant": "_Nom, Prénom_" if author in NAMELESS else literal(author),
        "projet": literal(identity["title"]),
        "depot": f"<{repository}>" if repository else "_URL publique_",
        "python": environment["python"],
        "torch": environment["torch"],
        "cuda": environment["cuda"] or "aucun",
        "make": "make report" + make_options(config, synthetic, facts["given"]),
        "options": "--config configs/config.yaml" + options(config, synthetic),
        "resultats": results_folder(config),
    }


def d1(facts: Facts) -> Words:
    """Which data set, the format of its images, and what the loaders say of them."""
    audit, pipeline = facts["explore_dataset"], facts["verify_pipeline"]
    side, read = (
        audit["image_shape"][1],
        f", lu dans le dossier local `{audit['source_location']}`",
    )
    if audit["source_revision"]:
        read = f", révision `{audit['source_revision'][:7]}`"
    if audit["synthetic"]:
        read = ", remplacé ici par des images synthétiques de démonstration"
    return {
        "source": "synthétique" if audit["synthetic"] else "EuroSAT",
        "lecture": read,
        "total": nombre(audit["total"]),
        "forme": shape(audit["image_shape"]),
        "cote": side,
        "metres": METRES * side,
        "entree": shape(pipeline["input_shape"]),
        "classes": pipeline["num_classes"],
    }


def d2(facts: Facts) -> Words:
    """Size of each split, how uneven its classes are, and whether all images are used."""
    audit, pipeline = facts["explore_dataset"], facts["verify_pipeline"]
    sizes = [audit[f"n_{split}"] for split in SPLITS]
    used = [pipeline["used"][split] for split in SPLITS]
    words: Words = {
        "total": nombre(audit["total"]),
        "classes": pipeline["num_classes"],
        "entree": shape(pipeline["input_shape"]),
        "utilisees": "la totalité" if used == sizes else f"{liste(used)}, tirées au hasard",
    }
    for split, size in zip(SPLITS, sizes, strict=True):
        held = audit["counts"][split]
        words[split] = nombre(size)
        words[f"part_{split}"] = pct(audit["shares"][split], 0)
        words[f"classe_{split}"] = f"{nombre(min(held))} à {nombre(max(held))}"
    return words


def d3(facts: Facts) -> Words:
    """Who made the splits, whether they keep the shares of the classes and the places apart."""
    audit, overlaps, config = facts["explore_dataset"], facts["find_overlaps"], facts["config"]
    taken = [t / (t + v + e) for t, v, e in zip(*map(audit["counts"].get, SPLITS), strict=True)]
    spatial = config["data"]["split"] == "spatial"
    if audit["synthetic"]:
        made, leak = "synthétique", "aucune"
    else:
        made = "publié" if audit["published_lists"] else "spatial" if spatial else "autre"
        leak = "régions" if spatial else "vue" if overlaps["across"] else "non vue"
    return {
        "decoupage": made,
        "stratification": _stratified(taken, audit["balance"]),
        "part_basse": nombre(100 * min(taken), 1),
        "part_haute": pct(max(taken)),
        "p": nombre(audit["balance"]["p_value"], 2) if audit["balance"] else "",
        "fuite": leak,
        "paires": agree(overlaps["across"], "paire se recouvre", "paires se recouvrent"),
        "test": agree(overlaps["test_images"], "image de test montre", "images de test montrent"),
        "test_part": share(overlaps["test_images"], audit["n_test"]),
    }


def _stratified(taken: list[float], balance: Facts | None) -> str:
    """Say how the classes were shared out: ``oui``, ``hasard``, ``biais`` or ``inconnue``."""
    if max(taken) - min(taken) < EVEN:
        return "oui"
    if balance is None:
        return "inconnue"
    return "biais" if balance["p_value"] < 0.05 else "hasard"


def d4(facts: Facts) -> Words:
    """How far the most frequent class is from the rarest, and what that means."""
    audit = facts["explore_dataset"]
    ratio, total = audit["imbalance"], audit["n_train"]
    strong = "modéré" if ratio < MODERATE else "fort"
    return {
        "grande": audit["largest_class"],
        "grande_images": nombre(audit["largest_count"]),
        "grande_part": share(audit["largest_count"], total),
        "petite": audit["smallest_class"],
        "petite_images": nombre(audit["smallest_count"]),
        "petite_part": share(audit["smallest_count"], total),
        "rapport": nombre(ratio, 2),
        "desequilibre": "équilibré" if ratio < BALANCED else strong,
    }


def d5(facts: Facts) -> Words:
    """What the audit of all images found, one phrase per finding."""
    audit, overlaps = facts["explore_dataset"], facts["find_overlaps"]
    pipeline, mean = facts["verify_pipeline"], audit["channel_mean"]
    bad = audit["duplicates_across"] or audit["black"] or audit["flat"]
    return {
        "total": nombre(audit["total"]),
        "forme": shape(audit["image_shape"]),
        "etiquettes": f"{pipeline['label_min']} à {pipeline['label_max']}",
        "doublons": _duplicates(audit),
        "chevauchements": _overlapping(overlaps),
        "unies": _uniform(audit),
        "saturees": _saturated(audit),
        "clair": COLOURS[mean.index(max(mean))],
        "explique": _percent_range(audit["explained"]),
        "test_part": share(overlaps["test_images"], audit["n_test"]),
        "suite": "à nettoyer" if bad else "fuite bornée" if overlaps["across"] else "rien",
    }


def _duplicates(audit: Facts) -> str:
    if not audit["duplicates"]:
        return "aucune image n’est la copie exacte d’une autre"
    text = agree(audit["duplicates"], "image en double", "images en double")
    across = audit["duplicates_across"]
    if not across:
        return f"{text}, dans un même split"
    groups = agree(across, "groupe réparti", "groupes répartis")
    return f"{text}, dont **{groups} sur plusieurs splits**, une fuite directe"


def _overlapping(overlaps: Facts) -> str:
    if not overlaps["found"]:
        return "aucune vignette ne partage de terrain avec une autre"
    text = agree(overlaps["found"], "paire de vignettes a", "paires de vignettes ont")
    text += f" du terrain en commun, {nombre(overlaps['across'])} entre deux splits et "
    text += f"{nombre(overlaps['relabelled'])} avec deux étiquettes différentes"
    return text + (" (comptes minimaux)" if overlaps["capped"] else "")


def _uniform(audit: Facts) -> str:
    empty = audit["black"] + audit["flat"]
    text = agree(empty, "image vide", "images vides") if empty else "aucune image vide"
    if not audit["faint"]:
        return text
    counts = dict(zip(audit["classes"], audit["faint_by_class"], strict=True))
    main = [f"de {name} ({nombre(counts[name])})" for name in audit["faint_classes"]]
    whole = sum(counts[name] for name in audit["faint_classes"]) == audit["faint"]
    part = share(audit["faint"], audit["total"], 0)
    classes = ("toutes " if whole else "surtout ") + liste(main, mot="ou")
    return f"{text} ; {nombre(audit['faint'])} presque unies ({part}), {classes}"


def _saturated(audit: Facts) -> str:
    if not audit["saturated"]:
        return "aucune image n’a plus d’un centième de ses valeurs au maximum (255)"
    part = share(audit["saturated"], audit["total"])
    text = agree(audit["saturated"], "image a", "images ont")
    where = f"surtout dans la classe {audit['saturated_class']}"
    return f"{text} plus de 1 % de leurs valeurs au maximum, 255 ({part}), {where}"


def d6(facts: Facts) -> Words:
    """The preprocessing, value by value, and what the network receives."""
    audit, pipeline, config = (facts[s] for s in ("explore_dataset", "verify_pipeline", "config"))
    size, side = config["data"]["image_size"], audit["image_shape"][1]
    mean, sd, constants = _normalisation(config["preprocess"], audit)
    kept = "les vignettes l’ont déjà, et l’opération les laisse intactes"
    smaller = f"réduire les vignettes divise le calcul par {nombre((side / size) ** 2)}"
    unit = all(abs(value - 1) < 0.1 for value in pipeline["value_sd"])
    centred = unit and all(abs(value) < 0.1 for value in pipeline["value_mean"])
    return {
        "taille": size,
        "origine": side,
        "resize": kept if size == side else smaller,
        "mean": str(mean),
        "std": str(sd),
        "constantes": constants,
        "valeurs": intervalle((pipeline["value_min"], pipeline["value_max"]), 2, ""),
        "moyennes": liste(pipeline["value_mean"], 2),
        "ecarts": liste(pipeline["value_sd"], 2),
        "centrage": "oui" if centred else "non",
        "explique": pct(max(audit["explained"]), 0),
    }


def _normalisation(preprocess: Facts, audit: Facts) -> tuple[list[float], list[float], str]:
    """Return mean and standard deviation of each channel, and whose they are."""
    if preprocess["statistics"] == "data":
        means, sds = (
            [round(v, 3) for v in audit[name]] for name in ("channel_mean", "channel_sd")
        )
        return means, sds, "celles du split d’entraînement"
    mean, sd = list(preprocess["mean"]), list(preprocess["std"])
    return mean, sd, "celles d’ImageNet" if (mean, sd) == IMAGENET else "choisies par nous"


def d8(facts: Facts) -> Words:
    """The augmentation, value by value, beside how much the images vary by themselves."""
    audit, pipeline, config = (facts[s] for s in ("explore_dataset", "verify_pipeline", "config"))
    augment, size = config["augment"], config["data"]["image_size"]
    padding, p = augment["crop_padding"], augment["flip_probability"]
    turn, drawn, flips = "RandomHorizontalFlip", f"p = {nombre(p)}", 2 if 0 < p < 1 else 1
    if augment["symmetries"]:
        turn, drawn, flips = "Symétries du carré", f"{SYMMETRIES} équiprobables", SYMMETRIES
    strengths = [augment[name] for name in ("brightness", "contrast", "saturation")]
    ranges = [intervalle((1 - strength, 1 + strength), 2, "") for strength in strengths]
    channels = zip(audit["channel_mean"], audit["channel_sd"], strict=True)
    spread = [sd / mean for mean, sd in channels]
    good = pipeline["repeatable"] and pipeline["reshuffled"]
    return {
        "taille": size,
        "images": "synthétiques" if audit["synthetic"] else "réelles",
        "padding": plural(padding, "pixel"),
        "decalage": share(padding, size, 0),
        "retournement": turn,
        "tirage": drawn,
        **dict(
            zip(("luminosite", "contraste", "saturation"), map(nombre, strengths), strict=True)
        ),
        "facteurs": ranges[0] if len(set(ranges)) == 1 else liste(ranges),
        "couleur": pct(max(strengths), 0),
        "dispersion": _percent_range(spread),
        "variation": "reste petit devant" if max(strengths) < min(spread) else "atteint",
        "cadrages": nombre(flips * (2 * padding + 1) ** 2),
        "tirages": "vérifiés" if good else "anormaux",
    }


def d11(facts: Facts) -> Words:
    """The exact shape of a batch, and whether it is what the loaders announce."""
    pipeline = facts["verify_pipeline"]
    last = pipeline["used"]["train"] % pipeline["batch_size"]
    return {
        "lot": shape(pipeline["batch_shape"]),
        "type": pipeline["batch_dtype"],
        "labels": shape(pipeline["labels_shape"]),
        "type_labels": pipeline["labels_dtype"],
        "etiquettes": f"{pipeline['label_min']} à {pipeline['label_max']}",
        "entree": shape(pipeline["input_shape"]),
        "coherence": "oui" if pipeline["coherent"] else "non",
        "lots": nombre(pipeline["batches"]["train"]),
        "reste": plural(last or pipeline["batch_size"], "image"),
    }


def m0(facts: Facts) -> Words:
    """What the baselines score, and the bar they set."""
    baselines = facts["compute_baselines"]
    sd = baselines["uniform_validation_sd"]
    beyond = abs(baselines["majority_validation"] - baselines["uniform"]) > 2 * sd
    return {
        "classe": baselines["majority_class"],
        "effectif": nombre(baselines["majority_count"]),
        "part": pct(baselines["majority_share"]),
        "majoritaire": pct(baselines["majority_validation"], 2),
        "majoritaire_test": pct(baselines["majority_test"], 2),
        "hasard": pct(baselines["uniform"], 2),
        "hasard_sd": pct(sd, 2),
        "ecart": "dépasse" if beyond else "tient dans",
        "couleur": pct(baselines["color_validation"], 2),
        "vignette": pct(baselines["thumbnail_validation"], 2),
        "pixels": baselines["pixels"],
        "barre": pct(baselines["best_linear"]),
    }


def m1(facts: Facts) -> Words:
    """The network, its size, and what its two hyperparameters cost."""
    net = facts["test_model"]
    blocks, size, variants = net["blocks_per_stage"], net["input_shape"][1], net["variants"]
    fields = [variant["receptive_field"] for variant in variants]
    small, large = variants[0], variants[-1]
    return {
        "entree": ", ".join(map(str, net["input_shape"])),
        **{f"canaux_{rank}": width for rank, width in enumerate(net["channels"], start=1)},
        "canaux": liste(net["channels"]),
        "b": blocks,
        "d": net["dilation_stage3"],
        "blocs": plural(blocks, "bloc"),
        "autres_blocs": f", puis {plural(blocks - 1, 'bloc')} de même forme" if blocks > 1 else "",
        "cote": size,
        "cote_1": size // 2,
        "cote_2": size // 4,
        "classes": net["output_shape"][0],
        "parametres": nombre(net["parameters"]),
        "tenseurs": net["tensors"],
        "attendus": nombre(net["parameters_by_formula"]),
        "champs": f"{min(fields)} à {max(fields)} pixels",
        "parametres_grille": f"{nombre(small['parameters'])} à {nombre(large['parameters'])}",
        "calcul": nombre(large["gflop"] / small["gflop"], 2),
    }


def m2(facts: Facts) -> Words:
    """Whether the initial loss is coherent by a criterion set beforehand; where gradients go."""
    initial = facts["check_initial_loss"]
    tensors, faint = initial["tensors"], initial["faint"]
    convolutions = (tensors - 2) // 4  # each with a weight, a bias, and BatchNorm's two
    biases = len(faint) == convolutions and all(name.endswith(".bias") for name in faint)
    return {
        "attendue": nombre(initial["theory"], 4),
        "observee": nombre(initial["loss"], 4),
        "classes": initial["classes"],
        "graines": initial["n_seeds"],
        "moyenne": nombre(initial["mean"], 3),
        "ecart_type": nombre(initial["sd"], 3),
        "distance": nombre(abs(initial["loss"] - initial["mean"]) / initial["sd"], 1),
        "limite": nombre(initial["limit_bias"], 1),
        "limite_sd": nombre(initial["limit_sd"], 0),
        "verdict": "cohérente" if initial["coherent"] else "incohérente",
        "lot": shape(initial["batch_shape"]),
        "logits": shape(initial["logits_shape"]),
        "norme": nombre(initial["grad_norm"], 3),
        "tenseurs": tensors,
        "atteints": initial["reached"],
        "gradient": ("biais" if biases else "faible") if faint else "partout",
        "n_faibles": len(faint),
    }


def m3(facts: Facts) -> Words:
    """Whether the network learnt the sample by heart, and whether the controls say so too."""
    run, shuffled = facts["overfit_small"], facts["shuffled_labels"]
    sane = facts["check_training"]
    passed = shuffled["informative"] and sane["uses_images"] and sane["repeatable"]
    return {
        "taille": run["size"],
        "b": run["blocks_per_stage"],
        "d": run["dilation_stage3"],
        "lr": nombre(run["lr"]),
        "weight_decay": nombre(run["weight_decay"]),
        "epoques": run["epochs"],
        "maximum": run["max_epochs"],
        "cible": nombre(run["target_loss"]),
        "debut": nombre(run["first_loss"], 3),
        "fin": nombre(run["last_loss"], 4),
        "reconnues": pct(run["last_accuracy"], 0),
        "verdict": "démontré" if run["reached"] else "non démontré",
        "controles": "réussis" if passed else "à revoir",
        "melangees": pct(shuffled["shuffled_known"], 0),
        "vraies_validation": pct(shuffled["true_accuracy"]),
        "melangees_validation": pct(shuffled["shuffled_accuracy"]),
        "repetition": "identique" if sane["repeatable"] else "différent",
        "noir": pct(sane["blind_accuracy"]),
        "images": pct(sane["seen_accuracy"]),
    }


def m4(facts: Facts) -> Words:
    """Which learning rate and weight decay to start from, and how sure that is."""
    finder, config, picked = facts["lr_finder"], facts["config"], facts.get("chosen_lr")
    found = finder["choice"] if finder["reliable"] else config["train"]["fallback_lr"]
    how = "médiane" if finder["reliable"] else "repli"
    faults = [f"graine {seed} : {french.FAULTS[why]}" for seed, why in finder["faults"].items()]
    words = {
        "de": power(config["lr_finder"]["min_lr"]),
        "a": power(config["lr_finder"]["max_lr"]),
        "iterations": nombre(finder["iterations"]),
        "lot": nombre(finder["batch_size"]),
        "graines": plural(finder["n_seeds"], "graine"),
        "b": config["model"]["blocks_per_stage"],
        "d": config["model"]["dilation_stage3"],
        "choix": "main" if picked else how,
        "lr": power(picked["lr"] if picked else found),
        "regle": french.RULES.get(picked["rule"], "médiane") if picked else "médiane",
        "weight_decay": power(finder["weight_decay"]),
        "weight_decays": rates(config["grid"]["weight_decay"]),
        "fautes": liste(faults) if faults else "",
    }
    return words | _readings(finder)


def _readings(finder: Facts) -> Words:
    """Say where the loss falls, and how far the readings of the sweep lie apart."""
    if not finder["reliable"]:
        none = "aucune, la perte d’au moins une graine ne descend pas nettement"
        return {"fenetre": none, "lectures": "impossibles"}
    return {
        "fenetre": f"{power(finder['window_low'])} → {power(finder['window_high'])}",
        "lectures": "possibles",
        "plus_bas": power(finder["lowest"], 1),
        "plus_haut": power(finder["highest"], 1),
        "facteur": nombre(finder["highest"] / finder["lowest"], 1),
    }


def _percent_range(fractions: list[float]) -> str:
    """Write the smallest and the largest of some fractions: ``45 à 52 %``."""
    return f"{nombre(100 * min(fractions), 0)} à {pct(max(fractions), 0)}"


# The list at the head of a section holds values of the question under it.
s1_1, s1_2, s1_3, s1_4 = d1, d2, d6, d8
d9 = d10 = d8
s2_1, s2_2, s2_3, s3, s4 = m0, m1, m2, m3, m4
