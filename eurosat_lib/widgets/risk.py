"""Notebook 07: a threshold of confidence, and what it costs and saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from eurosat_lib.calibration import select
from eurosat_lib.config import Config
from eurosat_lib.evaluation import Evaluation, Predictions
from eurosat_lib.french import intervalle, nombre, pct, plural
from eurosat_lib.plots.style import BLUE, ORANGE, SOFT, finish, one_axes, percent, styled
from eurosat_lib.protocol import kept_predictions
from eurosat_lib.stats import wilson
from eurosat_lib.widgets.controls import slider, steps
from eurosat_lib.widgets.pictures import SHOWN, figure_png, freeze, line
from eurosat_lib.widgets.shell import view


@dataclass(frozen=True)
class Kept:
    """What a threshold keeps of the test images."""

    threshold: float
    total: int
    answered: int
    errors: int

    @property
    def coverage(self) -> float:
        """Share of the images that are answered."""
        return self.answered / self.total

    @property
    def risk(self) -> float:
        """Share of errors among them; 0 if there is none."""
        return self.errors / max(self.answered, 1)


def keep(found: Predictions, threshold: float) -> Kept:
    """Count the test images whose confidence reaches a threshold in [0, 1], and their errors."""
    sure = found.probabilities.max(1) >= threshold
    wrong = found.predicted != found.labels
    return Kept(threshold, len(sure), int(sure.sum()), int((sure & wrong).sum()))


def describe(kept: Kept, level: float) -> str:
    """Say in French what a threshold does."""
    if not kept.answered:
        return f"Seuil {pct(kept.threshold)} : le réseau ne répondrait à aucune image."
    bounds = intervalle(wilson(kept.errors, kept.answered, level))
    return (
        f"Seuil <b>{pct(kept.threshold)}</b> : le réseau répond à "
        f"{plural(kept.answered, 'image')} sur {nombre(kept.total)} ({pct(kept.coverage)}) et se "
        f"trompe sur {plural(kept.errors, 'image')}, soit <b>{pct(kept.risk)}</b> {bounds}."
    )


@styled
def _curve(found: Predictions) -> Figure:
    selection = select(found.probabilities.max(1), found.predicted == found.labels)
    fig, ax = one_axes(2.7)
    ax.plot(selection.coverage, selection.risk, color=BLUE)
    ax.axhline(selection.error_rate, color=SOFT, ls="--", lw=1)
    ax.plot([1], [selection.error_rate], "o", color=ORANGE, ms=8, gid="point")
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, max(1.25 * selection.error_rate, 0.01))
    ax.set_xlabel("images répondues, les plus sûres d’abord (%)")
    ax.set_ylabel("erreurs parmi elles (%)")
    percent(ax.xaxis)
    percent(ax.yaxis)
    return freeze(finish(fig, "Risque selon la couverture, sur le test", "Risque et couverture."))


class Curve:
    """The curve of risk against coverage, with a point that moves."""

    def __init__(self, found: Predictions) -> None:
        """Draw the curve once."""
        self.found, self.figure = found, _curve(found)
        self.point = next(p for p in self.figure.axes[0].lines if p.get_gid() == "point")

    def move(self, threshold: float) -> tuple[Kept, bytes]:
        """Return what a threshold keeps, and the picture (PNG)."""
        kept = keep(self.found, threshold)
        shown = kept.answered > 0
        self.point.set_data([kept.coverage] if shown else [], [kept.risk] if shown else [])
        return kept, figure_png(self.figure)


@view
def threshold(config: Config, evaluation: Evaluation) -> Any:
    """Move the confidence below which the network does not answer."""
    import ipywidgets as w

    curve = Curve(kept_predictions(config, evaluation))
    level = slider([*steps(0, 0.995, 0.005), 0.999], 0.5, "confiance ≥", pct)
    text, picture = w.HTML(), w.Image(format="png", width=SHOWN)

    def draw(*_: Any) -> None:
        kept, picture.value = curve.move(level.value)
        text.value = line(describe(kept, evaluation.confidence_level))

    level.observe(draw, "value")
    draw()
    return w.VBox([level, text, picture])
