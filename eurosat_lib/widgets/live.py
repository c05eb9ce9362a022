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
from eurosat_lib.stages.final import final_plan
from eurosat_lib.tracking import TRAINING_TAGS, read_run
from eurosat_lib.training.final import Training
from eurosat_lib.widgets.jobs import Job
from eurosat_lib.widgets.pictures import SHOWN, figure_png, freeze, line
from eurosat_lib.widgets.shell import view

LINES = {"train": ("entraînement", SOFT, "--"), "val": ("validation", BLUE, "-")}
OFTEN = 0.2  # seconds between two movements of the bar


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
    return freeze(finish(fig, "L’entraînement en cours", "Perte et exactitude, en direct."))


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
        self.text, self.picture = w.HTML(), w.Image(format="png", width=SHOWN)
        self.button.on_click(self._press)
        row = w.HBox([self.button, self.bar])
        self.box = w.VBox([row, self.text, self.picture])
        self._heard, self._note = 0.0, ""
        self._drawing = threading.Lock()  # the training's thread and the button's draw in turn
        self._show()

    def _press(self, *_: Any) -> None:
        if self.job.state == "running":
            self.button.disabled = True
            self.job.stop()
        else:
            self.job.start()
            self._show()

    def _hear(self, event: dict[str, Any]) -> None:
        """Hear of the training, in its thread."""
        if event["event"] == "state":
            self._show()
        elif event["event"] == "advance":
            due = event["time"] - self._heard >= OFTEN
            if due or event["note"] != self._note:
                self._heard, self.bar.max = event["time"], max(event["total"], 1)
                self.bar.value = event["done"]
            if event["note"] != self._note:
                self._note = event["note"]
                self._show()

    def _show(self) -> None:
        with self._drawing:
            self._draw()

    def _draw(self) -> None:
        state = self.job.state
        run = read_run(self.folder, TRAINING_TAGS) if self.folder.is_dir() else {}
        if state == "idle" and len(run.get("val/loss", ())) < self.planned:
            run = {}
        names = {"idle": "Entraîner", "running": "Arrêter", "stopped": "Reprendre"}
        self.button.description = names.get(state, "Terminé" if state == "done" else "Réessayer")
        self.button.disabled = state == "done"
        self.text.value = line(describe(self.job, run, self.planned))
        self.picture.value = self.curves.draw(run)
