"""Curves drawn quickly for JupyterLab, those of a training while it runs, TensorBoard inline."""

from __future__ import annotations

import base64
import html
import io
import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from IPython.display import HTML, display
from matplotlib.figure import Figure

from eurosat_lib import trainings
from eurosat_lib.config import Config
from eurosat_lib.french import power, typeset
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.plots import style
from eurosat_lib.progress import BUILT
from eurosat_lib.tracking import TRAINING_TAGS, read_run

HEIGHT = 2.8  # inches
PARTS = {"train": (" entraînement", "--"), "val": (" validation", "-")}
KINDS = {"loss": "perte (nats)", "accuracy": "exactitude (%)"}
REST = 10.0  # times what drawing takes: training has the rest


def img(file: io.BytesIO, alt: str, look: str) -> str:
    """Write a PNG file as an HTML image, ``look`` its style."""
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" style="{look}" src="data:image/png;base64,{data}">'


def chart(panels: Mapping[str, Sequence[tuple]], xlabel: str, log: bool = False) -> str:
    """Draw lines as an HTML image, in a tenth of a second: no layout is sought.

    Args:
        panels: label of the y axis -> lines, each (x, y, look as for ``Axes.plot``).
        xlabel: of all panels.
        log: whether x is logarithmic; else it counts epochs.
    """
    with matplotlib.style.context(style.STYLE, after_reset=True):
        figure, file = Figure((style.WIDTH, HEIGHT)), io.BytesIO()
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        figure.subplots_adjust(0.09, 0.35, 0.985, 0.97, 0.22)
        for ax, (label, lines) in zip(axes, panels.items(), strict=True):
            for x, y, look in lines:
                ax.plot(x, y, **look)
            style.log_axis(ax) if log else style.epochs(ax, max(max(x) for x, *_ in lines))
            ax.set(xlabel=typeset(xlabel), ylabel=label)
            ax.yaxis.set_major_formatter(style.french_ticks(label))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=2)
        figure.savefig(file, format="png", dpi=style.DPI, pil_kwargs={"compress_level": 1})
    alt = f"{', '.join(panels)} selon : {xlabel}"
    return img(file, alt, "max-width:100%;background:white")


def sweep_chart(read: LRFinder) -> str:
    """Draw the losses of each seed, as they are and smoothed, and the rate that is read."""
    top, lines = 1.35 * max(one.smoothed[0] for one in read.sweeps), []  # above: diverged
    for one, color in zip(read.sweeps, itertools.cycle(style.SEED_COLOURS), strict=False):
        label = {"label": f"graine {one.seed}"}
        for values, look in ((one.loss, {"lw": 0.5, "alpha": 0.4}), (one.smoothed, label)):
            shown = np.where(np.array(values) < top, values, np.nan)
            lines.append((one.lr, shown, {"color": color} | look))
    if read.choice:
        low, label = min(min(one.smoothed) for one in read.sweeps), f"LR lu : {power(read.choice)}"
        look = {"color": style.ORANGE, "lw": 2, "label": label}
        lines.append(([read.choice] * 2, [low, top], look))
    return chart({"perte (nats)": lines}, "pas d’apprentissage (échelle logarithmique)", log=True)


def training_chart(runs: Mapping[str, pd.DataFrame]) -> str:
    """Draw loss and accuracy of trainings, dashed in training and solid on validation.

    Args:
        runs: name -> one row per epoch (index: epoch, from 1), with ``train_loss`` and the like.
    """
    panels = {
        label: [
            (rows.index, rows[f"{part}_{kind}"], {"label": f"{name}{word}", "ls": dashes} | look)
            for rank, (name, rows) in enumerate(runs.items())
            for part, (word, dashes) in PARTS.items()
            for look in [{"ms": 3} | style.series(rank)]
        ]
        for kind, label in KINDS.items()
    }
    return chart(panels, "époque")


def curves() -> None:
    """Have the trainings of this notebook draw their curves below the running cell.

    What is drawn is read from the events of the run, so that a training which goes on after the
    stop button shows its earlier epochs as well. Nothing while a report is built.
    """
    if "ipykernel" in sys.modules and BUILT not in os.environ:
        trainings.watch(_start)


def _start(folder: Path) -> Callable[[bool], None]:
    shown, due = display(HTML(""), display_id=True), 0.0

    def draw(last: bool) -> None:
        """Read the events and draw their curves, unless that was a moment ago."""
        nonlocal due
        begun = time.monotonic()
        if begun < due and not last:
            return
        with suppress(Exception):  # a picture that fails stops no training
            rows = pd.DataFrame(read_run(folder, TRAINING_TAGS)).rename(columns=TRAINING_TAGS)
            shown.update(HTML(training_chart({"": rows})))
        due = time.monotonic() + REST * (time.monotonic() - begun)

    return draw


def tensorboard(config: Config) -> None:
    """Open TensorBoard below the cell, on all runs, to lay them over each other."""
    from tensorboard import notebook

    beside = Path(sys.executable).with_name("tensorboard")  # the kernel's PATH may lack it
    if beside.is_file():
        os.environ.setdefault("TENSORBOARD_BINARY", str(beside))
    notebook.start(f"--logdir {config.paths.runs}")
