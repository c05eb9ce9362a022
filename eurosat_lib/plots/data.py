"""Charts of notebook 01: classes and colours."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eurosat_lib.data.audit import Audit
from eurosat_lib.french import nombre
from eurosat_lib.plots.axes import decimal
from eurosat_lib.plots.style import (
    BLUE,
    GREEN,
    INK,
    MARKERS,
    ORANGE,
    RULE,
    SKY,
    SMALL,
    SOFT,
    categories,
    finish,
    one_axes,
    styled,
)
from eurosat_lib.tables.words import SPLITS, plural

# Of the [0, 1] values of ImageNet's training images: torchvision's constants.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
CHANNELS = ("rouge", "vert", "bleu")
CHANNEL_COLORS = (ORANGE, GREEN, BLUE)
HEAD = {"fontsize": SMALL, "bbox": {"fc": "white", "ec": "none", "pad": 1}}
NARROW = 0.035  # share of the axis below which a bar is too short for its number


@styled
def class_distribution(audit: Audit) -> Figure:
    """Stack the images of the three splits, class by class, the most frequent class on top."""
    train = audit.counts["train"]
    order = sorted(range(len(train)), key=lambda i: (train[i], -i))
    names = [audit.classes[i] for i in order]
    fig, ax = one_axes(0.27 * len(order) + 1.0)
    left = np.zeros(len(order), dtype=int)
    colors = (BLUE, SKY, RULE)
    for (split, counts), color in zip(audit.counts.items(), colors, strict=True):
        widths = np.array([counts[i] for i in order])
        ax.barh(names, widths, left=left, color=color, height=0.78, edgecolor="white")
        _number_bars(ax, widths, left, sum(map(max, audit.counts.values())), color)
        middle = left[-1] + widths[-1] / 2
        ax.text(middle, len(order) - 0.4, SPLITS[split], ha="center", color=SOFT, **HEAD)
        left += widths
    for row, total in enumerate(left):
        ax.text(total, row, f" {nombre(int(total))}", va="center", fontsize=SMALL, weight="bold")
    ax.set_xlabel("images")
    ax.set_ylabel("classe")
    ax.set_xlim(0, left.max() * 1.07)
    decimal(ax.xaxis)
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    categories(ax)
    least, most = order[0], order[-1]
    alt = (
        f"Barres empilées par classe. En entraînement, {audit.classes[most]} est la plus "
        f"fréquente ({plural(train[most], 'image')}) et {audit.classes[least]} la plus rare "
        f"({nombre(train[least])}), un rapport de {nombre(train[most] / train[least], 2)}."
    )
    return finish(fig, "Images par classe et par split", alt)


def _number_bars(ax: Axes, widths: np.ndarray, left: np.ndarray, room: int, color: str) -> None:
    for row, (width, start) in enumerate(zip(widths, left, strict=True)):
        if width > NARROW * room:
            ax.text(
                start + width / 2,
                row,
                nombre(int(width)),
                ha="center",
                va="center",
                fontsize=SMALL,
                color="white" if color == BLUE else INK,
            )


@styled
def class_colours(audit: Audit) -> Figure:
    """Compare mean and standard deviation of each channel, class by class, with ImageNet's."""
    rows = _colour_rows(audit)
    fig, ax = one_axes(0.27 * len(rows) + 1.0)
    for channel, (word, color) in enumerate(zip(CHANNELS, CHANNEL_COLORS, strict=True)):
        heights = np.arange(len(rows)) + 0.22 * (channel - 1)
        mean, sd = (np.array([row[k][channel] for row in rows]) for k in (1, 2))
        marker = {"fmt": MARKERS[channel], "color": color, "ms": 3.8, "lw": 1.1}
        ax.errorbar(mean, heights, xerr=sd, label=word, elinewidth=0.9, **marker)
        ax.axvline(IMAGENET_MEAN[channel], color=color, lw=0.8, ls=(0, (4, 3)), zorder=0)
    ax.axhline(1.5, color=SOFT, lw=0.8)
    ax.set_yticks(range(len(rows)), [row[0] for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel("valeur des pixels (0 : noir, 1 : pleine intensité) ; tirets : ImageNet")
    decimal(ax.xaxis)
    categories(ax)
    ax.legend(loc="lower right", ncols=3, frameon=True, edgecolor="none")
    means = " ; ".join(
        f"{name} {' / '.join(nombre(m, 2) for m in mean)}" for name, mean, _ in rows
    )
    alt = f"Moyenne des canaux rouge, vert et bleu : {means}. Les barres disent l’écart-type."
    return finish(fig, "Moyenne ± écart-type de chaque canal, par classe, face à ImageNet", alt)


def _colour_rows(audit: Audit) -> list[tuple[str, tuple, tuple]]:
    """List ImageNet, the whole training split, then its classes from bright to dark."""
    present = [k for k, count in enumerate(audit.counts["train"]) if count]
    order = sorted(present, key=lambda k: -sum(audit.colours[k].mean))
    classes = [(audit.classes[k], audit.colours[k].mean, audit.colours[k].sd) for k in order]
    own = ("toutes les classes", audit.channel_mean, audit.channel_sd)
    return [("ImageNet", IMAGENET_MEAN, IMAGENET_SD), own, *classes]
