"""``docs/RESULTS.md`` and the README's headline, from the results of one run alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2

from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, Seeds
from eurosat_lib.recipe import Recipes
from eurosat_lib.report.folders import find_folder
from eurosat_lib.report.results import tables
from eurosat_lib.report.results.departures import departures
from eurosat_lib.report.results.elsewhere import elsewhere
from eurosat_lib.report.results.english import interval, number, percent, rate, table
from eurosat_lib.report.results.reading import Results
from eurosat_lib.spatial import SpatialSeeds, SplitComparison

BEGIN, END = "<!-- headline: written by make results -->", "<!-- end of headline -->"
# Stages whose results stand in those tables, or that give pictures or plain checks only.
SHOWN = {
    *(
        "validate_recipe",
        "train_recipe",
        "ablate_recipe",
        "explore_dataset",
        "find_duplicates",
        "find_overlaps",
        "find_seams",
        "draw_landscape",
    ),
    *("verify_pipeline", "compute_baselines", "test_model", "check_initial_loss"),
    *("overfit_small", "shuffled_labels", "check_training", "lr_finder", "chosen_lr"),
    *("grid_search", "refined_grid_search", "compare_finalists", "train", "compare_curves"),
    *("evaluate", "analyse_errors", "measure_robustness", "explain_predictions"),
    *("compare_finalists_on_test", "evaluate_seeds", "train_spatial", "evaluate_spatial"),
    *("compare_splits", "evaluate_spatial_seeds"),
}


def results_page(r: Results) -> str:
    """Write the page with every table of the run.

    Raises:
        UserError: a result is missing, or of another version of the library.
    """
    return render(
        "RESULTS.md.j2",
        r,
        **{name: _signed(make(r), r) for name, make in tables.TABLES.items()},
        headline=headline(r, r.get(Recipes)),
        elsewhere=elsewhere(),
        others=others(r),
        pace=tables.pace(r),
        notes=notes(r),
        single=not r.need(Seeds).several,
        level=percent(r.need(Evaluation).confidence_level, 0),
        departures=departures(r),
        **_asked(r.get(Recipes)),
        up="../",
    )


def headline(r: Results, recipe: Recipes | None = None) -> str:
    """Say in a paragraph what the run found.

    Args:
        r: of the run.
        recipe: another way to train the network, to be named as well.
    """
    e, again, cut = r.need(Evaluation), r.need(Seeds), r.get(SplitComparison)
    there = r.get(SpatialSeeds)
    h = e.hyperparameters
    network = f"{number(e.parameters)} parameters, learning rate {rate(h.lr)}"
    text = (
        f"Run `{r.run.label}`, profile `{r.profile}` ({network}, seed {e.seed}): test accuracy "
        f"**{percent(e.accuracy)} {interval(e.interval)}**, {number(e.correct)} of {number(e.n)} "
        f"images; macro-F1 {percent(e.macro_f1)} {interval(e.macro_f1_interval)}"
    )
    if again.several:
        found = again.facts()["accuracy"]
        text += f"; mean of {len(again.runs)} seeds {percent(found['mean'])} "
        text += f"± {number(100 * found['sd'], 2)}"
    if cut and not cut.absent:
        bounds = interval(cut.interval(cut.spatial))
        text += f"; on the spatial split **{percent(cut.spatial.accuracy)} {bounds}**"
    if there and there.several:
        found = there.facts()["accuracy"]
        text += f" (mean of {len(there.runs)} seeds {percent(found['mean'])} "
        text += f"± {number(100 * found['sd'], 2)})"
    return f"{text}. {_recipe_headline(recipe)}".rstrip() if recipe else f"{text}."


def _recipe_headline(found: Recipes) -> str:
    """Say what a recipe reached: its first seed, the mean of several, the spatial split."""
    scored = found.first.scored
    text = (
        f"Trained by the recipe `{found.name}` instead ({number(found.first.fit.parameters)} "
        f"parameters, seed {scored.seed}): **{percent(scored.accuracy)} "
        f"{interval(scored.interval)}**"
    )
    if len(found.runs) > 1:
        a = found.summary([run.scored.accuracy for run in found.runs])
        text += f"; mean of {len(found.runs)} seeds {percent(a['mean'])} "
        text += f"± {number(100 * a['sd'], 2)}"
    if found.spatial:
        cut = found.spatial.scored
        text += f"; on the spatial split **{percent(cut.accuracy)} {interval(cut.interval)}**"
    return f"{text}."


def _signed(text: str, r: Results) -> str:
    """Name the run under a table: tables are quoted without the page around them."""
    return f"{text}\n\n<sub>Run `{r.run.label}`, profile `{r.profile}`</sub>" if text else ""


def readme_headline(r: Results) -> str:
    """Return the block of the README, its marks included."""
    reports = _reports(r)
    links = (
        f"[All tables](docs/RESULTS.md) · [the report]({reports}/rapport.pdf) · "
        f"[the network]({r.place}/{r.run.paths.card.name})."
    )
    return f"{BEGIN}\n{headline(r, r.get(Recipes))} {links}\n{END}"


def replace_headline(text: str, block: str) -> str:
    """Put the block into the README's text in place of what stands between the marks.

    Raises:
        UserError: the marks are missing.
    """
    found = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, flags=re.S)
    if block not in found:
        raise UserError(f"README.md: the marks {BEGIN} and {END} are missing")
    return found


def others(r: Results) -> str:
    """List the facts of results that have no table of their own."""
    parts = []
    for stage in sorted(set(r.run.results) - SHOWN):
        facts = r.run.facts.get(stage, {})
        plain = [(f"`{k}`", v) for k, v in facts.items() if isinstance(v, int | float | str)]
        parts.append(f"### `{stage}`\n\n{table(('Fact', 'Value'), plain)}")
    return "\n\n".join(parts)


def notes(r: Results) -> str:
    """Return what whoever computed the run says of it, ``NOTES.md`` in its artifacts."""
    path = r.folder / "NOTES.md"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def render(template: str, r: Results, **content: Any) -> str:
    """Fill a template of ``reports/template/results``; blank lines are never doubled."""
    folder = find_folder("reports/template", Path(r.run.paths.root)) / "results"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    common = {"name": r.run.name, "place": r.place, "reports": _reports(r), "profile": r.profile}
    common |= {"request": request(r, "again"), "rebuild": request(r, r.run.name)}
    text = environment.get_template(template).render(common | content)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def request(r: Results, name: str) -> str:
    """Return the variables of ``make report`` that ask for this run under a name."""
    parameters = f' PARAMS="-f {_reports(r)}/params.yaml"' if r.parameters else ""
    return f"PROFILE={r.profile} NAME={name}{parameters}"


def _reports(r: Results) -> str:
    return r.run.paths.reports.relative_to(r.run.paths.root).as_posix()


def _asked(found: Recipes | None) -> dict[str, str]:
    """Return the name of the recipe and the flags that ask for its trainings."""
    if found is None:
        return {"recipe": "", "recipe_flags": ""}
    seeds = ",".join(str(run.fit.seed) for run in found.runs)
    spatial = "true" if found.spatial else "false"
    return {
        "recipe": found.name,
        "recipe_flags": f"--set recipe.seeds=[{seeds}] --set recipe.spatial={spatial}",
    }
