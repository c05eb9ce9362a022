"""Tables of notebook 07: scores, classes, confusions."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.evaluation import Evaluation, wilson
from eurosat_lib.french import intervalle, nombre, pct, signe
from eurosat_lib.tables.frame import frame

TOP = 10  # confusions listed


def metrics(evaluation: Evaluation) -> pd.DataFrame:
    """Lay test and validation scores side by side; cells are text."""
    e = evaluation
    level = pct(e.confidence_level, 0)
    accuracy = e.correct_validation / e.n_validation
    interval = wilson(e.correct_validation, e.n_validation, e.confidence_level)
    gap = intervalle([100 * bound for bound in e.gap_interval], 1, "points")
    rows = [
        ("Exactitude", pct(accuracy, 2), pct(e.accuracy, 2), signe(e.accuracy - accuracy, 2)),
        (
            f"Intervalle à {level}",
            intervalle(interval, 2),
            intervalle(e.interval, 2),
            gap,
        ),
        (
            "Perte (nats)",
            nombre(e.loss_validation, 4),
            nombre(e.loss, 4),
            signe(e.loss - e.loss_validation, 4, ""),
        ),
        ("Macro-F1", "—", pct(e.macro_f1, 2), "—"),
        ("Son intervalle (bootstrap)", "—", intervalle(e.macro_f1_interval, 2), "—"),
        ("Erreurs", nombre(e.n_validation - e.correct_validation), nombre(e.n - e.correct), "—"),
        ("Images", nombre(e.n_validation), nombre(e.n), "—"),
    ]
    return frame(("Mesure", "Validation", "Test", "Test − validation"), rows)


def per_class(evaluation: Evaluation) -> pd.DataFrame:
    """List precision, recall and F1 per class with their intervals; cells are text.

    ``Images`` and ``Erreurs`` count the test images of the class and those missed; a last row
    averages the scores.
    """
    scores, level = evaluation.per_class, evaluation.confidence_level
    kinds = ("precision", "recall", "f1")
    rows = [
        (
            s.name,
            *(_share(getattr(s, k), s.interval(k, level)) for k in kinds),
            nombre(s.support),
            nombre(s.support - s.hits),
        )
        for s in scores
    ]
    means = [sum(getattr(s, k) for s in scores) / len(scores) for k in kinds]
    cells = [*map(_share, means[:2]), _share(means[2], evaluation.macro_f1_interval)]
    errors = evaluation.n - evaluation.correct
    rows.append(("MOYENNE (macro), TOTAL", *cells, nombre(evaluation.n), nombre(errors)))
    columns = ("Classe", "Précision (%)", "Rappel (%)", "F1 (%)", "Images", "Erreurs")
    note = (
        f"Entre crochets, les intervalles à {pct(level, 0)} : Wilson ; bootstrap pour la moyenne."
    )
    return frame(columns, rows, note=note)


def _share(value: float, bounds: tuple[float, float] | None = None) -> str:
    """Write a share in per cent without the sign, and its interval: ``89,7 [87,0 ; 91,9]``."""
    text = nombre(100 * value, 1)
    return f"{text} {intervalle([100 * b for b in bounds], 1, '')}" if bounds else text


def confusions(evaluation: Evaluation) -> pd.DataFrame:
    """List the ten most frequent confusions; shares are fractions in [0, 1].

    Without any error, a single row of dashes.
    """
    sizes = {score.name: score.support for score in evaluation.per_class}
    errors = evaluation.n - evaluation.correct
    rows = [
        (truth, prediction, count, count / sizes[truth], count / errors)
        for truth, prediction, count in evaluation.confusions()[:TOP]
    ]
    shares = ["Part de la classe", "Part des erreurs"]
    rows = rows or [("—", "—", 0, 0.0, 0.0)]
    return frame(("Classe vraie", "Classe prédite", "Images", *shares), rows, percent=shares)
