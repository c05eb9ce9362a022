"""The runs of a project side by side: found, listed, compared."""

from __future__ import annotations

import hashlib
import html
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from IPython.display import HTML

from eurosat_lib.config import PARAMETERS, Config, read_yaml
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import locked, read_csv, read_json, write_text
from eurosat_lib.french import duree, intervalle, nombre, p_value, pct, plural, signe
from eurosat_lib.schema import Paths

LEVEL = 0.95  # of the intervals, where no run says one
ASIDE = ("paths", "identity", "compute")  # sections that say nothing of what a result is
LABELS = {key: name for name, key in PARAMETERS.items()} | {"lr": "LR choisi à la main (04)"}
SCORES = {"Validation": "train", "Test": "evaluate", "Découpage spatial": "evaluate_spatial"}
CONDITIONS = ("commit", "device", "precision", "processor", "python", "torch")
NONE = "<p>Aucun run n’a encore de résultats : <code>make report</code> fait le premier.</p>"
PAGE = """<!DOCTYPE html>
<html lang="fr"><head><meta charset="utf-8"><title>Tous les runs</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: auto; padding: 1rem }}
div {{ overflow-x: auto }}
th, td {{ text-align: left; vertical-align: top; padding: .4em .8em }}
</style></head>
<body><main><h1>Tous les runs</h1>
<div tabindex="0" role="region" aria-label="Tableau des runs">{runs}</div>
<h2>Comparer deux runs</h2>
<ul>{pairs}</ul>
<p><code>make compare A=… B=…</code> compare deux runs ; un nom vide est le run sans nom.</p>
</main></body></html>
"""


@dataclass(frozen=True)
class Run:
    """One run; what it has not computed is empty."""

    paths: Paths

    @property
    def label(self) -> str:
        """Name for the reader of a page."""
        return self.paths.name or "sans nom"

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Facts by stage, as the report states them."""
        tree = read_json(self.paths.artifacts / "facts.json") or {}
        return {stage: facts for stage, facts in tree.items() if isinstance(facts, dict)}

    @cached_property
    def results(self) -> dict[str, dict[str, Any]]:
        """By stage: ``scope``, ``provenance``, ``config`` and ``result``.

        What was not computed, a learning rate chosen by hand, has no provenance and is no result.
        """
        files = sorted((self.paths.artifacts / "results").glob("*.json"))
        trees = {path.stem: read_json(path) or {} for path in files}
        return {stage: tree for stage, tree in trees.items() if tree.get("provenance")}

    def score(self, stage: str) -> dict[str, Any]:
        """Facts of a stage that tests a checkpoint; empty without any."""
        facts = self.facts.get(stage, {})
        return facts if {"accuracy", "low", "high", "n"} <= set(facts) else {}

    @property
    def tested_other(self) -> bool:
        """Whether the test scores are those of another checkpoint than the run's ``best.ckpt``."""
        best, scores = self.paths.artifacts / "best.ckpt", self.score("evaluate")
        found = hashlib.sha256(best.read_bytes()).hexdigest() if best.is_file() else None
        return bool(scores and found and found != scores["checkpoint_sha256"])

    @cached_property
    def given(self) -> dict[str, Any]:
        """Parameters that the run was given, and the rate chosen in notebook 04, by dotted key."""
        path = self.paths.artifacts / "params.yaml"
        values = read_yaml(path) if path.is_file() else {}
        chosen = read_json(self.paths.artifacts / "results" / "chosen_lr.json") or {}
        used = self.facts.get("grid_search", {}).get("origin") == "chosen_lr"
        rate = {"lr": chosen.get("result", {}).get("lr")} if used else {}
        return {PARAMETERS[n]: value for n, value in values.items() if n in PARAMETERS} | rate

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Configuration of the final training, and what the run was given, by dotted key."""
        last = self.results.get("train") or next(iter(self.results.values()), {})
        known = {key: value for key, value in last.get("config", {}).items() if key not in ASIDE}
        return flatten(known) | self.given


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Turn sections into dotted keys; lists stay whole."""
    return pd.json_normalize([dict(tree)]).to_dict("records")[0]


def find_runs(root: Path) -> list[Run]:
    """Return the runs that have left facts: the unnamed one, then by name."""
    places, runs = sorted((root / "artifacts").glob("*/facts.json")), []
    for name in ("", *(path.parent.name for path in places)):
        with suppress(ValueError):  # a folder that no run can have made
            runs.append(Run(Paths(root=str(root), name=name)))
    return [run for run in runs if run.facts]


