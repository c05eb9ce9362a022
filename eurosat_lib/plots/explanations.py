"""Figures of notebook 07 that show images: worst errors, Grad-CAM."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import from_numpy

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import ErrorCase, Errors, Explanation, Explanations
from eurosat_lib.french import THIN, pct
from eurosat_lib.plots.pictures import fill, gallery, show
from eurosat_lib.plots.style import (
    GREEN,
    INK,
    ORANGE,
    SMALL,
    SOFT,
    WIDTH,
    bare,
    finish,
    new_figure,
    one_axes,
    say,
    styled,
)
from eurosat_lib.tables.words import plural

COLUMNS = 4  # pictures in a row: their titles name two classes
CELLS = 4  # of a class: right image, its map, wrong image, its map


@styled
def worst_errors(config: Config, errors: Errors) -> Figure:
    """Show the wrong predictions of highest confidence, at the source's resolution.

    Args:
        config: for the data.
        errors: its cases name the test images; those with a suspected label are marked.
    """
    title = "Les erreurs les plus sûres d’elles : vrai → prédit, probabilité"
    if not errors.worst:
        fig, ax = one_axes(1.2)
        say(bare(ax), "aucune erreur sur le test")
        return finish(fig, title, "Aucune erreur : il n’y a pas d’image à montrer.")
    test = load_dataset(config).test
    place = {name: index for index, name in enumerate(test.names)}
    images = from_numpy(test.images[[place[case.name] for case in errors.worst]]) / 255
    fig, axes = gallery(COLUMNS, -(-len(errors.worst) // COLUMNS), title_lines=2)
    titles = [_error(errors, case) for case in errors.worst]
    marked = sum(case.doubtful for case in errors.worst)
    fill(axes, list(images), titles)
    for ax, case in zip(axes.flat, errors.worst, strict=False):
        if case.doubtful and marked < len(errors.worst):
            ax.title.set_color(ORANGE)
            _frame(ax)
    alt = (
        f"{plural(len(errors.worst), 'image')} de test mal classées avec la plus grande "
        f"confiance, dont {plural(marked, 'étiquette')} à vérifier : "
        + " ; ".join(text.replace("\n", " ") for text in titles)
    )
    return finish(fig, title + _note(marked, len(errors.worst)), alt + ".")


def _note(marked: int, shown: int) -> str:
    if not marked:
        return ""
    which = "toutes" if marked == shown else "encadré"
    return f"\n{which} : étiquette à vérifier à l’œil (cleanlab)"


def _frame(ax: Axes) -> None:
    ax.spines[:].set_visible(True)
    ax.spines[:].set(color=ORANGE, linewidth=2)


def _error(errors: Errors, case: ErrorCase) -> str:
    truth, guess = errors.classes[case.truth], errors.classes[case.prediction]
    return f"{truth}\n→ {guess}, {_sure(case.confidence)}"


def _sure(confidence: float) -> str:
    return f">{THIN}{pct(0.999)}" if confidence > 0.9995 else pct(confidence)


@styled
def grad_cam(config: Config, explanations: Explanations) -> Figure:
    """Show a right and a wrong validation image per class, each beside its Grad-CAM map.

    Args:
        config: for the data.
        explanations: maps of the predicted class.
    """
    count = len(explanations.classes)
    rows, side = -(-count // 2), WIDTH / 8.6
    fig = new_figure(rows * (side + 0.3) + 0.6)
    axes = fig.subplots(rows, 2 * CELLS, squeeze=False)
    fig.get_layout_engine().set(w_pad=0.015, wspace=0.01)
    images = load_dataset(config).validation.images
    for ax in axes.flat:
        bare(ax)
    for truth in range(count):
        row, start = truth // 2, CELLS * (truth % 2)
        for cells, case, color in (
            (axes[row, start : start + 2], explanations.right[truth], GREEN),
            (axes[row, start + 2 : start + 4], explanations.wrong[truth], ORANGE),
        ):
            _pair(cells, case, images, explanations.classes, color)
    shown = explanations.facts()
    alt = (
        "Par classe, l’image de validation bien classée la plus sûre "
        f"({plural(shown['right'], 'image')}) et l’image mal classée la plus sûre "
        f"({plural(shown['wrong'], 'image')}), chacune suivie de sa carte Grad-CAM pour la "
        "classe prédite : clair là où l’indice est fort, sombre là où il est nul."
    )
    title = "Grad-CAM : image juste (vert) et fausse (orange) par classe, avec la carte"
    return finish(fig, title, alt)


def _pair(
    cells: np.ndarray,
    case: Explanation | None,
    images: np.ndarray,
    classes: tuple[str, ...],
    color: str,
) -> None:
    if case is None:
        cells[0].set_title("aucune", fontsize=SMALL, color=SOFT, loc="center", pad=2)
        return
    picture = from_numpy(np.array(images[case.index])) / 255
    right = case.truth == case.prediction
    name = classes[case.truth] if right else f"{classes[case.truth]}\n→ {classes[case.prediction]}"
    show(cells[0], picture)
    cells[0].set_title(name, fontsize=SMALL, color=color, loc="left", pad=2)
    size = images.shape[-1]
    gray = picture.mean(0).numpy()
    cells[1].imshow(gray, cmap="gray", interpolation="nearest")
    box = (-0.5, size - 0.5, size - 0.5, -0.5)
    cells[1].imshow(
        np.array(case.heat),
        cmap="inferno",
        alpha=0.6,
        vmin=0,
        vmax=1,
        extent=box,
        interpolation="bilinear",
    )
    cells[1].text(
        0.97,
        0.04,
        _sure(case.confidence),
        fontsize=SMALL,
        color="white",
        ha="right",
        transform=cells[1].transAxes,
        bbox={"facecolor": INK, "alpha": 0.75, "linewidth": 0, "pad": 1.2},
    )
