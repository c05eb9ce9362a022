"""Tables of a recipe: its scores per seed, its settings, what each of its steps brings."""

from __future__ import annotations

import json
import statistics

from eurosat_lib.progress import duration
from eurosat_lib.recipe import Ablation, RecipeRun, Recipes
from eurosat_lib.report.results.english import DASH, interval, number, percent, points, table
from eurosat_lib.report.results.reading import Results
from eurosat_lib.report.runs.settings import flatten


def recipe_scores(r: Results) -> str:
    """List the scores of each training of a recipe, then their mean; empty without a recipe."""
    found = r.get(Recipes)
    if found is None:
        return ""
    rows = [_scores(f"standard, seed {run.fit.seed}", run) for run in found.runs]
    if len(found.runs) > 1:
        a = found.summary([run.scored.accuracy for run in found.runs])
        mean = (
            f"{percent(a['mean'])} ± {number(100 * a['sd'], 2)} {interval((a['low'], a['high']))}"
        )
        rows.append((f"**mean ± sd (n = {len(found.runs)})**", DASH, DASH, mean, DASH))
    if found.spatial:
        rows.append(_scores(f"spatial, seed {found.spatial.fit.seed}", found.spatial))
    heads = ("Split", "Validation", "Test, one view", "Test, recipe", "Training alone")
    return table(heads, rows)


def recipe_settings(r: Results) -> str:
    """List the settings of the recipe; empty without one."""
    found = r.get(Recipes)
    if found is None:
        return ""
    rows = [
        (f"`{key}`", f"`{json.dumps(value)}`") for key, value in flatten(found.settings).items()
    ]
    return table(("Setting", f"`{found.name}`"), rows)


def recipe_steps(r: Results) -> str:
    """List the validation accuracy after each step of a recipe; empty without an ablation."""
    found = r.get(Ablation)
    if found is None:
        return ""
    rows, before = [], None
    for row in found.rows:
        mean = statistics.fmean(row.scores)
        sd = number(100 * statistics.stdev(row.scores), 2) if len(row.scores) > 1 else DASH
        gain = DASH if before is None else points(mean - before)
        name = row.name if before is None else f"+ {row.name}"
        rows.append((name, percent(mean), sd, len(row.fits), gain))
        before = mean
    head = f"{found.epochs} epochs on {number(found.train_images)} images"
    return table((head, "Validation", "sd (points)", "Seeds", "Gain (points)"), rows)


def _scores(name: str, run: RecipeRun) -> tuple[str, ...]:
    scored = f"{percent(run.scored.accuracy)} {interval(run.scored.interval)}"
    plain = percent(run.plain.accuracy)
    return name, percent(run.fit.val_accuracy), plain, scored, duration(run.fit.seconds)
