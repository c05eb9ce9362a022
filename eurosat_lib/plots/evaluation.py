"""Figures of notebook 07: confusion matrix, scores per class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from eurosat_lib.evaluation import Evaluation
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import percent
from eurosat_lib.plots.pictures import break_name
from eurosat_lib.plots.style import (
    BLUE,
    INK,
    ORANGE,
    SMALL,
    SOFT,
    categories,
    finish,
    one_axes,
    styled,
)
from eurosat_lib.tables.words import plural


@styled
def confusion(evaluation: Evaluation) -> Figure:
    """Show the confusion matrix in images and per cent of the true class.

    Colours follow that share, in blue for hits and, on a scale of their own, orange for errors.
    """
    names = list(evaluation.classes)
    counts = pd.DataFrame(evaluation.confusion, index=names, columns=names)
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    hits = np.eye(len(names), dtype=bool)
    text = counts.map(nombre).where(counts > 0, "") + (
        ("\n" + shares.map(pct)).where(counts > 0, "")
    )
    fig, ax = one_axes(5.0)
    empty = counts == 0
    worst = max(float(shares.mask(hits, 0).max().max()), 1e-9)
    for mask, cmap, top in ((~hits, "Blues", 1.15), (hits | empty, "Oranges", 1.3 * worst)):
        sns.heatmap(
            shares,
            ax=ax,
            mask=mask,
            cmap=cmap,
            vmin=0,
            vmax=top,
            annot=text,
            fmt="",
            annot_kws={"fontsize": SMALL},
            cbar=False,
            linewidths=0.8,
            linecolor="#eceff3",
        )
    short = [break_name(name, 16) for name in names]
    ax.set_xticks(ax.get_xticks(), short, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.grid(False)
    ax.set_xlabel("classe prédite")
    ax.set_ylabel("classe vraie")
    return finish(
        fig, f"Matrice de confusion sur {plural(evaluation.n, 'image')} de test", _seen(evaluation)
    )


def _seen(evaluation: Evaluation) -> str:
    errors = evaluation.n - evaluation.correct
    alt = f"{nombre(evaluation.correct)} images de test sur {nombre(evaluation.n)} bien classées"
    if not errors:
        return f"{alt} : aucune erreur."
    pairs = ", ".join(f"{t} prise pour {p} ({n})" for t, p, n in evaluation.confusions()[:3])
    return f"{alt} ; {plural(errors, 'erreur')}, dont les plus fréquentes : {pairs}."


@styled
def per_class(evaluation: Evaluation) -> Figure:
    """Show F1, precision and recall per class, the hardest class at the bottom."""
    scores = sorted(evaluation.per_class, key=lambda s: s.f1)
    fig, ax = one_axes(0.3 * len(scores) + 1.0)
    rows = np.arange(len(scores))
    for row, s in enumerate(scores):
        bounds = s.interval("f1", evaluation.confidence_level)
        ax.plot(bounds, [row, row], color=INK, lw=5, alpha=0.18, solid_capstyle="butt")
    for key, marker, color, label in (
        ("precision", "^", ORANGE, "précision"),
        ("recall", "o", BLUE, "rappel"),
        ("f1", "|", "black", f"F1, intervalle à {pct(evaluation.confidence_level, 0)}"),
    ):
        size = 130 if marker == "|" else 26
        values = [getattr(s, key) for s in scores]
        ax.scatter(values, rows, marker=marker, color=color, s=size, label=label, zorder=3)
    ax.axvline(evaluation.macro_f1, color=SOFT, ls="--", lw=1)
    macro = f"macro-F1 : {pct(evaluation.macro_f1)}"
    place = {"xytext": (-4, 0), "textcoords": "offset points", "fontsize": SMALL}
    ax.annotate(macro, (evaluation.macro_f1, -0.75), ha="right", va="center", color=SOFT, **place)
    ax.set_yticks(rows, [f"{s.name} ({nombre(s.support)})" for s in scores])
    ax.set_ylim(-1.1, len(scores) - 0.5)
    ax.set_ylabel("classe (images de test)")
    ax.set_xlabel("score (%)")
    percent(ax.xaxis)
    categories(ax)
    ax.grid(True, axis="y")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    alt = "F1 par classe, de la plus facile à la plus difficile : " + ", ".join(
        f"{s.name} {pct(s.f1)}" for s in reversed(scores)
    )
    return finish(fig, "Scores par classe sur le test", f"{alt} ; {macro}.")
