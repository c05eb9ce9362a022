"""Tables of a recipe: its scores per seed, and what each of its steps brings."""

from __future__ import annotations

import statistics

import pandas as pd

from eurosat_lib.french import duree, intervalle, nombre, pct, signe
from eurosat_lib.recipe import Ablation, RecipeRun, Recipes
from eurosat_lib.tables.frame import frame

NONE = "—"


def recipe_scores(found: Recipes | None) -> pd.DataFrame | None:
    """List validation and test accuracy of each training of a recipe; cells are text."""
    if found is None:
        return None
    rows = [_scores(run, f"standard, graine {run.fit.seed}") for run in found.runs]
    if found.spatial:
        rows.append(_scores(found.spatial, f"spatial, graine {found.spatial.fit.seed}"))
    level = pct(found.level, 0)
    columns = (
        "Découpage",
        "Validation",
        "Test, une vue",
        "Test, recette",
        f"Intervalle à {level}",
    )
    note = f"n = {nombre(found.first.plain.n)} images de test dans le découpage standard"
    if found.spatial:
        note += f", {nombre(found.spatial.plain.n)} dans le spatial"
    return frame((*columns, "Calcul"), rows, note=f"{note}. Calcul : entraînement seul.")


def _scores(run: RecipeRun, name: str) -> tuple[str, ...]:
    return (
        name,
        pct(run.fit.val_accuracy, 2),
        pct(run.plain.accuracy, 2),
        pct(run.scored.accuracy, 2),
        intervalle(run.scored.interval, 2),
        duree(run.fit.seconds),
    )


def recipe_steps(found: Ablation | None) -> pd.DataFrame | None:
    """List the validation accuracy after each step, and its gain over the one before."""
    if found is None:
        return None
    several = len(found.rows[0].fits) > 1
    rows, before = [], None
    for row in found.rows:
        mean = statistics.fmean(row.scores)
        spread = (pct(statistics.stdev(row.scores), 2),) if several else ()
        gain = NONE if before is None else signe(mean - before, 2)
        start = row.name if before is None else f"+ {row.name}"
        rows.append((start, pct(mean, 2), *spread, gain))
        before = mean
    columns = ("Étape", "Validation", *(("Écart-type",) if several else ()), "Gain")
    count = len(found.rows[0].fits)
    note = (
        f"{nombre(found.epochs)} époques sur {nombre(found.train_images)} images, "
        f"{nombre(count)} graine{'s' if count > 1 else ''} par étape, dernière époque"
    )
    return frame(columns, rows, note=f"{note}.")
