"""The French words and numbers that tables and figures share."""

from __future__ import annotations

from eurosat_lib.french import FIXED, THIN, nombre, signe, split_exponent
from eurosat_lib.grid import Candidate
from eurosat_lib.lr_finder import LRFinder

SPLITS = {"train": "entraînement", "validation": "validation", "test": "test"}
FACTORS = {
    "lr": "pas d’apprentissage (LR)",
    "weight_decay": "weight decay",
    "dilation_stage3": "dilatation de l’étage 3",
    "blocks_per_stage": "blocs par étage",
}
SHORT = {"lr": "LR", "weight_decay": "WD", "dilation_stage3": "D", "blocks_per_stage": "B"}
ORIGINS = {
    "config": "configuration",
    "lr_finder": "LR finder",
    "chosen_lr": "choix à la main",
    "grid_search": "grille",
    "refined_grid_search": "grille resserrée",
    "compare_finalists": "finalistes",
    "fallback": "valeur de repli",
}
RULES = {
    "steepest": "plus forte pente",
    "valley": "vallée",
    "minimum/10": "minimum / 10",
}
MEASURES = {
    "speed": "vitesse (époque 1)",
    "score": "score",
    "gap": "écart train − val",
    "spread": "étendue",
}
FAULTS = {
    "short": "trop peu de pas avant la divergence",
    "flat": "la perte ne descend pas assez",
    "start": "une lecture tombe au début du balayage",
    "end": "la perte descend encore au dernier pas",
}
CORRUPTION_NAMES = {"blur": "flou", "noise": "bruit", "jpeg": "JPEG", "haze": "brume"}
PARTS = ("convolution", "BatchNorm", "ReLU")  # of a block, in order
SUPERSCRIPT = str.maketrans("0123456789\u2212", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def power(value: float, digits: int = 2) -> str:
    """Write a small or large number in powers of ten: ``5e-4`` → ``5 × 10⁻⁴``.

    Args:
        value: finite.
        digits: decimals of the mantissa, at most.
    """
    mantissa, exponent = split_exponent(value, digits)
    if exponent == 0 or mantissa == "0":
        return mantissa
    ten = "10" + str(exponent).replace("-", "\u2212").translate(SUPERSCRIPT)
    return ten if mantissa == "1" else f"{mantissa}{THIN}×{THIN}{ten}"


def typeset(text: str) -> str:
    """Put the no-break spaces of French before ``: ; ! ?`` and within « » of a plain text."""
    for mark, space in ((":", FIXED), (";", THIN), ("!", THIN), ("?", THIN), ("»", FIXED)):
        text = text.replace(f" {mark}", f"{space}{mark}")
    return text.replace("« ", f"«{FIXED}")


def factor_value(factor: str, value: float) -> str:
    """Write the value of a hyperparameter: a rate in powers of ten, a count as it is."""
    return power(value) if factor in ("lr", "weight_decay") else str(int(value))


def layer_place(name: str) -> tuple[str, str]:
    """Split a module's name into its place and its part of the block.

    ``stages.0.3`` → ``("étage 1, bloc 2", "convolution")``; a name may go on with ``.weight``.
    """
    pieces = name.split(".")
    if pieces[0] != "stages":
        return ("tête", {"pool": "moyenne globale", "head": "linéaire"}.get(pieces[0], name))
    stage, slot = int(pieces[1]) + 1, int(pieces[2])
    return f"étage {stage}, bloc {slot // 3 + 1}", PARTS[slot % 3]


def shape(values: tuple[int, ...]) -> str:
    """Write a shape as Python does: ``(3, 64, 64)``."""
    return "(" + ", ".join(map(str, values)) + ("," if len(values) == 1 else "") + ")"


def capital(text: str) -> str:
    """Write the first letter large and leave the others alone."""
    return text[0].upper() + text[1:]


def plural(count: int, word: str) -> str:
    """Write a count and a word, with an s from two on: ``1 époque``, ``3 époques``."""
    return f"{nombre(count)}{FIXED}{word}" + ("s" if abs(count) >= 2 else "")


def trial_note(point: Candidate) -> str:
    """Say that a training of a point diverged, and when; empty if none did."""
    fit = next((fit for fit in point.fits if fit.diverged), None)
    return f"diverge à l’époque {len(fit.epochs) + 1}" if fit else ""


def faults(r: LRFinder) -> str:
    """Say, seed by seed, why the sweeps support no suggestion; empty if all do."""
    found = [(s.seed, FAULTS[s.fault]) for s in r.sweeps if s.fault]
    return ", ".join(f"graine {seed} : {reason}" for seed, reason in found)


def interval(mean: float, bounds: tuple[float, float] | None) -> str:
    """Write a difference in points and its interval: ``+1,2 [−0,5 ; +2,9]``."""
    if bounds is None:
        return f"{points(mean)} (sans intervalle)"
    low, high = map(points, bounds)
    return f"{points(mean)} [{low}{THIN};{FIXED}{high}]"


def points(fraction: float) -> str:
    """Write a difference in points of accuracy, with its sign and without the unit."""
    return signe(fraction, unite="points").split(FIXED)[0]
