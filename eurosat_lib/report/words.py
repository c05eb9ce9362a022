"""From facts to words to prose: what an answer says, and how it is put into ``reports/answers``.

One function per answer (``d4`` here, ``m8`` in `words_training`, ``m9`` in `words_results`) takes
the facts of the stages. It returns facts as they are written (`write`), under their own names,
and verdicts (``"gain"``). The sentences are in ``reports/answers/<name>.md``. Here are sections 0
to 4: data, network, LR finder.
"""

import re
import shlex
import traceback
from collections import ChainMap
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from eurosat_lib import french
from eurosat_lib.errors import UserError, did_you_mean, one_line
from eurosat_lib.french import intervalle, liste, magnitude, nombre, p_value, pct, plural, power
from eurosat_lib.report.title import NAMELESS
from eurosat_lib.sources import HUB

Facts = Mapping[str, Any]
Words = dict[str, Any]

ANSWERS = Path("reports", "answers")
FAULTS = (UserError, LookupError, ArithmeticError, AttributeError, TypeError, ValueError)
# Convolution, BatchNorm and ReLU follow each other: a convolution's place is a multiple of three.
CONVOLUTION_BIAS = re.compile(r"stages\.\d\.([0369]|1[25])\.bias")
IMAGENET = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]  # mean and deviation per channel
MODERATE = 2.0  # largest class over smallest, below which the difference is called so
SIGNS = re.compile(r"[<>&$\\`*_\[\]{}#~^|]")  # that may mean something to Markdown, TeX or HTML


# How answers write a number that is no mere count, by the name of its fact; of a fraction, the
# last word of the name will do.
FORMS = {
    power: "lr weight_decay min_lr max_lr choice window_low window_high",
    partial(power, digits=1): "lowest highest",
    nombre: "values_blocks_per_stage values_dilation_stage3 target_loss limit_bias limit_sd "
    "brightness contrast saturation smoothing",
    partial(nombre, digits=2): "imbalance value_min value_max temperature",
    partial(nombre, digits=3): "theory loss mean sd grad_norm",
    partial(pct, digits=0): "last_accuracy shuffled_known shares_train "
    "shares_validation shares_test",
    p_value: "p_value",
    str: "seed",
    pct: "majority_share true_accuracy shuffled_accuracy blind_accuracy seen_accuracy "
    "first_val_accuracy last_val_accuracy last_train_accuracy worst_f1 best_f1 stable recall",
    partial(
        pct, digits=2
    ): "best_linear majority_validation majority_test uniform score accuracy accuracy_mean "
    "val_accuracy_mean macro_f1 ece_before ece_after",
    magnitude: "largest_drop",
    partial(magnitude, digits=2): "accuracy_sd",
    partial(plural, word="époque"): "epochs",
    partial(plural, word="graine"): "n_seeds count",
    partial(plural, word="pixel"): "crop_padding",
}
WRITERS = {name: form for form, names in FORMS.items() for name in names.split()}


def write(found: Facts, within: str = "") -> Words:
    """Write facts under their own names: texts, counts, shapes, numbers and lists of ``FORMS``.

    A boolean stays, to choose a sentence; ``low`` and ``high`` are written as ``intervalle``; what
    is in a fact has its name before its own (``accuracy_mean``).
    """
    words: Words = {}
    if found.get("low") is not None and "high" in found:
        words[f"{within}intervalle"] = intervalle((found["low"], found["high"]), 2)
    for key, value in found.items():
        name, form = within + key, WRITERS.get(within + key) or WRITERS.get(key)
        if isinstance(value, float):
            form = form or WRITERS.get(key.rpartition("_")[2])
        if isinstance(value, str | bool):
            words[name] = value
        elif isinstance(value, dict):
            words |= write(value, f"{name}_")
        elif isinstance(value, int) or (form and isinstance(value, float)):
            words[name] = (form or nombre)(value)
        elif isinstance(value, list) and form:
            words[name] = f"{{{' ; '.join(map(form, value))}}}"
        elif isinstance(value, list) and all(isinstance(item, int) for item in value):
            words[name] = str(tuple(value))
    return words


