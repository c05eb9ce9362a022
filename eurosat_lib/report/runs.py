"""The runs of a project beside each other: found, listed, compared."""

from __future__ import annotations

import hashlib
import html
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eurosat_lib.config import PARAMETERS, Config, load_config, read_yaml
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import read_csv, read_json, write_text
from eurosat_lib.french import duree, intervalle, nombre, p_value, pct, power, signe
from eurosat_lib.schema import RESERVED, Paths

CONFIG = "configs/config.yaml"
LEVEL = 0.95  # of the intervals, where no run says one
ASIDE = ("paths", "identity", "compute")  # sections that say nothing of what a result is
LABELS = {key: name for name, key in PARAMETERS.items()} | {"lr": "LR choisi à la main (04)"}
FILES = {"rapport": "reports/rapport.html", "PDF": "reports/rapport.pdf"}
FILES |= {"carnets": "reports/notebooks", "métriques": "artifacts/metrics.json"}
FILES |= {"paramètres": "artifacts/params.yaml", "configuration": "artifacts/config.yaml"}
CONDITIONS = {"commit": "Commit", "device": "Appareil", "precision": "Précision"}
CONDITIONS |= {"processor": "Processeur", "python": "Python", "torch": "PyTorch"}
NONE = "<p>Aucun run n’a encore de résultats : <code>make report</code> fait le premier.</p>"
PAGE = """<!DOCTYPE html>
<html lang="fr"><head><meta charset="utf-8"><title>Tous les runs</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; background: Canvas; color: CanvasText }}
a {{ color: LinkText }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: auto; padding: 1rem }}
div {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-size: .9em }}
th, td {{ text-align: left; vertical-align: top; padding: .4em .8em }}
tr {{ border-bottom: 1px solid #8888 }}
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
    def name(self) -> str:
        """Name of the run; empty for the unnamed one."""
        return self.paths.name

    @property
    def label(self) -> str:
        """Name for the reader of a page."""
        return self.name or "sans nom"

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Facts by stage, as the report states them."""
        return read_json(self.paths.artifacts / "facts.json") or {}

    @cached_property
    def results(self) -> dict[str, dict[str, Any]]:
        """By stage: ``scope``, ``provenance``, ``config`` and ``result``.

        What was not computed, a learning rate chosen by hand, has no provenance and is no result.
        """
        files = sorted((self.paths.artifacts / "results").glob("*.json"))
        trees = {path.stem: read_json(path) or {} for path in files}
        return {stage: tree for stage, tree in trees.items() if tree.get("provenance")}

    @property
    def chosen_lr(self) -> dict[str, Any] | None:
        """The choice made by hand in notebook 04 that the run's grid was built on, or ``None``."""
        tree = read_json(self.paths.artifacts / "results" / "chosen_lr.json") or {}
        grid = self.results.get("grid_search", {}).get("result", {})
        return tree.get("result") if grid.get("origin") == "chosen_lr" else None

    def score(self, stage: str) -> dict[str, Any] | None:
        """Facts of a stage that tests a checkpoint; ``None`` without any."""
        facts = self.facts.get(stage, {})
        return facts if {"accuracy", "low", "high", "n"} <= set(facts) else None

    @cached_property
    def tested_other(self) -> bool:
        """Whether the test scores are those of another checkpoint than the run's ``best.ckpt``."""
        best, scores = self.paths.artifacts / "best.ckpt", self.score("evaluate")
        if not scores or not best.is_file():
            return False
        return hashlib.sha256(best.read_bytes()).hexdigest() != scores["checkpoint_sha256"]

    @property
    def origin(self) -> dict[str, Any]:
        """Where, when and with what the final network was trained; empty without one."""
        return self.results.get("train", {}).get("provenance", {})

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the run was given, by dotted key: the final training's, and its parameters."""
        trees = [self.results["train"]] if "train" in self.results else self.results.values()
        last = max(trees, key=lambda tree: tree["provenance"]["started"], default={})
        known = {k: v for k, v in last.get("config", {}).items() if k not in ASIDE}
        path = self.paths.artifacts / "params.yaml"
        given = read_yaml(path) if path.is_file() else {}
        own = {PARAMETERS[name]: value for name, value in given.items() if name in PARAMETERS}
        chosen = {"lr": self.chosen_lr["lr"]} if self.chosen_lr else {}
        return flatten(known) | own | chosen


