"""Notebook 06: the final training with live curves, stopped and resumed by a button."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from eurosat_lib import stages
from eurosat_lib.config import Config
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import decimal, epochs, percent
from eurosat_lib.plots.style import BLUE, SOFT, finish, new_figure, styled
from eurosat_lib.progress import Pace, duration
from eurosat_lib.stages.final import final_plan
from eurosat_lib.tracking import TRAINING_TAGS, read_run
from eurosat_lib.training.final import Training
from eurosat_lib.widgets.jobs import Job
from eurosat_lib.widgets.pictures import SHOWN, figure_png, freeze, line
from eurosat_lib.widgets.shell import view

LINES = {"train": ("entraînement", SOFT, "--"), "val": ("validation", BLUE, "-")}
OFTEN = 0.2  # seconds between two movements of the bar
SELDOM = 0.5  # seconds between two drawings of the curves: an epoch may be shorter


class Curves:
    """Loss and accuracy of a training, epoch by epoch."""

    def __init__(self, planned: int) -> None:
        """Draw empty axes for a number of epochs."""
        self.figure = _axes(planned)

    def draw(self, run: Mapping[str, pd.Series]) -> bytes:
        """Return the picture (PNG) of the epochs so far: tag -> values by epoch."""
        for ax in self.figure.axes:
            for one in ax.lines:
                values = run.get(one.get_gid(), pd.Series(dtype=float))
                one.set_data(values.index, values.to_numpy())
            ax.relim()
            ax.autoscale(axis="y")
        return figure_png(self.figure)


@styled
def _axes(planned: int) -> Figure:
    fig = new_figure(2.6)
    for ax, kind in zip(fig.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, (name, color, dashes) in LINES.items():
            style = {"color": color, "ls": dashes, "marker": "o", "ms": 3}
            ax.plot([], [], label=name, gid=f"{part}/{kind}", **style)
        ax.set_ylim(0.001, 0.999)
        epochs(ax, planned)
        (percent if kind == "accuracy" else decimal)(ax.yaxis)
        ax.set_ylabel("exactitude (%)" if kind == "accuracy" else "perte (nats)")
        ax.legend(loc="upper right" if kind == "loss" else "lower right")
    return freeze(
        finish(fig, "L’entraînement final, en direct", "Perte et exactitude, en direct.")
    )


def describe(job: Job, run: Mapping[str, pd.Series], planned: int) -> str:
    """Say in French how far the training is."""
    accuracy = run.get("val/accuracy", pd.Series(dtype=float))
    ready = "Prêt. L’entraînement se fait en arrière-plan : le notebook reste utilisable."
    if len(accuracy) == planned:
        ready = "Déjà entraîné ainsi : le bouton relit ce résultat."
    done = f"époque {nombre(len(accuracy))} sur {nombre(planned)}"
    best = f", meilleure validation {pct(accuracy.max())}" if len(accuracy) else ""
    return {
        "idle": ready,
        "running": f"En cours : {done}{best}.",
        "stopped": f"Arrêté : {done}{best}. Reprendre continue après la dernière époque entière.",
        "done": f"Terminé : {done}{best}. La cellule suivante relit ce résultat.",
        "failed": f"Échec : {job.error}",
    }[job.state]


@view
def train(config: Config) -> Any:
    """Start, stop and resume the final training; its curves grow epoch by epoch."""
    return Live(config).box


class Live:
    """The view of the final training, of ``stages.train``."""

    def __init__(self, config: Config) -> None:
        """Build the view; a training that is done is shown at once."""
        import ipywidgets as w

        plan, _ = final_plan(config)
        self.planned = plan.epochs
        self.folder = config.paths.runs / Training.stage / plan.hyperparameters.name
        self.job, self.curves = Job(lambda: stages.train(config), self._hear), Curves(plan.epochs)
        self.button = w.Button(button_style="primary")
        self.bar = w.IntProgress(max=1, layout=w.Layout(width="320px"))
        self.left, self.text = w.HTML(), w.HTML()
        self.picture = w.Image(format="png", width=SHOWN)
        self.button.on_click(self._press)
        row = w.HBox([self.button, self.bar, self.left], layout=w.Layout(align_items="center"))
        self.box = w.VBox([row, self.text, self.picture])
        self._run: dict[str, pd.Series] = {}  # the longest curves seen
        self._pace: Pace | None = None
        self._heard, self._drawn, self._note = 0.0, 0.0, ""
        self._drawing = threading.Lock()  # the training's thread and the button's draw in turn
        self._show()

    def _press(self, *_: Any) -> None:
        """Answer at once: the training's thread draws, at its next epoch or once stopped."""
        if self.job.state == "running":
            self.job.stop()
        else:
            self.job.start()
        with self._drawing:
            self._label()

    def _hear(self, event: dict[str, Any]) -> None:
        """Hear of the training, in its thread."""
        if event["event"] == "state":
            self._show()
        elif event["event"] == "start":
            self._pace = Pace(event)
        elif event["event"] == "advance" and self._pace:
            self._pace.hear(event)
            if event["time"] - self._heard >= OFTEN:
                self._heard = event["time"]
                self._move(event, self._pace.left(event))
            if event["note"] != self._note and event["time"] - self._drawn >= SELDOM:
                self._note, self._drawn = event["note"], event["time"]
                self._show()

    def _move(self, event: dict[str, Any], left: float | None) -> None:
        self.bar.max, self.bar.value = max(event["total"], 1), event["done"]
        if left is not None and left >= 1:
            self.left.value = line(f"encore environ {duration(round(left))}")

    def _show(self) -> None:
        """Read the run and draw it."""
        with self._drawing:
            self._read()
            self.picture.value = self.curves.draw(self._run)
            self._label()

    def _read(self) -> None:
        """Read the epochs so far; a training that goes on writes its earlier ones anew."""
        run = read_run(self.folder, TRAINING_TAGS) if self.folder.is_dir() else {}
        count = len(run.get("val/loss", ()))
        started = self.job.state != "idle"
        if count >= len(self._run.get("val/loss", ())) and (started or count == self.planned):
            self._run = run

    def _label(self) -> None:
        state = self.job.state
        names = {"idle": "Entraîner", "running": "Arrêter", "stopped": "Reprendre"}
        self.button.description = names.get(state, "Terminé" if state == "done" else "Réessayer")
        self.button.disabled = state == "done" or self.job.stopping
        if self.job.stopping:
            self.button.description = "Arrêt…"
        if state != "running":
            self.left.value = ""
        self.text.value = line(describe(self.job, self._run, self.planned))
