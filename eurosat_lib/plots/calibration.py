"""Figures of notebook 07: reliability diagram, risk against coverage."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.evaluation import Errors
from eurosat_lib.evaluation.calibration import Reliability
from eurosat_lib.french import intervalle, nombre, pct
from eurosat_lib.plots.axes import percent
from eurosat_lib.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    SMALL,
    SOFT,
    finish,
    new_figure,
    one_axes,
    styled,
)


@styled
def reliability(errors: Errors) -> Figure:
    """Show accuracy against confidence, before and after temperature scaling."""
    fig = new_figure(3.9)
    axes = fig.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 1))
    heat = f"T = {nombre(errors.temperature, 2)}"
    for column, (name, found, color) in enumerate(
        (("avant", errors.before, ORANGE), (f"après, {heat}", errors.after, BLUE))
    ):
        top, bottom = axes[:, column]
        _diagonal(top, found, errors.level, color)
        top.set_title(
            f"{name} : ECE {pct(found.ece)} (si calibré : ≤ {pct(found.ece_calibrated)})"
        )
        shares = [b.n / errors.n for b in found.bins]
        bottom.bar(_centers(found), shares, width=_width(found), color=color, alpha=0.35)
        bottom.set_xlabel("confiance (%)")
        percent(bottom.xaxis)
        percent(bottom.yaxis)
    percent(axes[0, 0].yaxis)
    axes[0, 0].set_ylabel("exactitude (%)")
    axes[1, 0].set_ylabel("images (%)")
    level = pct(errors.level, 0)
    alt = (
        f"Exactitude selon la confiance, par tranche, avec intervalles à {level} : l’erreur de "
        f"calibration passe de {pct(errors.before.ece)} à {pct(errors.after.ece)} à la "
        f"température {nombre(errors.temperature, 2)} ; un réseau calibré resterait sous "
        f"{pct(errors.before.ece_calibrated)} et {pct(errors.after.ece_calibrated)}."
    )
    return finish(fig, "Fiabilité de la confiance sur le test", alt)


def _diagonal(ax: Axes, found: Reliability, level: float, color: str) -> None:
    ax.plot((0, 1), (0, 1), color=SOFT, ls="--", lw=1)
    filled = [b for b in found.bins if b.n]
    x = np.array([b.confidence for b in filled])
    y = np.array([b.accuracy for b in filled])
    bounds = np.array([b.interval(level) for b in filled]).T
    ax.errorbar(x, y, np.abs(bounds - y), color=color, fmt="o", ms=4, lw=1.2)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)


def _centers(found: Reliability) -> list[float]:
    return [(b.low + b.high) / 2 for b in found.bins]


def _width(found: Reliability) -> float:
    return 0.9 * (found.bins[0].high - found.bins[0].low)


@styled
def risk_coverage(errors: Errors) -> Figure:
    """Show the share of errors among the images kept, the least sure left out first."""
    curve = errors.selection
    fig, ax = one_axes(2.7)
    ax.plot(curve.coverage, curve.risk, color=BLUE, label="ordre de confiance")
    ax.plot(curve.coverage, curve.ideal, color=GREEN, ls="-.", lw=1.2, label="ordre idéal")
    ax.axhline(curve.error_rate, color=SOFT, ls="--", lw=1, label="au hasard")
    share, risk = curve.kept / errors.n, curve.kept_errors / curve.kept
    low, high = curve.kept_interval(errors.level)
    ax.errorbar([share], [risk], [[risk - low], [high - risk]], color=ORANGE, fmt="o", capsize=3)
    ax.annotate(
        f"{pct(share, 0)} des images : {pct(risk)} d’erreurs",
        (share, high),
        xytext=(-6, 8),
        textcoords="offset points",
        ha="right",
        color=ORANGE,
        fontsize=SMALL,
    )
    ax.set_xlim(0, 1)
    ax.set_ylim(0, max(1.25 * curve.error_rate, 0.01))
    ax.set_xlabel("images gardées, les plus sûres d’abord (%)")
    ax.set_ylabel("erreurs parmi elles (%)")
    percent(ax.xaxis)
    percent(ax.yaxis)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    alt = (
        f"En gardant les {pct(share, 0)} d’images les plus sûres, {pct(risk)} d’erreurs, "
        f"intervalle à {pct(errors.level, 0)} {intervalle((low, high))}, contre "
        f"{pct(curve.error_rate)} sur toutes ; AURC {nombre(curve.aurc, 4)}, idéale "
        f"{nombre(curve.aurc_ideal, 4)}."
    )
    return finish(fig, "Risque selon la couverture, sur le test", alt)