def commands(config: Facts, synthetic: bool = False, given: Any = None) -> Words:
    """Write a run's options and variables of make, with what it was given, and its places."""
    name, data = config["paths"]["name"], "synthetic" if synthetic else ""
    folder = f"artifacts/{name}/" if name else "artifacts/"
    options = {"profile": config["profile"], "data": data, "name": name}
    told = [(key, shlex.quote(value)) for key, value in options.items() if value]
    params = f' PARAMS="-f {folder}params.yaml"' if given else ""
    return {
        "options": "".join(f" --{key} {value}" for key, value in told),
        "make": "".join(f" {key.upper()}={value}" for key, value in told) + params,
        "dossier": folder,
        "fichier": config["evaluate"]["checkpoint"] or f"{folder}best.ckpt",
    }


def difference(low: float, high: float) -> str:
    """Judge the interval of a difference: ``plus bas``, ``plus haut`` or ``égalité``."""
    return "plus haut" if low > 0 else "plus bas" if high < 0 else "égalité"


def literal(text: str) -> str:
    """Write a text for Markdown so that it is shown sign by sign, whatever it holds."""
    shown = SIGNS.sub(lambda sign: f"&#{ord(sign[0])};", text)
    return text if shown == text else f'<span class="literal">{shown}</span>'


def s0(facts: Facts) -> Words:
    """Who, what, where; a blank of the template where the configuration says nothing."""
    config, own = facts["config"], facts["config"]["identity"]
    named = own["author"] not in ("", NAMELESS)
    words = write(facts["environment"]) | {
        "cuda": facts["environment"]["cuda"] or "aucun",
        "etudiant": literal(own["author"]) if named else "_Nom, Prénom_",
        "projet": literal(own["title"]),
        "depot": f"<{facts['repository']}>" if facts["repository"] else "_URL publique_",
    }
    return words | commands(config, facts["explore_dataset"]["synthetic"], facts["given"])


def d1(facts: Facts) -> Words:
    """Which data set, the format of its images, and what the loaders say of them."""
    audit = facts["explore_dataset"]
    link = f"<https://huggingface.co/datasets/{HUB}>, lu depuis `{audit['source_location']}`"
    return write(audit | facts["verify_pipeline"]) | {
        "num_classes": len(audit["classes"]),
        "source": "aucune, images dessinées par programme" if audit["synthetic"] else link,
    }


def d2(facts: Facts) -> Words:
    """Size of each split, how uneven its classes are, and how many images are used."""
    audit, used = facts["explore_dataset"], facts["verify_pipeline"]["used"]
    limit = facts["config"]["grid"]["train_limit"]
    whole = all(used[split] == audit[f"n_{split}"] for split in used)
    parts = [f"{nombre(used[split])} ({name})" for split, name in french.SPLITS.items()]
    words = {"utilisees": "la totalité" if whole else f"{liste(parts)}, tirées au hasard"}
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
        "voisines": made in ("publié", "autre") and overlaps["across"] > 0,
    }


def _balance(p: float) -> str:
    """Judge the chi-square test of split against class: too even, even or too uneven for luck."""
    return "stratifiée" if p > 0.95 else "hasard" if p >= 0.05 else "biais"


def d4(facts: Facts) -> Words:
    """How far the most frequent class is from the rarest, and what that means."""
    audit = facts["explore_dataset"]
    return write(audit) | {"modere": audit["imbalance"] < MODERATE}


def d5(facts: Facts) -> Words:
    """What the audit of all images found, one count per finding."""
    audit = facts["explore_dataset"]
    counts = dict(zip(audit["classes"], audit["faint_by_class"], strict=True))
    told = {f"*{name}*": counts[name] for name in audit["faint_classes"]}
    dont = ", dont " + liste(f"{nombre(n)} de {name}" for name, n in told.items())
    if sum(told.values()) == audit["faint"]:
        dont = ", toutes de " + " ou de ".join(f"{name} ({nombre(n)})" for name, n in told.items())
    return write(audit | facts["find_overlaps"] | facts["verify_pipeline"]) | {
        "dont": dont if told else "",
        "a_nettoyer": any(audit[fault] for fault in ("black", "flat", "duplicates_across")),
    }


