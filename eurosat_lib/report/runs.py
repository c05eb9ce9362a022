"""The runs of a project side by side: listed, compared, swept, computed once more."""

import html
import json
import os
import re
import shutil
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import nbformat
import pandas as pd
from IPython.display import HTML

from eurosat_lib import files
from eurosat_lib.config import CONFIG, PARAMETERS, configure, override, read_yaml
from eurosat_lib.errors import NotebookFailed, UserError, did_you_mean, one_line
from eurosat_lib.files import read_json
from eurosat_lib.french import duree, intervalle, nombre, pct, plural, signe
from eurosat_lib.report.plan import ENGINE, LIBRARY, prepare
from eurosat_lib.report.run import build, execute, workplace
from eurosat_lib.schema import Config, Paths
from eurosat_lib.sources import digest

ASIDE = ("paths", "identity", "compute")  # sections that say nothing of what a result is
LABELS = {key: name for name, key in PARAMETERS.items()} | {"lr": "LR choisi à la main (04)"}
SCORES = {"Validation": "train", "Test": "evaluate", "Découpage spatial": "evaluate_spatial"}
CONDITIONS = ("commit", "device", "precision", "processor", "python", "torch")
CARD = "MODEL_CARD.md"  # of a finished run: git holds its results
SAME = "the same to the bit"
VERDICT = "reproduction.json"  # in the artifacts of a reproduction, once it is complete
UNREADABLE = "résultats illisibles ou d’une autre version"
NONE = "<p>Aucun run n’a encore de résultats : <code>make report</code> fait le premier.</p>"


