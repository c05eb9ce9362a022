"""What the notebook ``accueil`` displays: the seven steps, and the runs. Plain HTML, in French."""

from __future__ import annotations

import datetime
import html
import os
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from urllib.parse import quote

from eurosat_lib.config import Config
from eurosat_lib.data import describe_source
from eurosat_lib.errors import UserError, in_french
from eurosat_lib.french import FIXED, duree, intervalle, pct
from eurosat_lib.report.home.status import Step, find_steps
from eurosat_lib.report.meta import MONTHS
from eurosat_lib.report.runs.page import value
from eurosat_lib.report.runs.reading import Run, find_runs
from eurosat_lib.report.runs.settings import chosen, label, settings
from eurosat_lib.tables.words import plural, typeset

NEEDS = {  # notebook -> what it starts from, and what it does without
    "01_data": "les images",
    "02_baselines": "les images",
    "03_model_checks": "les images",
    "04_lr_finder": "les images",
    "05_grid": "le LR de 04, sinon celui de la configuration",
    "06_train": "la grille de 05, sinon les valeurs de la configuration",
    "07_eval": "le checkpoint de 06, sinon 07 l’entraîne",
}
SHOWN = 3  # missing stages named
SHORT = 5.0  # seconds below which a notebook computes for a moment only
CELL = "text-align:left;vertical-align:top"
SOFT = "opacity:.72;font-size:90%"


def _shown(write: Callable[[Config], str]) -> Callable[[Config], None]:
    """Display what a function writes; a line of text instead when the input is wrong."""

    @wraps(write)
    def show(config: Config) -> None:
        """Display what the cell writes, or the error in French."""
        from IPython.display import publish_display_data

        try:
            text = write(config)
        except UserError as error:
            text = f"<p>{html.escape(typeset(in_french(error)))}</p>"
        publish_display_data({"text/html": text, "text/plain": "page d’accueil"})

    return show


@_shown
def steps(config: Config) -> str:
    """Show the seven notebooks: what each needs, what is computed, how long the rest takes.

    The first call on a machine reads the images and measures the speed; later ones are quick.
    """
    found = find_steps(config)
    left = sum(step.seconds for step in found)
    total = "tout est calculé"
    if any(step.missing for step in found):
        total = f"il reste à calculer{FIXED}: {_about(left)}"
    head = (
        f"Profil <b>{config.profile}</b>{_named(config)}, images{FIXED}: "
        f"{html.escape(describe_source(config).location)}. Sur cette machine, {total}."
    )
    heads = ("Notebook", "Il lui faut", "État", "Calculé", "Reste")
    return f"<p>{head}</p>" + _table(heads, map(_step, found)) + f"<p>{_reports(config)}</p>"


@_shown
def runs(config: Config) -> str:
    """Show the runs that have results, what differs in their parameters, and their scores."""
    root = Path(config.paths.root)
    found = find_runs(root)
    if not found:
        return "<p>Aucun run n’a encore de résultats.</p>"
    values = [settings(run) for run in found]
    keys = chosen([v for v in values if v], str(root / "configs" / "config.yaml"))
    rows = [
        _run(run, [(label(k), own[k]) for k in keys if k in own])
        for run, own in zip(found, values, strict=True)
    ]
    heads = ("Run", "Ce qui diffère", "Validation", "Test", "Calculs", "À ouvrir")
    index = root / "reports" / "index.html"
    more = f"<p>{_link(index, 'Tous les runs, en détail')}</p>" if index.is_file() else ""
    return _table(heads, rows) + more


def _step(step: Step) -> tuple[str, ...]:
    when = f'<span style="white-space:nowrap">{_moment(step.when)}</span>' if step.when else "—"
    device = html.escape(step.where.split(",")[0])
    return (
        _link(step.path, step.title),
        NEEDS[step.path.stem],
        _state(step),
        f'{when}<br><span style="{SOFT}">{device}</span>' if step.when else "—",
        _about(step.seconds) if step.missing else "—",
    )


def _about(seconds: float) -> str:
    """Write an estimate no finer than it is: ``≈ 25 s``, ``≈ 12 min``, ``≈ 1 h 55 min``."""
    if seconds < SHORT:
        return "un instant"
    step = 5 if seconds < 60 else 60 if seconds < 3600 else 300
    return f"≈{FIXED}{duree(step * round(seconds / step))}"


def _state(step: Step) -> str:
    total = len(step.done) + len(step.missing)
    if not step.missing:
        return f"✓{FIXED}calculé"
    reasons = list(dict.fromkeys(filter(None, step.missing.values())))
    why = f"sur place{FIXED}: {' ; '.join(reasons)}" if reasons else ""
    names = ", ".join([*step.missing][:SHOWN]) + ("…" if len(step.missing) > SHOWN else "")
    word = f"◐{FIXED}{len(step.done)} sur {plural(total, 'étape')}" if step.done else "○ à faire"
    lines = filter(None, (why, f"manque : {names}" if step.done else ""))
    small = [f'<span style="{SOFT}">{html.escape(typeset(line))}</span>' for line in lines]
    return "<br>".join([word, *small])


def _run(run: Run, own: Sequence[tuple[str, object]]) -> tuple[str, ...]:
    train, test = run.train, run.test
    score = "—"
    if test:
        score = f"{pct(test['accuracy'], 2)} {intervalle((test['low'], test['high']), 2)}"
    places = {  # files: JupyterLab opens no folder by a link
        "rapport": run.paths.reports / "rapport.html",
        "PDF": run.paths.reports / "rapport.pdf",
        "métriques": run.paths.artifacts / "metrics.json",
    }
    return (
        html.escape(run.label),
        "<br>".join(f"{html.escape(name)} = {value(item)}" for name, item in own) or "—",
        pct(train["best_val_accuracy"], 2) if train else "pas entraîné",
        score,
        duree(run.seconds),
        " · ".join(_link(path, text) for text, path in places.items() if path.is_file()),
    )


def _reports(config: Config) -> str:
    report = config.paths.reports / "rapport.html"
    name = f" NAME={config.paths.name}" if config.paths.name else ""
    if report.is_file():
        return f"{_link(report, 'Le rapport')} de ce run a déjà été construit."
    command = f"make report PROFILE={config.profile}{name}"
    return (
        f"Le rapport n’est pas encore construit{FIXED}: <code>{command}</code> dans un terminal."
    )


def _named(config: Config) -> str:
    return f", run <b>{config.paths.name}</b>" if config.paths.name else ""


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th style="{CELL}">{text}</th>' for text in heads)
    lines = (
        "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _link(target: Path, text: str) -> str:
    """Link a file from the folder that the kernel runs in: the notebook's own."""
    address = quote(Path(os.path.relpath(target)).as_posix())
    return f'<a href="{address}">{html.escape(text)}</a>'


def _moment(iso: str) -> str:
    """Write a moment in local time: ``22 novembre, 19 h 26``."""
    at = datetime.datetime.fromisoformat(iso).astimezone()
    day = "1er" if at.day == 1 else at.day
    return f"{day} {MONTHS[at.month - 1]}, {at.hour}{FIXED}h{FIXED}{at.minute:02d}"