def d6(facts: Facts) -> Words:
    """The preprocessing, value by value, and what the network receives."""
    audit, own = facts["explore_dataset"], facts["config"]["preprocess"]
    side, size = audit["image_shape"][1], facts["config"]["data"]["image_size"]
    mean, sd, change = own["mean"], own["std"], "les vignettes l’ont déjà, rien ne change"
    if size != side:
        change = f"nous passons de {side} à {size} pixels de côté, "
        fewer = f"pour {nombre(round((side / size) ** 2, 1))} fois moins de calcul"
        change += (
            f"{fewer}, au prix de quelques détails" if size < side else "sans gagner de détails"
        )
    whose = "fixées d’avance ; aucune de nos images n’y a servi"
    if [mean, sd] == IMAGENET:
        whose = (
            "celles d’ImageNet, usuelles pour des images RGB ; aucune de nos images n’y a servi"
        )
    if own["statistics"] == "data":
        whose = "calculées sur le seul split d’entraînement"
        mean, sd = ([round(v, 4) for v in audit[k]] for k in ("channel_mean", "channel_sd"))
    return write(facts["verify_pipeline"]) | {
        "taille": size,
        "origine": side,
        "change": change,
        "mean": str(mean),
        "std": str(sd),
        "constantes": whose,
    }


def d8(facts: Facts) -> Words:
    """The augmentation, value by value, and whether it was found right."""
    audit, pipeline, config = (facts[s] for s in ("explore_dataset", "verify_pipeline", "config"))
    augment = config["augment"]
    turn, drawn = "RandomHorizontalFlip", f"p = {nombre(augment['flip_probability'])}"
    if augment["symmetries"]:
        turn, drawn = "Symétries du carré", "8 équiprobables"
    colour = max(augment[name] for name in ("brightness", "contrast", "saturation"))
    channels = zip(audit["channel_sd"], audit["channel_mean"], strict=True)
    spread = min(sd / mean for sd, mean in channels)
    return write(augment | pipeline) | {
        "synthetic": audit["synthetic"],
        "taille": config["data"]["image_size"],
        "retournement": turn,
        "tirage": drawn,
        "couleur": pct(colour, 0),
        "dispersion": pct(spread, 0),
        "variation": "reste sous" if colour < spread else "dépasse",
        "oui": "Oui" if colour < spread else "Pas à coup sûr",
    }


def m1(facts: Facts) -> Words:
    """The network, its size, and what its two hyperparameters change."""
    net = facts["test_model"]
    size, fields = net["input_shape"][1], [one["receptive_field"] for one in net["variants"]]
    least, most = min(fields), max(fields)
    return {
        **write(net),
        **{f"canaux_{rank}": width for rank, width in enumerate(net["channels"], start=1)},
        "cote": size,
        "cote_1": size // 2,
        "cote_2": size // 4,
        "classes": net["output_shape"][0],
        "champs": f"va de {least} à {most} pixels selon le réseau"
        if least < most
        else f"est de {most} pixels",
        "repetitions": net["blocks_per_stage"] - 1,
    }


def m2(facts: Facts) -> Words:
    """Whether the initial loss is as expected, and which parameters the gradient passes by."""
    found = facts["check_initial_loss"]
    faint, known = found["faint"], all(map(CONVOLUTION_BIAS.fullmatch, found["faint"]))
    gradient = "partout" if not faint else "biais" if known else "faible"
    return write(found) | {
        "gradient": gradient,
        "faibles": plural(len(faint), "tenseur"),
        "distance": nombre(abs(found["loss"] - found["mean"]) / (found["sd"] or 1.0), 1),
    }


def m3(facts: Facts) -> Words:
    """Whether the network learnt the sample by heart, and whether the controls say so too."""
    run, shuffled, sane = map(facts.get, ("overfit_small", "shuffled_labels", "check_training"))
    passed = shuffled["informative"] and sane["uses_images"] and sane["repeatable"]
    return {
        **write(shuffled | sane | run),
        "steps": facts["config"]["controls"]["steps"],
        "pairs": plural(facts["config"]["controls"]["pairs"], "tirage"),
        "controles": "réussies" if passed else "à revoir",
        "repetition": "redonne le même" if sane["repeatable"] else "donne un autre",
    }


