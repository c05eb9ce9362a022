"""Tables of notebook 07: calibration, look-alikes, robustness."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.evaluation import Errors, Robustness, wilson
from eurosat_lib.evaluation.corruptions import CORRUPTIONS, VIEWS
from eurosat_lib.evaluation.robustness import Trial
from eurosat_lib.french import intervalle, nombre, pct, signe
from eurosat_lib.tables.frame import frame
from eurosat_lib.tables.words import CORRUPTION_NAMES

DASH = "—"
STRENGTHS = ("faible", "moyen", "fort")


def calibration(errors: Errors) -> pd.DataFrame:
    """Lay the calibration before and after temperature scaling side by side; cells are text."""
    pair, level = (errors.before, errors.after), pct(errors.level, 0)
    gain = nombre(errors.before.nll - errors.after.nll, 4)
    rows = [
        ("Température", "1", nombre(errors.temperature, 3)),
        ("Perte, NLL (nats)", *(nombre(r.nll, 4) for r in pair)),
        ("Sa baisse", DASH, f"{gain} {intervalle(errors.gain_interval, 4, '')}"),
        ("Score de Brier", *(nombre(r.brier, 4) for r in pair)),
        ("ECE (15 tranches)", *(pct(r.ece, 2) for r in pair)),
        (f"ECE d’un réseau calibré, quantile {level}", *(pct(r.ece_calibrated, 2) for r in pair)),
        ("Confiance moyenne − exactitude", *(signe(r.excess, 2) for r in pair)),
        (f"Son intervalle à {level}", *(_points(r.excess_interval) for r in pair)),
    ]
    found = errors.selection
    aurc = f"{nombre(found.aurc, 4)} ({nombre(found.aurc_ideal, 4)})"
    rows.append(("AURC, risque moyen (et idéal)", aurc, DASH))
    if found.auroc is not None:
        rows.append(("AUROC de la confiance, juste ou faux", nombre(found.auroc, 3), DASH))
    return frame(("Mesure sur le test", "Avant", "Après"), rows)


def look_alikes(errors: Errors) -> pd.DataFrame:
    """Count the errors within each family, against chance; cells are text."""
    found, total = errors.look_alikes, max(errors.look_alikes.errors, 1)
    rows = [
        (
            family.name,
            ", ".join(family.classes),
            nombre(family.errors),
            pct(family.errors / total),
            pct(family.expected / total),
        )
        for family in found.families
    ]
    share = f"{pct(found.within / total)} {intervalle(found.interval)}"
    rows.append(("ENSEMBLE", DASH, nombre(found.within), share, pct(found.chance)))
    columns = ("Famille", "Classes", "Erreurs internes", "Part des erreurs", "Part au hasard")
    return frame(columns, rows)


def robustness(found: Robustness) -> pd.DataFrame:
    """List accuracy and its paired change under views and corruptions; cells are text."""
    rows = [("telles quelles", DASH, _accuracy(found, found.correct), DASH)]
    turned = min(found.of("view")[1:], key=lambda trial: trial.correct)
    rows.append(("vue la moins favorable", VIEWS[int(turned.strength)], *_cells(found, turned)))
    rows.append(("moyenne des huit vues", DASH, *_cells(found, found.of("average")[0])))
    for kind, (_, _, form) in CORRUPTIONS.items():
        for name, trial in zip(STRENGTHS, found.of(kind), strict=True):
            strength = f"{name}, {form.format(nombre(trial.strength))}"
            rows.append((CORRUPTION_NAMES[kind], strength, *_cells(found, trial)))
    note = (
        f"Entre crochets, les intervalles à {pct(found.level, 0)} ; ceux du changement, appariés."
    )
    columns = ("Images", "Force", "Exactitude", "Changement (points)")
    return frame(columns, rows, note=note)


def _cells(found: Robustness, trial: Trial) -> tuple[str, str]:
    change, low, high = found.change(trial)
    bounds = intervalle([100 * low, 100 * high], 1, "")
    return _accuracy(found, trial.correct), f"{signe(100 * change, 1, '')} {bounds}"


def _accuracy(found: Robustness, correct: int) -> str:
    return f"{pct(correct / found.n)} {intervalle(wilson(correct, found.n, found.level))}"


def _points(bounds: tuple[float, float]) -> str:
    return intervalle([100 * bound for bound in bounds], 2, "points")
