"""Tables of notebooks 04 to 06: learning-rate rules, grids, effects, comparisons."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.french import nombre, pct, signe
from eurosat_lib.grid import FACTORS, Comparisons, GridSearch, RefinedGrid, effect
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.tables import words
from eurosat_lib.tables.frame import frame


def lr_rules(r: LRFinder) -> pd.DataFrame:
    """List each rule's suggestion per seed and its median, then the choice; cells are text."""
    seeds = [f"Graine {sweep.seed}" for sweep in r.sweeps]
    rows = [
        (
            label,
            *(_rate(sweep.suggestions.get(rule)) for sweep in r.sweeps),
            _rate(r.by_rule.get(rule)),
        )
        for rule, label in words.RULES.items()
    ]
    rows.append(("choix (médiane de toutes)", *("" for _ in seeds), _rate(r.choice)))
    return frame(("Règle", *seeds, "Médiane"), rows)


def grid(grid: GridSearch) -> pd.DataFrame:
    """Rank the trials, the best first, under the columns of the course's template.

    The score (a fraction in [0, 1]) is the mean validation accuracy of the last two epochs; LR
    and WD are text. A diverged trial has no score.
    """
    best, by_epoch = grid.best, grid.best_by_epoch
    rows = []
    for fit in grid.ranking:
        hyper = fit.hyperparameters
        notes = [
            "retenue" if fit is best and fit.epochs else "",
            f"meilleure époque ({pct(fit.best.val_accuracy)})"
            if fit is by_epoch and fit.epochs
            else "",
            words.trial_note(fit),
        ]
        rows.append(
            (
                hyper.name,
                words.power(hyper.lr),
                words.power(hyper.weight_decay),
                hyper.dilation_stage3,
                hyper.blocks_per_stage,
                None if fit.diverged else fit.score,
                fit.last.val_loss if fit.epochs else None,
                ", ".join(filter(None, notes)),
            )
        )
    score = "Métrique val (exactitude)"
    columns = ("Run", "LR", "WD", "Hyp-A (dilatation)", "Hyp-B (blocs)", score)
    options = {"percent": [score], "digits": {"Perte val (nats)": 3}, "missing": "—"}
    return frame((*columns, "Perte val (nats)", "Notes"), rows, ranked=True, **options)


def refined(refined: RefinedGrid) -> pd.DataFrame:
    """Rank the trials of the refined grid, under the same columns as the grid."""
    return grid(refined)


def effects(grid: GridSearch) -> pd.DataFrame:
    """List what each factor changes between its extremes, over matched pairs of trials.

    Differences are in points of accuracy, as text; ``p`` is that of the two-sided sign test.
    """
    rows = []
    for factor in FACTORS:
        facts = effect(grid.trials, factor).facts()
        write = [words.factor_value(factor, facts[end]) for end in ("low", "high")]
        rows.append(
            (
                words.FACTORS[factor],
                f"{write[0]} → {write[1]}",
                facts["pairs"],
                signe(facts["mean"]),
                f"{_points(facts['min'])} à {_points(facts['max'])}",
                f"{facts['wins_high']} – {facts['wins_low']}",
                facts["p_value"],
            )
        )
    columns = ("Facteur", "De → à", "Paires", "Effet moyen", "Étendue (points)")
    return frame((*columns, "Hausses – baisses", "p"), rows, digits={"p": 3})


def comparison(comparisons: Comparisons) -> pd.DataFrame:
    """List the overlaid trials, factor by factor; accuracies are fractions in [0, 1].

    ``Écart train − val`` is text, in points, after the last epoch.
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


def _points(fraction: float) -> str:
    text = nombre(100 * fraction, 1)
    return f"+{text}" if fraction > 0 and text.strip("0,") else text
