"""The training curves of two runs in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import decimal, epochs, percent
from eurosat_lib.plots.curves import draw
from eurosat_lib.plots.style import MARKERS, SERIES, finish, new_figure, styled
from eurosat_lib.plots.training import LEGEND, PANELS
from eurosat_lib.tables import words


@styled
def run_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Overlay loss and accuracy of several final trainings.

    Args:
        histories: run -> one row per epoch (index: epoch, from 1), with the columns
            ``train_loss``, ``val_loss`` (nats), ``train_accuracy``, ``val_accuracy`` (in [0, 1]).
    """
    fig = new_figure(3.2)
    last = max(int(history.index[-1]) for history in histories.values())
    panels = fig.subplots(1, 2)
    for ax, (kind, label) in zip(panels, PANELS, strict=True):
        _overlay(ax, list(histories.values()), kind)
        ax.set_ylabel(label)
        ax.set_title(LEGEND[kind])
        epochs(ax, last)
        (percent if kind == "accuracy" else decimal)(ax.yaxis)
    lines = panels[0].get_lines()[1::2]
    fig.legend(lines, list(histories), loc="outside lower left", ncols=len(histories))
    alt = " ; ".join(_told(name, history) for name, history in histories.items()) + "."
    return finish(fig, "Courbes d’entraînement des deux runs", alt)


def _overlay(ax: Axes, histories: Sequence[pd.DataFrame], kind: str) -> None:
    for rank, history in enumerate(histories):
        style = {"color": SERIES[rank], "marker": MARKERS[rank]}
        draw(ax, history, f"train_{kind}", ls="--", lw=1, ms=2.5, alpha=0.6, **style)
        draw(ax, history, f"val_{kind}", ms=4, **style)


def _told(name: str, history: pd.DataFrame) -> str:
    last = history.iloc[-1]
    best = history["val_accuracy"].idxmax()
    return (
        f"{name} : {words.plural(len(history), 'époque')}, perte de validation "
        f"{nombre(last['val_loss'], 3)} à la fin, exactitude sur validation "
        f"{pct(last['val_accuracy'])} à la fin, {pct(history['val_accuracy'][best])} au mieux "
        f"(époque {best})"
    )
