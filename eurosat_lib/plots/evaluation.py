"""Figures of notebook 07: confusion matrix, scores per class, worst errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import from_numpy

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import Evaluation, Prediction, wilson
from eurosat_lib.french import THIN, nombre, pct
from eurosat_lib.plots.axes import percent
from eurosat_lib.plots.pictures import break_name, fill, gallery
from eurosat_lib.plots.style import (
    BLUE,
    ORANGE,
    SMALL,
    SOFT,
    bare,
    categories,
    finish,
    one_axes,
    say,
    styled,
)
from eurosat_lib.tables.words import plural

COLUMNS = 4  # pictures in a row: their titles name two classes


@styled
def confusion(evaluation: Evaluation) -> Figure:
    """Show the confusion matrix in images, hits in blue and errors in orange.

    Colours follow the share of the true class, on a scale of their own for hits and errors.
    """
    names = list(evaluation.classes)
    counts = pd.DataFrame(evaluation.confusion, index=names, columns=names)
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    hits = np.eye(len(names), dtype=bool)
    text = counts.map(lambda n: nombre(int(n)) if n else "")
    fig, ax = one_axes(4.5)
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
        hits = round(s.recall * s.support)
        if s.support:
            bounds = wilson(hits, s.support, evaluation.confidence_level)
            ax.plot(bounds, [row, row], color=BLUE, lw=5, alpha=0.2, solid_capstyle="butt")
    for key, marker, color, label in (
        ("precision", "^", ORANGE, "précision"),
        ("recall", "o", BLUE, f"rappel, intervalle à {pct(evaluation.confidence_level, 0)}"),
        ("f1", "|", "black", "F1"),
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


@styled
def worst_errors(config: Config, evaluation: Evaluation, count: int = 12) -> Figure:
    """Show the wrong predictions of highest confidence, at the source's resolution.

    Args:
        config: for the data.
        evaluation: its predictions name the test images.
        count: pictures, at most.
    """
    wrong = [p for p in evaluation.predictions if p.prediction != p.truth]
    worst = sorted(wrong, key=lambda p: -p.confidence)[:count]
    title = "Les erreurs les plus sûres d’elles : vrai → prédit, probabilité"
    if not worst:
        fig, ax = one_axes(1.2)
        say(bare(ax), "aucune erreur sur le test")
        return finish(fig, title, "Aucune erreur : il n’y a pas d’image à montrer.")
    test = load_dataset(config).test
    place = {name: index for index, name in enumerate(test.names)}
    images = from_numpy(test.images[[place[p.name] for p in worst]]) / 255
    fig, axes = gallery(COLUMNS, -(-len(worst) // COLUMNS), title_lines=2)
    fill(axes, list(images), [_error(evaluation, p) for p in worst])
    alt = f"{plural(len(worst), 'image')} de test mal classées avec la plus grande confiance : "
    lines = (_error(evaluation, p).replace("\n", " ") for p in worst)
    return finish(fig, title, alt + " ; ".join(lines) + ".")


def _error(evaluation: Evaluation, p: Prediction) -> str:
    truth, guess = evaluation.classes[p.truth], evaluation.classes[p.prediction]
    sure = f">{THIN}{pct(0.999)}" if p.confidence > 0.9995 else pct(p.confidence)
    return f"{truth}\n→ {guess}, {sure}"