def find_run(root: Path, name: str) -> Run:
    """Return one run; a ``UserError`` says which there are."""
    runs = {run.paths.name: run for run in find_runs(root)}
    if name not in runs:
        known = ", ".join(name or "the unnamed one" for name in runs) or "none yet"
        what = f"{name}: no such run" if name else "the unnamed run has no results"
        raise UserError(f"{what}{did_you_mean(name, runs)}; runs: {known}")
    return runs[name]


# --- the list -----------------------------------------------------------------------------------


def differing(runs: Sequence[Run]) -> list[str]:
    """Return the keys that differ: the profile, what was given, what one profile has twice."""
    frame = pd.DataFrame([run.settings for run in runs]).map(str)
    if "profile" not in frame:
        return []
    chosen = frame.groupby("profile").nunique().gt(1).any()
    given = {"profile"}.union(*(run.given for run in runs))
    return [key for key in frame if frame[key].nunique() > 1 and (key in given or chosen[key])]


def list_runs(root: Path, folder: Path) -> str:
    """Lay all runs out as an HTML table: what differs, scores, links that start in ``folder``."""
    runs = find_runs(root)
    keys = differing(runs)
    return _table([_row(run, keys, folder) for run in runs])


def _row(run: Run, keys: Sequence[str], folder: Path) -> dict[str, str]:
    own = [f"{LABELS.get(k, k)} = {run.settings[k]}" for k in keys if k in run.settings]
    origins = [tree["provenance"] for tree in run.results.values()]
    reports, metrics = run.paths.reports, run.paths.artifacts / "metrics.json"
    places = {"rapport": reports / "rapport.html", "PDF": reports / "rapport.pdf"}
    places |= {"carnets": reports / "notebooks", "métriques": metrics}
    return {
        "Run": html.escape(run.label) + (" (autre checkpoint testé)" if run.tested_other else ""),
        "Ce qui diffère": "<br>".join(map(html.escape, own)) or "—",
        **{text: _score(run, stage) for text, stage in SCORES.items()},
        "Calculs": duree(sum(origin.get("seconds", 0) for origin in origins)),
        "Date": max((origin.get("started", "")[:10] for origin in origins), default="—"),
        "À ouvrir": " · ".join(link(p, folder, t) for t, p in places.items() if p.exists()),
    }


def _score(run: Run, stage: str) -> str:
    best, facts = run.facts.get(stage, {}).get("best_val_accuracy"), run.score(stage)
    if not facts:
        return "—" if best is None else pct(best, 2)
    return f"{pct(facts['accuracy'], 2)}<br>{intervalle((facts['low'], facts['high']), 2)}"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    return pd.DataFrame(rows).to_html(escape=False, index=False, border=0) if rows else NONE


def link(target: Path, folder: Path, text: str) -> str:
    """Link a file or folder from a folder."""
    address = quote(Path(os.path.relpath(target, folder)).as_posix())
    return f'<a href="{address}">{html.escape(text)}</a>'


def write_index(root: Path) -> Path:
    """Write ``reports/index.html``, the list of all runs and of their comparisons."""
    path, pairs = root / "reports" / "index.html", ""
    for page in sorted(path.parent.glob("comparaisons/*+*.html")):
        names = page.stem.replace("_", "sans nom").replace("+", " et ")
        pairs += f"<li>{link(page, path.parent, names)}</li>"
    write_text(path, PAGE.format(runs=list_runs(root, path.parent), pairs=pairs))
    return path


def show_runs(config: Config) -> HTML:
    """Lay all runs out in a notebook."""
    return HTML(list_runs(Path(config.paths.root), Path.cwd()))


def show_steps(config: Config) -> HTML:
    """Lay the notebooks out with what this run keeps of their results."""
    from eurosat_lib.protocol import NOTEBOOK_STAGES
    from eurosat_lib.stages import scope

    known, kept, rows = scope(config), Run(config.paths).results, []
    for name, stages in NOTEBOOK_STAGES.items():
        path = Path(config.paths.root, "notebooks", f"{name}.ipynb")
        title = "".join(read_json(path)["cells"][0]["source"]).splitlines()[0].lstrip("# ")
        done = []
        for stage in stages:
            tree = kept.get(stage, {})
            # The spatial split is another cut of the same images.
            other = {"data": ""} if stage == "evaluate_spatial" else {}
            if tree and tree["scope"] | other == known | other:
                done.append(tree["provenance"])
        rows.append(
            {
                "Notebook": link(path, Path.cwd(), title),
                "Gardé": f"{plural(len(done), 'résultat')} sur {len(stages)}",
                "Dernier calcul": max((origin["started"][:10] for origin in done), default="—"),
            }
        )
    return HTML(_table(rows))