class Run:
    """One run as its files tell it, by stage; what it has not computed is empty.

    A result holds ``scope``, ``provenance``, ``config`` and ``result``; a learning rate chosen by
    hand was not computed, has no provenance, and is none.
    """

    def __init__(self, paths: Paths) -> None:
        """Read the files of a run."""
        self.paths, self.label = paths, paths.name or "sans nom"
        facts = read_json(paths.artifacts / "facts.json") or {}
        self.facts = {stage: own for stage, own in facts.items() if isinstance(own, dict)}
        places = sorted((paths.artifacts / "results").glob("*.json"))
        trees = {path.stem: read_json(path) or {} for path in places}
        self.results = {k: t for k, t in trees.items() if t.get("provenance") and t.get("config")}

    def score(self, stage: str) -> dict[str, Any]:
        """Return the facts of a stage that tests a checkpoint; none if it was not tested."""
        facts = self.facts.get(stage, {})
        return facts if {"accuracy", "low", "high", "n"} <= set(facts) else {}

    @cached_property
    def fault(self) -> str:
        """Why its row cannot be made: damaged, of another version; empty if it can."""
        try:
            _row(self, [*self.settings], self.paths.artifacts)
        except Exception as error:  # whatever files of others lead to
            return one_line(error)
        return ""

    @cached_property
    def tested_other(self) -> bool:
        """Whether the test scores are those of another checkpoint than the run's ``best.ckpt``."""
        best, tested = self.paths.artifacts / "best.ckpt", self.score("evaluate")
        if not (tested and best.is_file()):
            return False
        return digest(best) != tested["checkpoint_sha256"]

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
        some = self.results.get("train") or next(iter(self.results.values()), {"config": {}})
        known = {key: value for key, value in some["config"].items() if key not in ASIDE}
        return _flat(known) | self.given


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Turn sections into dotted keys; lists stay whole."""
    return pd.json_normalize([dict(tree)]).to_dict("records")[0]


def find_runs(root: Path) -> dict[str, Run]:
    """Return the runs that have left facts, by name: the unnamed one first."""
    places, runs = sorted((root / "artifacts").glob("*/facts.json")), {}
    for name in ("", *(path.parent.name for path in places)):
        with suppress(ValueError):  # a folder that no run can have made
            runs[name] = Run(Paths(root=str(root), name=name))
    return {name: run for name, run in runs.items() if run.facts}


def find_run(root: Path, name: str) -> Run:
    """Return one run; a ``UserError`` says which there are."""
    runs = find_runs(root)
    if name not in runs:
        known = ", ".join(name or "the unnamed one" for name in runs) or "none yet"
        what = f"{name}: no such run" if name else "the unnamed run has no results"
        raise UserError(f"{what}{did_you_mean(name, runs)}; runs: {known}")
    if (run := runs[name]).fault:
        said = f"results that are damaged or of another version ({run.fault})"
        raise UserError(f"{run.paths.artifacts}: {said}: move them away, or compute them anew")
    return run


def find_pair(root: Path, first: str, second: str) -> tuple[Run, Run]:
    """Return two runs to compare; a ``UserError`` if one is not there or they are the same."""
    pair = find_run(root, first), find_run(root, second)
    if pair[0].label == pair[1].label:
        raise UserError("make compare A=… B=…: two runs, an empty name is the unnamed run")
    return pair


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
    runs, rows = list(find_runs(root).values()), []
    keys = differing([run for run in runs if not run.fault])
    for run in runs:
        lost = {"Run": html.escape(run.label), "Ce qui diffère": UNREADABLE}
        rows.append(lost if run.fault else _row(run, keys, folder))
    return _table(rows) if runs else NONE


def _row(run: Run, keys: Sequence[str], folder: Path) -> dict[str, str]:
    """Write the row of a run; of files that are foreign or damaged it raises anything."""
    own = [f"{LABELS.get(k, k)} = {run.settings[k]}" for k in keys if k in run.settings]
    origins, reports = [tree["provenance"] for tree in run.results.values()], run.paths.reports
    places = {"rapport": reports / "rapport.html", "PDF": reports / "rapport.pdf"}
    places |= {
        "notebooks": reports / "notebooks",
        "métriques": run.paths.artifacts / "metrics.json",
    }
    return {
        "Run": html.escape(run.label) + (" (autre checkpoint testé)" if run.tested_other else ""),
        "Ce qui diffère": "<br>".join(map(html.escape, own)) or "—",
        **{text: _score(run, stage) for text, stage in SCORES.items()},
        "Calculs": duree(sum(origin.get("seconds", 0) for origin in origins)),
        "Date": max((str(origin.get("started"))[:10] for origin in origins), default="—"),
        "À ouvrir": " · ".join(_link(p, folder, t) for t, p in places.items() if p.exists()),
    }


def _score(run: Run, stage: str) -> str:
    best, facts = run.facts.get(stage, {}).get("best_val_accuracy"), run.score(stage)
    if not facts:
        return "—" if best is None else pct(best, 2)
    return f"{pct(facts['accuracy'], 2)}<br>{intervalle((facts['low'], facts['high']), 2)}"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    return pd.DataFrame(rows).to_html(escape=False, index=False, border=0, na_rep="—")


def _link(target: Path, folder: Path, text: str) -> str:
    address = quote(Path(os.path.relpath(target, folder)).as_posix())
    return f'<a href="{address}">{html.escape(text)}</a>'


def filled(template: str, **values: Any) -> str:
    """Fill in a template of ``reports/template``; a value that is missing is an error."""
    places = jinja2.FileSystemLoader(LIBRARY.parent / "reports" / "template")
    engine = jinja2.Environment(loader=places, undefined=jinja2.StrictUndefined)
    return engine.get_template(template).render(values)


def write_index(root: Path) -> Path:
    """Write ``reports/index.html``, the list of all runs and of the comparisons of those."""
    path, runs, pairs = root / "reports" / "index.html", find_runs(root), []
    for page in sorted(path.parent.glob("comparaisons/*+*.html")):
        pair = [runs.get("" if name == "_" else name) for name in page.stem.split("+")]
        if all(pair):
            facts = [(run.paths.artifacts / "facts.json").stat().st_mtime for run in pair]
            again = " (à refaire)" * (max(facts) > page.stat().st_mtime)
            pairs.append(_link(page, path.parent, " et ".join(run.label for run in pair)) + again)
    listed = list_runs(root, path.parent)
    files.write_text(path, filled("index.html.j2", runs=listed, pairs=pairs))
    return path


def show_runs(config: Config) -> HTML:
    """Lay all runs out in a notebook."""
    return HTML(list_runs(Path(config.paths.root), Path.cwd()))


def show_steps(config: Config) -> HTML:
    """Lay the notebooks out with what this run keeps of their results."""
    from eurosat_lib.protocol import NOTEBOOK_STAGES
    from eurosat_lib.report.export import take_title
    from eurosat_lib.stages import scope

    known, run, rows = scope(config), Run(config.paths), []
    results = {} if run.fault else run.results
    kept = {key: tree for key, tree in results.items() if tree.get("scope") == known}
    for name, stages in NOTEBOOK_STAGES.items():
        path = Path(config.paths.root, "notebooks", f"{name}.ipynb")
        try:
            title = take_title(nbformat.read(path, as_version=4)) or name
        except Exception:  # whatever a damaged file leads to
            raise UserError(f"{path}: not a readable notebook") from None
        origins = [kept[stage]["provenance"] for stage in stages if stage in kept]
        dates = [str(origin.get("started"))[:10] for origin in origins]
        own = {"Notebook": _link(path, Path.cwd(), title)}
        own["Gardé"] = f"{plural(len(dates), 'résultat')} sur {len(stages)}"
        rows.append(own | {"Dernier calcul": max(dates, default="—")})
    return HTML(_table(rows))


# --- two of them --------------------------------------------------------------------------------


def verdict(*pair: Run) -> str:
    """Say in French which of two runs is better on the test, by the interval of the difference."""
    from eurosat_lib.stats import LEVEL, paired_difference

    columns, (a, b) = ["name", "truth", "prediction"], (run.label for run in pair)
    rows = [files.read_csv(run.paths.artifacts / "predictions.csv") for run in pair]
    first, second = (pd.DataFrame(own, columns=columns) for own in rows)
    if first.empty or second.empty:
        return f"Sans évaluation de « {a if first.empty else b} » sur le test, rien à comparer."
    for run, own in zip(pair, (first, second), strict=True):
        if (own.truth == own.prediction).sum() != run.score("evaluate").get("correct"):
            place = f"{run.paths.artifacts}/predictions.csv"
            raise UserError(f"{place}: not what was evaluated: evaluate again, it is written anew")
    both = first.merge(second, how="outer", on="name", suffixes=("_a", "_b"))
    if (both.truth_a != both.truth_b).any():
        return "Les deux runs n’ont pas été testés sur les mêmes images : rien à apparier."
    right_a, right_b = both.prediction_a == both.truth_a, both.prediction_b == both.truth_b
    only_a, only_b, n = (right_a & ~right_b).sum(), (right_b & ~right_a).sum(), len(both)
    low, high = paired_difference(only_b, only_a, n)
    says = "Le test ne départage pas les deux runs"
    if low > 0 or high < 0:
        says = f"« {b if low > 0 else a} » fait mieux sur le test"
    return (
        f"**{says}** : l’écart « {b} » − « {a} » est de {signe((only_b - only_a) / n, 2)}, "
        f"intervalle à {pct(LEVEL, 0)} {intervalle((low, high), 2, 'points')}. Sur les mêmes "
        f"{nombre(n)} images, {nombre(only_a)} que seul « {a} » reconnaît, {nombre(only_b)} que "
        f"seul « {b} » reconnaît. Un entraînement chacun : ce que changerait une autre graine "
        "n’est pas compté."
    )


def curves(*pair: Run) -> Any:
    """Draw both final trainings over each other; ``None`` if one is missing."""
    from eurosat_lib.plots import training as plots

    if not all("train" in run.results for run in pair):
        return None
    epochs = {run.label: run.results["train"]["result"]["fit"]["epochs"] for run in pair}
    return plots.run_curves({k: pd.DataFrame(own).set_index("epoch") for k, own in epochs.items()})


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
    """Execute ``compare.ipynb`` for two runs and export it; return the page."""
    from eurosat_lib.report.export import Rapport

    find_pair(root, first, second)
    page = root / "reports" / "comparaisons" / f"{first or '_'}+{second or '_'}.html"
    with workplace(page.parent) as folder:
        values = {"first": first, "second": second}
        execute(root / "notebooks" / "compare.ipynb", folder / "compare.ipynb", values, root)
        text, _ = Rapport().from_filename(str(folder / "compare.ipynb"))
        files.write_text(page, text)
    return page


# --- many of them -------------------------------------------------------------------------------


def read_sweep(path: str, common: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read a YAML list of parameter sets and check all of it; return what to give each run.

    ``name`` in a set names its run, otherwise the parameters do (``lr0.0003_max_epochs5``);
    ``common`` is given to all runs, a set's own values win. What no report can be made from is a
    ``UserError`` that names the set.
    """
    if not path:
        raise UserError("make sweep SWEEP=…: which file? configs/sweeps/lr.yaml is an example")
    if "name" in common:
        raise UserError("make sweep: NAME is given to each run by the sweep's own file")
    asked: dict[str, dict[str, Any]] = {}
    for number, values in enumerate(read_yaml(Path(path).expanduser(), list), 1):
        where = f"{path}: set {number}"
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected name: value, got {values!r}")
        own = {str(key): value for key, value in values.items()}
        usual = "_".join(f"{key}{value}" for key, value in own.items())
        name = str(own.get("name") or re.sub(r"[^A-Za-z0-9._]+", "-", usual).strip("-"))
        if not name:
            raise UserError(f"{where} is empty: give it a name to run the protocol as it is")
        if name in asked:
            raise UserError(f"{where}: the name {name} is taken by an earlier set")
        asked[name] = {**common, **own, "name": name}
        try:
            prepare(asked[name])
        except UserError as error:
            raise UserError(f"{where} ({name}): {error}") from None
    return asked


