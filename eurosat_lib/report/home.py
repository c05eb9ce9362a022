"""The landing page of ``make lab``: the seven steps with what is kept, and all runs. In French."""

from __future__ import annotations

import datetime
import html
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from eurosat_lib.config import Config, configure
from eurosat_lib.errors import UserError
from eurosat_lib.files import read_json
from eurosat_lib.french import FIXED, duree, intervalle, pct, plural
from eurosat_lib.protocol import NOTEBOOK_STAGES
from eurosat_lib.report.meta import french_date
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.execution import execute
from eurosat_lib.report.runner.failures import NotebookFailed
from eurosat_lib.report.runner.parameters import read_notebook
from eurosat_lib.report.runner.plan import Request
from eurosat_lib.report.runs.page import value
from eurosat_lib.report.runs.reading import Run, find_runs
from eurosat_lib.report.runs.settings import chosen, label, settings
from eurosat_lib.stages import result_path, scope

NAME = "accueil.ipynb"
CELL = "text-align:left;vertical-align:top"


def steps(config: Config) -> None:
    """Display the seven notebooks and which of their results this run has."""
    known = scope(config)
    rows = [_step(config, name, names, known) for name, names in NOTEBOOK_STAGES.items()]
    _display(("Notebook", "État", "Calculé"), rows)


def runs(config: Config) -> None:
    """Display the runs that have results, what differs in their parameters, and their scores."""
    root = Path(config.paths.root)
    found = find_runs(root)
    values = [settings(run) for run in found]
    keys = chosen([v for v in values if v], str(root / "configs" / "config.yaml"))
    rows = [
        _run(run, [(label(key), own[key]) for key in keys if key in own])
        for run, own in zip(found, values, strict=True)
    ]
    _display(("Run", "Ce qui diffère", "Validation", "Test", "Calculs", "À ouvrir"), rows)


def prepare(request: Request, console: Console) -> Path:
    """Execute ``notebooks/accueil.ipynb`` into ``reports/``, so that it opens on its tables.

    If it cannot be executed, the copy is the source as it is, and the console says why.

    Raises:
        UserError: profile, data or name are wrong, or there is no such notebook.
    """
    fields = ("config_path", "profile", "data", "name")
    values = {field: getattr(request, field) for field in fields if getattr(request, field)}
    root = Path(configure(**values).paths.root)
    notebook, page = read_notebook(root / "notebooks" / NAME), root / "reports" / NAME
    page.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".accueil-", dir=page.parent) as folder:
        events, partial = Path(folder, "progress.jsonl"), Path(folder, NAME)
        console.begin("landing page", events)
        try:
            execute(notebook, values, partial, page.parent, events, console.tick)
            console.finish()
        except (UserError, NotebookFailed) as error:
            console.abandon()
            console.line(f"left empty: {error}")
            shutil.copyfile(notebook.path, partial)
        os.replace(partial, page)
    return page


def _step(config: Config, name: str, names: Sequence[str], known: dict) -> tuple[str, ...]:
    path = Path(config.paths.root, "notebooks", f"{name}.ipynb")
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    trees = [read_json(result_path(config, stage)) or {} for stage in names]
    done = [tree["provenance"] for tree in trees if _same(tree.get("scope"), known)]
    state = f"{len(done)} sur {plural(len(names), 'étape')}" if done else "à faire"
    last = max(done, key=lambda origin: origin["started"], default=None)
    return (
        _link(path, first.splitlines()[0].lstrip("# ")),
        "calculé" if len(done) == len(names) else state,
        html.escape(f"{_moment(last['started'])}, {last['device']}") if last else "—",
    )


def _same(found: dict | None, known: dict) -> bool:
    """Tell whether a result is of this experiment; the spatial split is another cut of it."""
    return found is not None and found | {"data": ""} == known | {"data": ""}


def _run(run: Run, own: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    train, test, reports = run.train, run.test, run.paths.reports
    bounds = (test["low"], test["high"]) if test else ()
    files = {"rapport": reports / "rapport.html", "PDF": reports / "rapport.pdf"}
    return (
        html.escape(run.label),
        "<br>".join(f"{html.escape(name)} = {value(item)}" for name, item in own) or "—",
        pct(train["best_val_accuracy"], 2) if train else "—",
        f"{pct(test['accuracy'], 2)} {intervalle(bounds, 2)}" if test else "—",
        duree(run.seconds),
        " · ".join(_link(path, text) for text, path in files.items() if path.is_file()),
    )


def _display(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    from IPython.display import HTML, display

    head = "".join(f'<th style="{CELL}">{text}</th>' for text in heads)
    lines = ("".join(f'<td style="{CELL}">{cell}</td>' for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    display(HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"))


def _link(target: Path, text: str) -> str:
    """Link a file from the folder that the kernel runs in: the notebook's own."""
    address = quote(Path(os.path.relpath(target)).as_posix())
    return f'<a href="{address}">{html.escape(text)}</a>'


def _moment(iso: str) -> str:
    """Write a moment in local time: ``22 novembre 2026, 19 h 26``."""
    at = datetime.datetime.fromisoformat(iso).astimezone()
    return f"{french_date(at.date())}, {at.hour}{FIXED}h{FIXED}{at.minute:02d}"
