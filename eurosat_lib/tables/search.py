"""Tables of notebooks 04 to 06: learning-rate rules, grids, effects, comparisons."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.french import nombre, pct, signe
from eurosat_lib.grid import (
    FACTORS,
    LEVEL,
    MEASURES,
    Comparisons,
    Effect,
    GridSearch,
    RefinedGrid,
    effect,
    twin_correlation,
)
from eurosat_lib.grid.effects import NEAR_REPLICATES
from eurosat_lib.grid.intervals import FEWEST
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.tables import words
from eurosat_lib.tables.frame import frame


def lr_rules(r: LRFinder) -> pd.DataFrame:
    """List each rule's suggestion per seed, its median and its spread, then the choice.

    Cells are text. The course's protocol has a row of its own if it was run.
    """
    seeds = [f"Graine {sweep.seed}" for sweep in r.sweeps]
    rows = [
        (
            label,
            *(_rate(sweep.suggestions.get(rule)) for sweep in r.sweeps),
            _rate(r.by_rule.get(rule)),
            _factor(r.spread.get(rule)),
        )
        for rule, label in words.RULES.items()
    ]
    blank = ("",) * len(seeds)
    if r.resets:
        found = r.resets
        rows.append(("protocole du cours", *blank, _rate(found.choice), _factor(found.window)))
    origin = "médiane de toutes" if r.reliable else "protocole du cours" if r.choice else "aucun"
    all_of_them = (min(r.suggestions), max(r.suggestions)) if r.reliable else r.window
    rows.append((f"choix ({origin})", *blank, _rate(r.choice), _factor(all_of_them)))
    note = words.faults(r)
    options = {"note": words.typeset(f"Sans suggestion : {note}.")} if note else {}
    return frame(("Règle", *seeds, "Médiane", "Étendue (facteur)"), rows, **options)


def grid(grid: GridSearch) -> pd.DataFrame:
    """Rank the points, the best first, under the columns of the course's template.

    The score (a fraction in [0, 1]) is the mean validation accuracy of the last two epochs, over
    all seeds; LR and WD are text. A diverged point has no score.
    """
    by_epoch, tied = grid.best_by_epoch.name, {point.name for point in grid.tied}
    rows = []
    for rank, point in enumerate(grid.ranking):
        hyper = point.hyperparameters
        sound = not point.diverged
        notes = [
            "en tête" if rank == 0 and sound else "≈" if point.name in tied else "",
            f"meilleure époque ({pct(point.best.val_accuracy)})" if point.name == by_epoch else "",
            words.trial_note(point),
        ]
        rows.append(
            (
                point.name,
                words.power(hyper.lr),
                words.power(hyper.weight_decay),
                hyper.dilation_stage3,
                hyper.blocks_per_stage,
                point.score if sound else None,
                100 * point.mean("spread") if sound else None,
                point.val_loss,
                ", ".join(filter(None, notes)),
            )
        )
    score, spread, loss = "Métrique val (exactitude)", "Étendue (points)", "Perte val (nats)"
    columns = ("Run", "LR", "WD", "Hyp-A (dilatation)", "Hyp-B (blocs)", score, spread, loss)
    options = {"percent": [score], "digits": {loss: 3, spread: 1}, "missing": "—"}
    return frame((*columns, "Notes"), rows, ranked=True, note=_ties(grid), **options)


def _ties(grid: GridSearch) -> str:
    """Say the rule by which points are called indistinguishable from the best."""
    found = grid.noise
    basis = {
        "seeds": f"les {found.seeds} graines de chaque point",
        "twins": "les runs qui ne diffèrent que par le weight decay",
        "images": "le seul tirage des images de validation",
    }[found.source]
    return words.typeset(
        f"≈ : indiscernable du meilleur, à moins de {nombre(100 * grid.margin, 1)} points de lui "
        f"(sélection de Gupta à {pct(0.95, 0)} ; écart-type d’un score, "
        f"estimé sur {basis} : {nombre(100 * found.sd, 1)}). Étendue : des deux dernières époques."
    )


def refined(refined: RefinedGrid) -> pd.DataFrame:
    """Rank the points of the refined grid, under the same columns as the grid."""
    return grid(refined)


def effects(grid: GridSearch) -> pd.DataFrame:
    """List what each factor changes between its extremes, measure by measure.

    Cells are text, in points; ``Unités`` counts what the interval takes as independent.
    """
    rows = []
    for factor in FACTORS:
        for measure in MEASURES:
            found = effect(grid.trials, factor, measure)
            write = [words.factor_value(factor, value) for value in (found.low, found.high)]
            rows.append(
                (
                    f"{words.FACTORS[factor]}, {' → '.join(dict.fromkeys(write))}",
                    words.MEASURES[measure],
                    words.interval(found.mean, found.interval) if found.pairs else "—",
                    f"{len(found.units)} ({len(found.pairs)})",
                    _verdict(found),
                )
            )
    columns = ("Facteur", "Mesure", "Effet (points)", "Unités (paires)", "Décision")
    return frame(columns, rows, note=_units(grid))


def _verdict(found: Effect) -> str:
    if not found.pairs:
        return "une seule valeur"
    return {0: "non décidé", 1: "hausse", -1: "baisse"}[found.sign]


def _units(grid: GridSearch) -> str:
    """Say what is taken as independent, and what the near-replicates show."""
    seeds = {fit.seed for fit in grid.trials}
    unit = "chaque graine" if len(seeds) >= FEWEST else "chaque bloc"
    text = words.typeset(
        f"Intervalles de Student, ensemble à {pct(0.95, 0)} ({pct(LEVEL)} chacun) ; unité "
        f"indépendante : {unit}. Les paires qui ne diffèrent que par le weight decay, mêmes "
        "graine et lots, sont moyennées en un bloc"
    )
    others = [effect(grid.trials, f) for f in FACTORS if f != NEAR_REPLICATES]
    r = twin_correlation(others)
    if r is None:
        return text + "."
    said = f" ; corrélation de leurs écarts : {nombre(r, 2)} (1 : elles se répètent)."
    return text + words.typeset(said)


def comparison(comparisons: Comparisons) -> pd.DataFrame:
    """List the overlaid trials, factor by factor; accuracies are fractions in [0, 1].

    ``Écart train − val`` is text, in points, mean of the last two epochs.
    """
    rows = [
        (
            words.FACTORS[c.factor],
            words.factor_value(c.factor, curve.value),
            curve.first_val_accuracy,
            curve.score,
            curve.last_val_loss,
            signe(curve.gap),
        )
        for c in comparisons.comparisons
        for curve in c.curves
    ]
    columns = ("Facteur", "Valeur", "Val, époque 1", "Val, deux dernières", "Perte val (nats)")
    percent = ["Val, époque 1", "Val, deux dernières"]
    return frame((*columns, "Écart train − val"), rows, percent=percent)


def _rate(value: float | None) -> str:
    return "—" if value is None else words.power(value, 1)


def _factor(ends: tuple[float, float] | None) -> str:
    return "—" if ends is None else nombre(ends[1] / ends[0], 1)