def lag(finder: Facts) -> Words:
    """Write how late the smoothed loss of a sweep is, in steps, and as a factor on the rate."""
    late = finder["smoothing"] / (1 - finder["smoothing"])
    factor = (finder["max_lr"] / finder["min_lr"]) ** (late / (finder["iterations"] - 1))
    return {"retard": nombre(round(late)), "decalage": nombre(factor, 1)}


def m4(facts: Facts) -> Words:
    """Which learning rate and weight decay to start from, and how sure that is."""
    finder, config, picked = facts["lr_finder"], facts["config"], facts.get("chosen_lr")
    if picked:
        rule = french.RULES.get(picked["rule"], "médiane")
        lr, how = picked["lr"], f"lu à la main sur la courbe (règle : {rule})"
    elif finder["reliable"]:
        count = 3 * finder["n_seeds"]
        lr, how = finder["choice"], f"médiane de {count} lectures (trois règles par graine)"
    else:
        why = liste(sorted({french.FAULTS[fault] for fault in finder["faults"].values()}))
        how = f"valeur de repli, car le balayage ne permet pas de choisir ({why})"
        lr = config["train"]["fallback_lr"]
    return {
        **write(config["lr_finder"] | config["model"] | finder),
        **lag(finder),
        "lr": power(lr),
        "comment": how,
        "weight_decays": liste(power(value, 1) for value in config["grid"]["weight_decay"]),
    }


# The list at the head of a section holds values of the question under it.
s1_1, s1_2, s1_3, s1_4 = d1, d2, d6, d8
d9 = d10 = d8
s2_2, s3, s4 = m1, m3, m4


def words_of(name: str, facts: Facts) -> Words:
    """Return the words of one answer; without a function, those of its stages.

    Raises:
        UserError: the facts lack something that the answer needs.
    """
    from eurosat_lib.report import words_results, words_training  # which write by these forms

    functions = globals() | vars(words_training) | vars(words_results)
    key = name.lower().replace(".", "_")
    stages = [found for found in facts.values() if isinstance(found, dict)]
    try:
        return functions[key](facts) if key in functions else dict(ChainMap(*map(write, stages)))
    except FAULTS as error:
        raise UserError(f"answer {name}: missing or faulty facts ({one_line(error)})") from error


def render(name: str, facts: Facts) -> str:
    """Return an answer as Markdown, from the facts of each stage, under its name, and of its cell.

    Raises:
        UserError: names file, line and value of a missing answer, a fault, or a missing value.
    """
    return fill(name, words_of(name, facts))


def fill(name: str, words: Words) -> str:
    """Put words into the prose of an answer; see ``render``."""
    folder, file = answers_folder(), f"{ANSWERS.as_posix()}/{name}.md"
    if not (folder / f"{name}.md").is_file():
        hint = did_you_mean(name, (path.stem for path in folder.glob("*.md")))
        raise UserError(f"{file}: no such answer{hint}")
    try:
        prose = (folder / f"{name}.md").read_text(encoding="utf-8-sig")
        text = PROSE.from_string(prose).render(words).strip()
    except Exception as error:  # whatever an expression of the answer raises
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename in ("<template>", "<unknown>")]
        place = f", line {lines[-1]}" if lines else ""
        raise UserError(f"{file}{place}: {error}") from None
    if not text:
        raise UserError(f"{file}: the answer is empty")
    return f"{text}\n"


def _present(value: Any) -> Any:
    """Refuse a value that nobody wrote: a missing one, a float."""
    if value is None or isinstance(value, bool | float | list | dict):
        raise UserError(f"{value!r} is not a written value")
    return value


PROSE = jinja2.Environment(
    trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=_present
)


def answers_folder() -> Path:
    """Return ``reports/answers`` of the project: above the current folder, else the package's."""
    here = Path.cwd()
    for root in (here, *here.parents, Path(__file__).parents[2]):
        if (root / ANSWERS).is_dir():
            return root / ANSWERS
    raise UserError(f"{ANSWERS}: no such folder, from {here} upwards")
