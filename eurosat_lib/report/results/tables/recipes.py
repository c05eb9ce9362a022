"""Tables of a recipe: its scores per seed, its settings, what each of its steps brings."""

from __future__ import annotations

import json
import statistics

from eurosat_lib.evaluation import wilson
from eurosat_lib.progress import duration
from eurosat_lib.recipe import Ablation, RecipeFit, RecipeRun, Recipes, RecipeTrial
from eurosat_lib.report.results.english import (
    DASH,
    interval,
    number,
    percent,
    points,
    share_of,
    table,
)
from eurosat_lib.report.results.reading import Results
from eurosat_lib.report.runs.settings import flatten
from eurosat_lib.tables.recipes import side_of


def recipe_scores(r: Results) -> str:
    """List the scores of each training of a recipe, then their mean; empty without a recipe."""
    found = r.get(Recipes)
    if found is None:
        return ""
    rows = [_scores(f"standard, seed {run.fit.seed}", run) for run in found.runs]
    if len(found.runs) > 1:
        a = found.summary([run.scored.accuracy for run in found.runs])
        mean = f"{percent(a['mean'])} ± {number(100 * a['sd'], 2)}"
        if len(found.runs) > 2:
            mean += f" {interval((a['low'], a['high']))}"
        rows.append((f"**mean ± sd (n = {len(found.runs)})**", DASH, DASH, mean, DASH))
    if found.spatial:
        rows.append(_scores(f"spatial, seed {found.spatial.fit.seed}", found.spatial))
    heads = ("Split", "Validation, recipe", "Test, one view", "Test, recipe", "Training alone")
    return table(heads, rows)


def recipe_trial(r: Results) -> str:
    """List the trainings of a recipe that was judged on validation alone; empty without any.

    Empty, too, if the same recipe was then tested: its own tables say more.
    """
    found, tested = r.get(RecipeTrial), r.get(Recipes)
    if found is None or (tested and tested.settings == found.settings):
        return ""
    rows = [
        (str(fit.seed), len(fit.epochs), _validated(fit, found.level), fit.diverged or DASH)
        for fit in found.fits
    ]
    return table((f"`{found.name}`, seed", "Epochs", "Validation, one view", "Diverged"), rows)


def _validated(fit: RecipeFit, level: float) -> str:
    correct, n = fit.correct, fit.validation_images
    return share_of(correct, n, wilson(correct, n, level))


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
    """List the validation accuracy after each step of a recipe; empty without an ablation.

    The last rows are the recipe at its full length, where it was trained.
    """
    found, whole = r.get(Ablation), r.get(Recipes)
    if found is None or (whole and whole.name != found.name):
        return ""
    rows = []
    for rank, (row, gain) in enumerate(zip(found.rows, found.gains, strict=True)):
        sd = number(100 * statistics.stdev(row.scores), 2) if len(row.scores) > 1 else DASH
        shown = points(gain[0], gain[1:]) if gain else DASH
        score = "diverged" if row.diverged else percent(row.mean)
        rows.append((f"+ {row.name}" if rank else row.name, score, sd, len(row.fits), shown))
    rows += _whole(whole) if whole else []
    images = f"{number(found.train_images)} images of {side_of(found)} pixels"
    head = f"{found.epochs} epochs on {images}, one view"
    return table((head, "Validation", "sd (points)", "Seeds", "Gain (points)"), rows)


def _whole(found: Recipes) -> list[tuple[object, ...]]:
    fit, count = found.first.fit, len(found.runs)
    plain = statistics.fmean(run.fit.val_accuracy for run in found.runs)
    name = f"whole recipe: {len(fit.epochs)} epochs on {number(fit.train_images)} images"
    rows = [(name, percent(plain), DASH, count, DASH)]
    if found.first.averaged:
        mean = statistics.fmean(run.val_accuracy for run in found.runs)
        views = f"+ mean of {found.settings['views']} views"
        rows.append((views, percent(mean), DASH, count, DASH))
    return rows


def _scores(name: str, run: RecipeRun) -> tuple[str, ...]:
    scored = f"{percent(run.scored.accuracy)} {interval(run.scored.interval)}"
    plain = percent(run.plain.accuracy)
    return name, percent(run.val_accuracy), plain, scored, duration(run.fit.seconds)