def sweep(path: str, common: Mapping[str, Any]) -> bool:
    """Build each report; one that fails does not stop the rest. Tell whether none failed."""
    asked, ended = read_sweep(path, common), {}
    for number, (name, values) in enumerate(asked.items(), 1):
        print(f"run {number}/{len(asked)}: {name}")
        try:
            build(values)
            ended[name] = "done"
        except Exception as error:  # perhaps a bug in one run; the others are worth having
            if not isinstance(error, UserError | NotebookFailed):
                traceback.print_exc()
            ended[name] = f"failed: {type(error).__name__}: {error}"
    print("\n".join(f"{name}: {end}" for name, end in ended.items()))
    return set(ended.values()) == {"done"}


# --- once more ----------------------------------------------------------------------------------


def reproduce(root: Path, name: str, stages: str = "") -> bool:
    """Compute results of a run anew, in a run ``reproduction-NAME`` that has a cache of its own.

    A reproduction that was stopped goes on where it was; a complete one is begun afresh. With
    ``stages``, in words, these alone are computed; what they build on is taken as it is. Tell
    whether all facts came out the same to the bit. No such run or stage, a result of an older
    version, or a name that is taken, is a ``UserError``.
    """
    from eurosat_lib.protocol import STAGE_NAMES
    from eurosat_lib.stages import STAGES

    before, only = find_run(root, name), stages.split()
    only += ["train_recipe"] * ("beside" in only)  # which judges its kept predictions
    if files.is_frozen():
        raise UserError("FROZEN=1 computes nothing: reproduce without it")
    for stage in set(only) - set(before.results):
        hint = did_you_mean(stage, before.results)
        raise UserError(f"STAGES: no result of {stage} in the run {before.label}{hint}")
    wanted = [stage for stage in STAGE_NAMES if stage in (only or before.results)]
    base = configure({"config_path": root / CONFIG, "name": f"reproduction-{name}".strip("-")})
    files.check_open(base.paths.artifacts)
    configs = {}
    for stage in wanted:
        own = before.results[stage]["config"] | {"paths": {}, "identity": {}}
        own["compute"] = {k: v for k, v in own["compute"].items() if k not in ENGINE}
        configs[stage] = override(base, own, f"artifacts/{name}: {stage}, another version")
    _begin(before, base.paths)
    print(f"{len(wanted)} stages to compute anew: {', '.join(wanted)}")
    for stage, config in configs.items():
        STAGES[stage](config)
    same = _judge(before, Run(base.paths), wanted)
    print("all runs:", os.path.relpath(write_index(root)))
    return same