def find_runs(root: Path) -> list[Run]:
    """Return the runs that have left facts: the unnamed one, then by name."""
    folders = sorted(path.parent for path in (root / "artifacts").glob("*/facts.json"))
    names = [folder.name for folder in folders if folder.name.casefold() not in RESERVED]
    runs = [Run(Paths(root=str(root), name=name)) for name in ("", *_valid(names))]
    return [run for run in runs if run.facts]


def _valid(names: Sequence[str]) -> Iterator[str]:
    """Pass by folders that no run can have made."""
    for name in names:
        try:
            Paths(root="", name=name)
        except ValueError:
            continue
        yield name


def find_run(root: Path, name: str) -> Run:
    """Return one run.

    Raises:
        UserError: there is none of this name, or it has computed nothing.
    """
    runs = {run.name: run for run in find_runs(root)}
    if name not in runs:
        known = ", ".join(run.name or "the unnamed one" for run in runs.values()) or "none yet"
        what = f"{name}: no such run" if name else "the unnamed run has no results"
        raise UserError(f"{what}{did_you_mean(name, runs)}; runs: {known}")
    return runs[name]


# --- what differs -------------------------------------------------------------------------------


def flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Turn sections into dotted keys; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


def differing(runs: Sequence[Run]) -> list[str]:
    """Return the keys that somebody chose: those that a profile alone explains are left out."""
    known = [run.settings for run in runs if run.settings]
    keys = dict.fromkeys(key for own in known for key in own)
    different = [key for key in keys if any(own.get(key) != known[0].get(key) for own in known)]
    chosen = {"profile", "lr"}
    for run in runs:
        usual = _usual(run.paths.root, run.settings.get("profile", ""))
        chosen |= {key for key, value in run.settings.items() if usual.get(key, value) != value}
    return [key for key in different if key in chosen]


@cache
def _usual(root: str, profile: str) -> dict[str, Any]:
    """Return the settings of a profile as its files are now; empty if there is none so named."""
    try:
        return flatten(load_config(Path(root, CONFIG), profile).model_dump(mode="json"))
    except UserError:
        return {}


def written(value: Any) -> str:
    """Write a setting's value: 3 × 10⁻⁴, a list, « automatique » for none."""
    if value is None:
        return "automatique"
    if isinstance(value, bool):
        return "oui" if value else "non"
    if isinstance(value, list | tuple):
        return f"[{' ; '.join(map(written, value))}]"
    if isinstance(value, int | float):
        plain = isinstance(value, int) or value == 0 or 1e-2 <= abs(value) < 1e5
        return nombre(value) if plain else power(value)
    return str(value)


# --- the list -----------------------------------------------------------------------------------


def list_runs(root: Path, folder: Path) -> Any:
    """Lay all runs out: what differs in their parameters, their scores, links to their files.

    Args:
        root: the project's folder.
        folder: where the links start.

    Returns:
        A DataFrame of French HTML.
    """
    import pandas as pd

    runs = find_runs(root)
    keys = differing(runs)
    return pd.DataFrame([_row(run, keys, folder) for run in runs])


def _row(run: Run, keys: Sequence[str], folder: Path) -> dict[str, str]:
    own = [
        f"{LABELS.get(key, key)} = {written(run.settings[key])}"
        for key in keys
        if key in run.settings
    ]
    origins = [tree["provenance"] for tree in run.results.values()]
    test, spatial = _score(run.score("evaluate")), _score(run.score("evaluate_spatial"))
    places = {text: _place(run, place) for text, place in FILES.items()}
    return {
        "Run": html.escape(run.label),
        "Ce qui diffère": html.escape("\n".join(own)).replace("\n", "<br>") or "—",
        "Validation": _validation(run),
        "Test": test + ("<br>(autre checkpoint)" if run.tested_other else ""),
        "Découpage spatial": spatial,
        "Calculs": duree(sum(origin["seconds"] for origin in origins)),
        "Date": max((origin["started"][:10] for origin in origins), default="—"),
        "À ouvrir": " · ".join(
            link(place, folder, text) for text, place in places.items() if place.exists()
        ),
    }


