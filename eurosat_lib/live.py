"""Pictures in JupyterLab's outputs: figures as HTML, curves of a training while it runs."""

from __future__ import annotations

import base64
import html
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
from IPython.display import HTML, display
from matplotlib.figure import Figure

from eurosat_lib import trainings
from eurosat_lib.plots import style
from eurosat_lib.plots.training import run_curves
from eurosat_lib.progress import BUILT
from eurosat_lib.tracking import TRAINING_TAGS, read_run

REST = 10.0  # times what drawing takes: training has the rest


def img(png: bytes, alt: str, look: str) -> str:
    """Write a PNG file as an HTML image, ``look`` its style."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" style="{look}" src="data:image/png;base64,{data}">'


def picture(figure: Figure) -> str:
    """Write a figure as an HTML image."""
    alt = figure.get_label()
    return img(style.save(figure, "png", dpi=style.DPI), alt, "max-width:100%;background:white")


def curves() -> None:
    """Have the trainings of this notebook draw their curves below the running cell.

    What is drawn is read from the events of the run, so that a training which goes on after the
    stop button shows its earlier epochs as well. Nothing while a report is built.
    """
    if "ipykernel" in sys.modules and BUILT not in os.environ:
        trainings.watchers[:] = [_start]


def _start(folder: Path) -> Callable[[bool], None]:
    shown, due = display(HTML(""), display_id=True), 0.0

    def draw(last: bool) -> None:
        """Draw the curves anew, unless that was a moment ago."""
        nonlocal due
        begun = time.monotonic()
        if begun < due and not last:
            return
        with suppress(Exception):  # a picture that fails stops no training
            rows = pd.DataFrame(read_run(folder, TRAINING_TAGS)).rename(columns=TRAINING_TAGS)
            shown.update(HTML(picture(run_curves({"": rows}))))
        due = time.monotonic() + REST * (time.monotonic() - begun)

    return draw