def _begin(run: Run, paths: Paths) -> None:
    """Make the run's own cache; give it what is taken as it is."""
    own = paths.artifacts / ".stages"
    if paths.artifacts.exists() and not own.is_dir():
        raise UserError(f"artifacts/{paths.name}: another run has the name of the reproduction")
    if (paths.artifacts / VERDICT).is_file():
        for folder in (paths.artifacts, paths.runs):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (own, paths.artifacts / "results"):
        folder.mkdir(parents=True, exist_ok=True)
    for path in (*run.paths.artifacts.glob("*.*"), *run.paths.artifacts.glob("results/*.json")):
        if path.is_file() and path.name not in (CARD, VERDICT):
            shutil.copy2(path, paths.artifacts / path.relative_to(run.paths.artifacts))


def _judge(before: Run, after: Run, stages: Sequence[str]) -> bool:
    """Say and keep, stage by stage, whether the facts came out the same; times aside."""
    lines = {}
    for stage in stages:
        trees = (_flat(run.facts.get(stage, {})) for run in (before, after))
        old, new = ({k: json.dumps(v) for k, v in own.items() if k != "seconds"} for own in trees)
        changed = [key for key in old | new if old.get(key) != new.get(key)]
        said = [f"{key}: {old.get(key)} -> {new.get(key)}" for key in changed[:3]]
        counted = f"{len(changed)} of {len(new)} facts differ"
        lines[stage] = "; ".join([counted, *said]) if changed else SAME
        print(f"{stage}: {lines[stage]}")
    same = set(lines.values()) == {SAME}
    print("reproduced: every fact is the same to the bit" if same else "not reproduced to the bit")
    print(side_by_side(before, after).to_string())
    files.write_json(after.paths.artifacts / VERDICT, {"same": same, "stages": lines})
    return same