def _score(facts: Mapping[str, Any] | None) -> str:
    if not facts:
        return "—"
    return f"{pct(facts['accuracy'], 2)}<br>{intervalle((facts['low'], facts['high']), 2)}"


def _validation(run: Run) -> str:
    accuracy = run.facts.get("train", {}).get("best_val_accuracy")
    return "—" if accuracy is None else pct(accuracy, 2)


def _place(run: Run, relative: str) -> Path:
    kind, name = relative.split("/")
    return getattr(run.paths, kind) / name


def link(target: Path, folder: Path, text: str) -> str:
    """Link a file or folder from a folder."""
    address = quote(Path(os.path.relpath(target, folder)).as_posix())
    return f'<a href="{address}">{html.escape(text)}</a>'


def to_html(frame: Any) -> str:
    """Write a table of HTML texts."""
    return frame.to_html(escape=False, index=False, border=0, justify="left")


def write_index(root: Path) -> Path:
    """Write ``reports/index.html``, the list of all runs and of their comparisons."""
    path = root / "reports" / "index.html"
    pairs = [
        link(page, path.parent, page.stem.replace("_", "sans nom").replace("+", " et "))
        for page in sorted(path.parent.glob("comparaisons/*+*.html"))
    ]
    runs = to_html(list_runs(root, path.parent)) if find_runs(root) else NONE
    write_text(path, PAGE.format(runs=runs, pairs="".join(f"<li>{item}</li>" for item in pairs)))
    return path


def refresh_index(root: Path) -> None:
    """Write the list anew if a run has changed since."""
    path = root / "reports" / "index.html"
    places = ("artifacts/facts.json", "artifacts/*/facts.json", "reports/rapport.html")
    places += ("reports/*/rapport.html", "reports/comparaisons/*.html")
    dates = [p.stat().st_mtime_ns for pattern in places for p in root.glob(pattern)]
    if not path.is_file() or max(dates, default=0) > path.stat().st_mtime_ns:
        write_index(root)
        path.touch()


def show_runs(config: Config) -> None:
    """Display all runs in a notebook."""
    _display(list_runs(Path(config.paths.root), Path.cwd()))


def show_steps(config: Config) -> None:
    """Display the notebooks with what this run keeps of their results."""
    import pandas as pd

    from eurosat_lib.protocol import NOTEBOOK_STAGES
    from eurosat_lib.stages import result_path, scope

    known, rows = scope(config) | {"data": ""}, []
    for name, stages in NOTEBOOK_STAGES.items():
        path = Path(config.paths.root, "notebooks", f"{name}.ipynb")
        title = "".join(read_json(path)["cells"][0]["source"]).splitlines()[0].lstrip("# ")
        trees = [read_json(result_path(config, stage)) or {} for stage in stages]
        # The spatial split is another cut of the same images.
        done = [t["provenance"] for t in trees if (t.get("scope") or {}) | {"data": ""} == known]
        last = max((origin["started"] for origin in done), default="")
        kept = f"{len(done)} résultats sur {len(stages)}" if done else "à faire"
        moment = f"{datetime.fromisoformat(last).astimezone():%d/%m/%Y, %H h %M}" if last else "—"
        link_ = link(path, Path.cwd(), title)
        rows.append({"Notebook": link_, "Gardé": kept, "Dernier calcul": moment})
    _display(pd.DataFrame(rows))


def _display(frame: Any) -> None:
    from IPython.display import HTML, display

    display(HTML(to_html(frame) if len(frame) else NONE))


