"""Tables of a recipe: its scores per seed, and what each of its steps brings."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import pandas as pd

from eurosat_lib.french import duree, intervalle, nombre, pct, signe
from eurosat_lib.recipe import Ablation, AblationRow, RecipeRun, Recipes
from eurosat_lib.tables.frame import frame

NONE = "—"


def recipe_scores(found: Recipes | None) -> pd.DataFrame | None:
    """List validation and test accuracy of each training of a recipe; cells are text."""
    if found is None:
        return None
    rows = [_scores(run, f"standard, graine {run.fit.seed}") for run in found.runs]
    if len(found.runs) > 1:
        rows.append(_mean(found))
    if found.spatial:
        rows.append(_scores(found.spatial, f"spatial, graine {found.spatial.fit.seed}"))
    columns = (
        "Découpage",
        "Validation, recette",
        "Test, une vue",
        "Test, recette",
        f"Intervalle à {pct(found.level, 0)}",
    )
    note = f"n = {nombre(found.first.plain.n)} images de test dans le découpage standard"
    if found.spatial:
        note += f", {nombre(found.spatial.plain.n)} dans le spatial"
    return frame((*columns, "Calcul"), rows, note=f"{note}. Calcul : entraînement seul.")


def _scores(run: RecipeRun, name: str) -> tuple[str, ...]:
    return (
        name,
        pct(run.val_accuracy, 2),
        pct(run.plain.accuracy, 2),
        pct(run.scored.accuracy, 2),
        intervalle(run.scored.interval, 2),
        duree(run.fit.seconds),
    )


def _mean(found: Recipes) -> tuple[str, ...]:
    """Sum the seeds up; two of them have no interval worth the name."""
    columns = (
        [run.val_accuracy for run in found.runs],
        [run.plain.accuracy for run in found.runs],
        [run.scored.accuracy for run in found.runs],
    )
    sums = [found.summary(values) for values in columns]
    cells = [f"{pct(s['mean'], 2)} ± {nombre(100 * s['sd'], 2)}" for s in sums]
    bounds = (sums[-1]["low"], sums[-1]["high"])
    shown = intervalle(bounds, 2) if len(found.runs) > 2 else NONE
    seconds = statistics.fmean(run.fit.seconds for run in found.runs)
    label = f"moyenne ± écart-type (n = {len(found.runs)})"
    return label, *cells, shown, duree(seconds)


def recipe_steps(found: Ablation | None, whole: Recipes | None = None) -> pd.DataFrame | None:
    """List the validation accuracy after each step, and its gain over the one before.

    Args:
        found: the short trainings.
        whole: the recipe at its full length, for the last rows.
    """
    if found is None:
        return None
    several = len(found.rows[0].fits) > 1
    rows = [
        _step(row, gain, first=rank == 0, several=several)
        for rank, (row, gain) in enumerate(zip(found.rows, found.gains, strict=True))
    ]
    rows += [(name, pct(mean, 2), *[NONE] * (2 + several)) for name, mean in _whole(whole)]
    spread = ("Écart-type",) if several else ()
    columns = ("Étape", "Validation", *spread, "Gain", f"Intervalle à {pct(found.level, 0)}")
    return frame(columns, rows, note=_note(found))


def _step(
    row: AblationRow, gain: tuple[float, float, float] | None, first: bool, several: bool
) -> tuple[str, ...]:
    name = row.name if first else f"+ {row.name}"
    if row.diverged:
        return (name, "divergé", *[NONE] * (2 + several))
    spread = (pct(statistics.stdev(row.scores), 2),) if several else ()
    bounds = intervalle([100 * x for x in gain[1:]], 2, "points") if gain else NONE
    return name, pct(row.mean, 2), *spread, signe(gain[0], 2) if gain else NONE, bounds


def _whole(found: Recipes | None) -> Iterator[tuple[str, float]]:
    """Name the recipe at its full length, with one view of each image, then with all of its."""
    if found is None:
        return
    fit = found.first.fit
    name = f"recette entière, {len(fit.epochs)} époques sur {nombre(fit.train_images)} images"
    yield name, statistics.fmean(run.fit.val_accuracy for run in found.runs)
    if found.first.averaged:
        views = found.settings["views"]
        yield f"+ moyenne des {views} vues", statistics.fmean(r.val_accuracy for r in found.runs)


def side_of(found: Ablation) -> int:
    """Return the side of the images that the rows are judged on, in pixels; 0 without an epoch."""
    fits = [fit for row in found.rows for fit in row.fits]
    return max((epoch.side for fit in fits for epoch in fit.epochs), default=0)


def _note(found: Ablation) -> str:
    count = len(found.rows[0].fits)
    seeds = f"{nombre(count)} graine{'s' if count > 1 else ''}"
    note = (
        f"Étapes : {nombre(found.epochs)} époques sur {nombre(found.train_images)} images de "
        f"{side_of(found)} pixels de côté, {seeds} chacune, "
        "dernière époque, une vue. Le gain d’une étape dépend de celles qui la précèdent"
    )
    if count == 1:
        note += " ; son intervalle dit l’aléa des images, non celui d’un autre entraînement"
    return f"{note}."
