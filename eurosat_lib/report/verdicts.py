"""What the numbers allow to say: each verdict a function of facts, its outcome a French word.

The answers choose their sentences by these words. *Non tranché* is said of an effect whose
interval holds 0, and only beside its direction and the number of pairs that go that way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eurosat_lib.french import THIN, nombre, plural, power
from eurosat_lib.report.words import points_and_interval
from eurosat_lib.stats import mean_interval

Facts = Mapping[str, Any]
LEARNT = 0.99  # training accuracy from which hardly an image is left to learn
RISEN = 1.1  # a final validation loss of so many times its minimum has risen
SHAKY = 0.02  # fall of the validation accuracy from one epoch to the next
FEWEST = 3  # pairs below which an interval says nothing


def underfitting(train: Facts) -> str:
    """Judge by the trend of the last epochs and the training accuracy.

    Returns:
        ``non``: hardly an image is left to learn; ``oui``: training loss and validation accuracy
        still improve; ``en partie``: one of the two does; ``plateau``: neither; ``trop court``:
        too few epochs for a trend.
    """
    trend = train["trend"]
    if train["last_train_accuracy"] >= LEARNT:
        return "non"
    if trend is None:
        return "trop court"
    rising, falling = trend["val_accuracy"]["low"] > 0, trend["train_loss"]["high"] < 0
    return ("plateau", "en partie", "oui")[rising + falling]


def overfitting(train: Facts) -> str:
    """Judge by the lead of training over validation, and by the rise of the validation loss.

    Returns:
        ``oui``: both; ``un début``: training leads; ``oscillation``: the loss rose alone; ``non``.
    """
    leads = train["last_train_accuracy"] > train["last_val_high"]
    risen = (
        train["lowest_val_loss_epoch"] < train["epochs"]
        and train["last_val_loss"] > RISEN * train["lowest_val_loss"]
    )
    if leads:
        return "oui" if risen else "un début"
    return "oscillation" if risen else "non"


def stability(train: Facts) -> str:
    """Judge by the largest fall: ``divergé``, ``agitée``, ``bonne`` or ``une époque``."""
    if train["diverged"]:
        return "divergé"
    if train["epochs"] < 2:
        return "une époque"
    return "agitée" if train["largest_drop"] > SHAKY else "bonne"


def against_expectation(effect: Facts, expected: int) -> str:
    """Set an effect beside what was expected of it.

    Args:
        effect: of a factor on a measure.
        expected: sign of the expected change; 0: none.

    Returns:
        ``conforme``, ``contraire``, ``non tranché`` (a change was expected and the interval holds
        0), or ``une valeur`` (nothing to compare).
    """
    if not effect["pairs"]:
        return "une valeur"
    if effect["sign"] == expected:
        return "conforme"
    return "contraire" if effect["sign"] else "non tranché"


def seen(effect: Facts, more: str, less: str, mark: bool = True) -> str:
    """Write what is observed: ``plus haut (+1,2 point [0,3 ; 2,1], 8 paires sur 8)``.

    Args:
        effect: of a factor on a measure.
        more: what the measure is when it grows, such as ``plus haut``.
        less: what it is when it shrinks.
        mark: say of an effect whose interval holds 0 that it is *non tranché*.
    """
    if not effect["pairs"]:
        return "non comparé (une seule valeur)"
    mean, pairs, wins = effect["mean"], effect["pairs"], effect["wins_high"]
    count, word = (wins, more) if mean > 0 else (pairs - wins, less)
    bounds = (effect["ci_low"], effect["ci_high"]) if effect["sign"] else (None, None)
    text = f"{word} ({points_and_interval(mean, *bounds)}, {plural(count, 'paire')} sur {pairs}"
    return f"{text}, non tranché)" if mark and not effect["sign"] else f"{text})"


def by_value(cases: Sequence[Facts], letter: str, more: str, less: str) -> str:
    """Write the effect of the learning rate on the score for each value of another factor."""
    told = [
        f"avec {letter} = {case['value']}, {seen(case['score'], more, less)}" for case in cases
    ]
    return f"{THIN}; ".join(told)


def interaction(cases: Sequence[Facts]) -> tuple[str, str]:
    """Tell whether the effect of the learning rate depends on another factor.

    The pairs of the first and of the last value differ in that factor alone, one by one: their
    differences have Student's interval.

    Returns:
        ``nette`` (the interval leaves 0 out), ``non tranchée`` or ``non mesurée``; and the
        written difference of the two effects, with its interval.
    """
    first, last = cases[0]["score"]["differences"], cases[-1]["score"]["differences"]
    if len(cases) < 2 or len(first) != len(last) or len(first) < FEWEST:
        return "non mesurée", ""
    changes = np.subtract(last, first)
    low, high = mean_interval(changes, 0.95)
    verdict = "nette" if low > 0 or high < 0 else "non tranchée"
    return verdict, points_and_interval(float(changes.mean()), low, high)


def rate_and_finder(lr: float, finder: Facts) -> str:
    """Set the final learning rate beside the finder's choice, in words.

    Returns:
        That it is the same, so many times smaller or larger, or that there was no choice.
    """
    choice = finder["choice"]
    if not choice:
        return "celui des recherches ; le LR finder n’a rien proposé (section 4)"
    ratio = max(lr / choice, choice / lr)
    if ratio < 1.1:
        return "celui que proposait le LR finder (Smith, 2017 ; section 4)"
    word = "plus petit" if lr < choice else "plus grand"
    times = f"{nombre(ratio, 1)} fois {word}"
    return f"{times} que le choix du LR finder (Smith, 2017), {power(choice)} (section 4)"


def rate_and_check(lr: float, check: Facts | None) -> str:
    """Tell whether a sweep of the network really trained supports its learning rate.

    Returns:
        ``même réseau`` (no sweep of its own), ``sans choix``, ``dedans`` (in the range of what
        the sweeps suggest, or within a quarter of it), or ``dehors``.
    """
    if check is None:
        return "même réseau"
    if not check["choice"]:
        return "sans choix"
    return "dedans" if check["lowest"] / 1.25 <= lr <= 1.25 * check["highest"] else "dehors"


def difference(low: float, high: float) -> str:
    """Judge the interval of a difference: ``plus bas``, ``plus haut`` or ``égalité``."""
    return "plus haut" if low > 0 else "plus bas" if high < 0 else "égalité"


def refinement(refined: Facts, grid: Facts | None) -> str:
    """Judge the refined grid beside the grid that it is made from.

    Returns:
        ``gain`` or ``perte`` of score, ``égalité``; ``incomparable``: other trials; ``seule``: it
        is not around a grid's best point.
    """
    if grid is None or refined["origin"] != "grid_search":
        return "seule"
    if any(refined[key] != grid[key] for key in ("epochs", "train_images")):
        return "incomparable"
    gap = refined["score"] - grid["score"]
    return "gain" if gap > 0 else "perte" if gap < 0 else "égalité"


def leads(finalists: Facts) -> str:
    """Judge the first finalist: ``seul``, ``se détache``, ``en partie`` or ``à égalité``."""
    others, beaten = len(finalists["finalists"]) - 1, finalists["n_beaten"]
    if not others:
        return "seul"
    return "se détache" if beaten == others else "en partie" if beaten else "à égalité"


def peak(trials: Sequence[Facts], factor: str) -> str:
    """Tell where the best mean score over a factor's values stands.

    Returns:
        ``du milieu``, ``le plus petit`` or ``le plus grand``.
    """
    values = sorted({trial[factor] for trial in trials})
    best = max(values, key=lambda value: mean_score(trials, factor, value))
    if best == values[0]:
        return "le plus petit"
    return "le plus grand" if best == values[-1] else "du milieu"


def mean_score(trials: Sequence[Facts], factor: str, value: float) -> float:
    """Mean the scores of the trials with one value of a factor."""
    return float(np.mean([trial["score"] for trial in trials if trial[factor] == value]))


def families(found: Facts) -> str:
    """Judge whether errors stay in the announced families.

    Returns:
        ``oui``: nine in ten do; ``en partie``: more than chance would keep there; ``non``: fewer;
        ``non tranché``.
    """
    if found["low"] > found["chance"]:
        return "oui" if found["share"] >= 0.9 else "en partie"
    return "non" if found["high"] < found["chance"] else "non tranché"


def calibration(errors: Facts) -> str:
    """Judge the confidence of a network.

    Returns:
        ``bonne``; ``trop haute`` or ``trop basse`` on average; ``à peine``: right on average,
        with an error of at most one and a half times a calibrated network's, that another cut
        into bins may not see; ``mal répartie``: right on average alone.
    """
    low, high = errors["excess_interval_before"]
    if not errors["miscalibrated_before"]:
        return "bonne"
    if low > 0 or high < 0:
        return "trop haute" if low > 0 else "trop basse"
    slight = errors["ece_before"] < 1.5 * errors["ece_calibrated_before"]
    return "à peine" if slight else "mal répartie"