# --- two of them --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two runs, for ``notebooks/compare.ipynb``."""

    first: Run
    second: Run

    @classmethod
    def find(cls, root: Path, first: str, second: str) -> Pair:
        """Find two runs.

        Raises:
            UserError: a run does not exist, or both are the same.
        """
        if first == second:
            raise UserError("make compare A=… B=…: two runs, an empty name is the unnamed run")
        return cls(find_run(root, first), find_run(root, second))

    @property
    def _both(self) -> tuple[Run, Run]:
        return self.first, self.second

    def verdict(self) -> str:
        """Say in French which of them is better on the test, and how sure that is."""
        from eurosat_lib.stats import mcnemar, paired_difference

        first, second = (_predictions(run) for run in self._both)
        if untested := [run.label for run in self._both if not _predictions(run)]:
            return f"Sans évaluation sur le test, rien à comparer : {', '.join(untested)}."
        truths = [{name: truth for name, (truth, _) in own.items()} for own in (first, second)]
        if truths[0] != truths[1]:
            return "Les deux runs n’ont pas été testés sur les mêmes images : rien à apparier."
        right = [(first[n][0] == first[n][1], second[n][0] == second[n][1]) for n in first]
        only, n = (right.count((True, False)), right.count((False, True))), len(right)
        level = (self.first.score("evaluate") or {}).get("confidence_level", LEVEL)
        p, bounds = mcnemar(*only), paired_difference(only[1], only[0], n, level)
        a, b = self.first.label, self.second.label
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

    def curves(self) -> Any:
        """Draw both final trainings over each other; ``None`` if one is missing."""
        import pandas as pd

        from eurosat_lib import plots

        fits = {r.label: r.results.get("train", {}).get("result", {}) for r in self._both}
        epochs = {name: result.get("fit", {}).get("epochs") for name, result in fits.items()}
        if not all(epochs.values()):
            return None
        return plots.run_curves({n: pd.DataFrame(e).set_index("epoch") for n, e in epochs.items()})

    def scores(self) -> Any:
        """Lay out accuracy on validation, test and spatial split."""
        rows = {"Validation, meilleure époque": [_validation(run) for run in self._both]}
        for text, stage in (("Test", "evaluate"), ("Découpage spatial", "evaluate_spatial")):
            rows[text] = [_score(run.score(stage)).replace("<br>", " ") for run in self._both]
        return self._frame(rows, "Exactitude")

    def differences(self) -> Any:
        """Lay out what differs: parameters, profiles included, and conditions of the training."""
        both = [
            {LABELS.get(key, key): written(value) for key, value in run.settings.items()}
            | {text: run.origin.get(key, "") for key, text in CONDITIONS.items()}
            for run in self._both
        ]
        names = [name for name in both[0] | both[1] if both[0].get(name) != both[1].get(name)]
        rows = {name: [own.get(name) or "—" for own in both] for name in names}
        return self._frame(rows or {"rien": ["—", "—"]}, "Ce qui diffère")

    def _frame(self, rows: Mapping[str, Sequence[str]], title: str) -> Any:
        import pandas as pd

        names = [run.label for run in self._both]
        return pd.DataFrame.from_dict(dict(rows), orient="index", columns=names).rename_axis(title)


def _predictions(run: Run) -> dict[str, tuple[str, str]]:
    rows = read_csv(run.paths.artifacts / "predictions.csv")
    return {row["name"]: (row["truth"], row["prediction"]) for row in rows}


def compare(root: Path, first: str, second: str) -> Path:
    """Execute ``compare.ipynb`` for two runs and export it; return the page.

    Raises:
        UserError: a run does not exist, or both are the same.
    """
    Pair.find(root, first, second)
    from eurosat_lib.report.export import Rapport
    from eurosat_lib.report.run import execute

    page = root / "reports" / "comparaisons" / f"{first or '_'}+{second or '_'}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".compare-", dir=page.parent) as folder:
        executed = Path(folder, "compare.ipynb")
        values = {"first": first, "second": second}
        execute(root / "notebooks" / "compare.ipynb", executed, values, root)
        text, _ = Rapport().from_filename(str(executed))
    write_text(page, text)
    return page