# --- two of them --------------------------------------------------------------------------------


def verdict(*pair: Run) -> str:
    """Say in French which of two runs is better on the test, and how sure that is."""
    from eurosat_lib.stats import mcnemar, paired_difference

    columns, (a, b) = ["name", "truth", "prediction"], (run.label for run in pair)
    files = [read_csv(run.paths.artifacts / "predictions.csv") for run in pair]
    frames = [pd.DataFrame(rows, columns=columns) for rows in files]
    untested = [run.label for run, frame in zip(pair, frames, strict=True) if frame.empty]
    if untested:
        return f"Sans évaluation sur le test, rien à comparer : {', '.join(untested)}."
    both = frames[0].merge(frames[1], how="outer", on="name", suffixes=("_a", "_b"))
    if (both.truth_a != both.truth_b).any():
        return "Les deux runs n’ont pas été testés sur les mêmes images : rien à apparier."
    right = both.prediction_a == both.truth_a, both.prediction_b == both.truth_b
    only, n = (int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())), len(both)
    level = pair[0].score("evaluate").get("confidence_level", LEVEL)
    p, bounds = mcnemar(*only), paired_difference(only[1], only[0], n, level)
    says = "Le test ne départage pas les deux runs"
    if p < 1 - level:
        says = f"« {b if only[1] > only[0] else a} » fait mieux sur le test"
    return (
        f"**{says}** : « {b} » moins « {a} », {signe((only[1] - only[0]) / n, 2)}, intervalle "
        f"à {pct(level, 0)} : {intervalle([100 * x for x in bounds], 2, 'points')} ; test de "
        f"McNemar exact : {p_value(p)}. Sur les mêmes {nombre(n)} images, {nombre(only[0])} "
        f"que seul « {a} » reconnaît, {nombre(only[1])} que seul « {b} » reconnaît. Un "
        "entraînement chacun : ce que changerait une autre graine n’est pas compté."
    )


def curves(*pair: Run) -> Any:
    """Draw both final trainings over each other; ``None`` if one is missing."""
    from eurosat_lib.plots import training as plots

    fits = [run.results.get("train", {}).get("result", {}).get("fit", {}) for run in pair]
    epochs = {run.label: fit.get("epochs") for run, fit in zip(pair, fits, strict=True)}
    if not all(epochs.values()):
        return None
    return plots.run_curves({n: pd.DataFrame(e).set_index("epoch") for n, e in epochs.items()})


def side_by_side(*pair: Run) -> pd.DataFrame:
    """Lay out accuracies, and what differs: parameters, conditions of the training."""
    told = []
    for run in pair:
        origin = run.results.get("train", {}).get("provenance", {})
        own = {text: _score(run, stage).replace("<br>", " ") for text, stage in SCORES.items()}
        own |= {LABELS.get(key, key): str(value) for key, value in run.settings.items()}
        told.append(own | {key: origin.get(key, "—") for key in CONDITIONS})
    frame = pd.DataFrame(told, index=[run.label for run in pair]).fillna("—").T
    frame = frame[(frame.nunique(axis=1) > 1) | frame.index.isin([*SCORES])]
    return frame.rename_axis("Exactitudes, et ce qui diffère")


def compare(root: Path, first: str, second: str) -> Path:
    """Execute ``compare.ipynb`` for two runs and export it; return the page.

    Raises:
        UserError: a run does not exist, or both are the same.
    """
    from eurosat_lib.report.export import Rapport
    from eurosat_lib.report.run import execute

    if find_run(root, first) == find_run(root, second):
        raise UserError("make compare A=… B=…: two runs, an empty name is the unnamed run")
    page = root / "reports" / "comparaisons" / f"{first or '_'}+{second or '_'}.html"
    with locked(page.parent / ".lock"):
        for left in page.parent.glob(".compare-*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".compare-", dir=page.parent) as folder:
            executed = Path(folder, "compare.ipynb")
            values = {"first": first, "second": second}
            execute(root / "notebooks" / "compare.ipynb", executed, values, root)
            text, _ = Rapport().from_filename(str(executed))
        write_text(page, text)
    return page
