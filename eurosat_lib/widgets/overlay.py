"""Notebook 06: any runs of ``runs/`` over one another."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.config import Config
from eurosat_lib.plots.axes import decimal, epochs, percent
from eurosat_lib.plots.style import SERIES, finish, one_axes, styled
from eurosat_lib.tracking import TRAINING_TAGS, read_run
from eurosat_lib.widgets.pictures import SHOWN, figure_png, freeze, line
from eurosat_lib.widgets.shell import Missing, view

MOST = 8  # runs at once
LINES = ("-", "--")  # the second round of colours is dashed
TAGS = {
    "exactitude de validation": "val/accuracy",
    "perte de validation": "val/loss",
    "exactitude d’entraînement": "train/accuracy",
    "perte d’entraînement": "train/loss",
    "norme du gradient": "train/grad_norm",
}


def find_runs(folder: Path) -> list[str]:
    """List the trainings below a folder of TensorBoard runs, by their path in it."""
    events = folder.rglob("events.out.tfevents.*")
    found = {path.parent.relative_to(folder).as_posix() for path in events}
    return sorted(name for name in found if not _is_no_training(name))


def _is_no_training(name: str) -> bool:
    stages = ("lr_finder", "overfit_small", "explore_dataset", "evaluate")
    return any(part in stages for part in name.split("/"))


class Runs:
    """Read runs once; a run that goes on is read again."""

    def __init__(self, folder: Path) -> None:
        """Take the folder ``runs``."""
        self.folder = folder
        self._read: dict[str, tuple[int, dict[str, pd.Series]]] = {}

    def series(self, name: str, tag: str) -> pd.Series:
        """Return one tag of a run: values indexed by epoch; empty without it."""
        size = sum(p.stat().st_size for p in (self.folder / name).glob("events*"))
        if self._read.get(name, (None,))[0] != size:
            self._read[name] = (size, read_run(self.folder / name, TRAINING_TAGS))
        return self._read[name][1].get(tag, pd.Series(dtype=float))


class Overlay:
    """One axes on which runs come and go."""

    def __init__(self) -> None:
        """Draw it empty."""
        self.figure = _axes()

    def draw(self, tag: str, curves: Mapping[str, pd.Series]) -> bytes:
        """Return the picture (PNG) of one tag of some runs."""
        ax = self.figure.axes[0]
        empty = [pd.Series(dtype=float)] * (MOST - len(curves))
        for one, values in zip(ax.lines, [*curves.values(), *empty], strict=True):
            one.set_data(values.index, values.to_numpy())
        _scale(ax, tag, list(curves.values()))
        return figure_png(self.figure)


def legend(names: Iterable[str]) -> str:
    """Return HTML: the runs by name, in the colours of their lines; it stands beside them."""
    rows = []
    for rank, name in enumerate(names):
        stroke = "dashed" if rank >= len(SERIES) else "solid"
        look = f"border-top:3px {stroke} {SERIES[rank % len(SERIES)]}"
        sample = f'<span style="display:inline-block;width:24px;margin-right:6px;{look};'
        rows.append(f'{sample}vertical-align:middle"></span>{html.escape(name)}<br>')
    return f'<div style="font-size:12px;line-height:1.6">{"".join(rows)}</div>'


def _scale(ax: Axes, tag: str, curves: Sequence[pd.Series]) -> None:
    filled = [values for values in curves if len(values)]
    ax.relim()
    ax.autoscale(axis="y")
    ax.set_ylabel(next(text for text, known in TAGS.items() if known == tag))
    (percent if tag.endswith("accuracy") else decimal)(ax.yaxis)
    if filled:
        epochs(ax, max(2, *(int(values.index.max()) for values in filled)))


@styled
def _axes() -> Figure:
    fig, ax = one_axes(3.0)
    for rank in range(MOST):
        style = {"color": SERIES[rank % len(SERIES)], "ls": LINES[rank // len(SERIES)]}
        ax.plot([], [], marker="o", ms=3.5, **style)
    ax.set_ylabel("exactitude de validation")
    ax.set_ylim(0.001, 0.999)
    decimal(ax.yaxis)
    epochs(ax, 10)
    return freeze(finish(fig, "Les runs choisis", "Courbes des runs choisis."))


@view
def runs(config: Config) -> Any:
    """Choose up to eight runs, of this run's folder and of others, and what to compare."""
    import ipywidgets as w

    folder = Path(config.paths.root) / "runs"
    names = find_runs(folder)
    if not names:
        raise Missing("aucun run dans runs/ ; exécuter d’abord le notebook 05_grid ou 06_train.")
    reader, overlay = Runs(folder), Overlay()
    picks = w.SelectMultiple(options=names, rows=12, layout=w.Layout(width="420px"))
    tag = w.Dropdown(options=TAGS, description="mesure")
    again = w.Button(description="Relire runs/")
    picture, text, names_shown = w.Image(format="png", width=SHOWN), w.HTML(), w.HTML()

    def draw(*_: Any) -> None:
        """Draw the chosen runs."""
        chosen = picks.value[:MOST]
        picture.value = overlay.draw(tag.value, {n: reader.series(n, tag.value) for n in chosen})
        names_shown.value = legend(chosen)
        more = f" (les {MOST} premiers sont tracés)" if len(picks.value) > MOST else ""
        text.value = line(f"Ctrl ou Maj pour en choisir plusieurs{more}.")

    def reread(*_: Any) -> None:
        """List the runs anew, the choice kept."""
        kept = picks.value
        picks.options = find_runs(folder)
        picks.value = [name for name in kept if name in picks.options]
        draw()

    picks.observe(draw, "value")
    tag.observe(draw, "value")
    again.on_click(reread)
    trained = [name for name in names if "train" in name.split("/")]
    picks.value = (trained or names)[:1]
    drawn = w.HBox([picture, names_shown], layout=w.Layout(flex_flow="row wrap"))
    return w.VBox([w.HBox([picks, w.VBox([tag, again, text])]), drawn])
