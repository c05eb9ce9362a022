"""Table of notebook 03: theory beside measurement, as a ratio."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.checks.initial_loss import CONFIDENCE
from eurosat_lib.checks.sanity import LIMIT_BLIND
from eurosat_lib.checks.summary import LIMIT_SIGNAL, LIMIT_ZEROS, Check, Summary
from eurosat_lib.french import nombre, pct
from eurosat_lib.tables.frame import frame
from eurosat_lib.tables.words import plural

# name -> what is compared, where the theory comes from, decimals.
WORDS: dict[str, tuple[str, str, int]] = {
    "parameters": ("Paramètres", "formule", 0),
    "forward": ("Passe avant (GFLOP)", "formule", 4),
    "training": ("Avant et arrière (GFLOP)", "formule", 4),
    "field": ("Champ réceptif (px)", "formule", 0),
    "loss": ("Perte initiale moyenne (nats)", "ln K + s²/2", 3),
    "signal": ("Sortie d’une couche, la plus écartée (moyenne quadratique)", "initialisation", 3),
    "zeros": ("Zéros après ReLU, couche la plus écartée", "symétrie", 3),
    "independence": ("Logits modifiés par une autre image du lot", "aucun effet", 3),
    "repetition": ("Valeurs différentes entre deux entraînements", "au bit près", 0),
    "blind": ("Perte sans voir les images (nats)", "part des classes", 3),
    "shuffled": ("Exactitude après étiquettes mélangées", "hasard", 3),
}


def theory(summary: Summary) -> pd.DataFrame:
    """List every check: theory, measurement, their ratio, the verdict; all cells are text."""
    rows = [_row(check) for check in summary.checks]
    columns = ("Grandeur", "D’après", "Théorie", "Mesure", "Rapport", "Accord")
    return frame(columns, rows, note=_note())


def _note() -> str:
    return (
        "GFLOP pour une image. Accord : égalité pour les comptes ; test t à "
        f"{pct(CONFIDENCE, 0)} pour la perte initiale et les étiquettes mélangées ; à un facteur "
        f"{nombre(LIMIT_SIGNAL)} près pour la sortie d’une couche, à {nombre(LIMIT_ZEROS)} près "
        f"pour les zéros, à {pct(LIMIT_BLIND, 0)} près pour la perte sans images."
    )


def _row(check: Check) -> tuple[str, ...]:
    name, origin, digits = WORDS[check.name]
    if check.subject:
        name += f", {plural(check.subject[0], 'bloc')}"
        name += f", D = {check.subject[1]}" if len(check.subject) > 1 else ""
    values = [nombre(value, digits if value else 0) for value in (check.theory, check.measured)]
    ratio = "—" if check.ratio is None else nombre(check.ratio, 3)
    return name, origin, *values, ratio, "oui" if check.passed else "non"
