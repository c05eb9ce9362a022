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
    INK,
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
def channel_statistics(audit: Audit) -> Figure:
    """Compare mean and standard deviation of each channel with ImageNet's."""
    fig, ax = one_axes(2.3)
    own = "données synthétiques" if audit.source_kind == "synthetic" else "EuroSAT"
    series = (
        (own, audit.channel_mean, audit.channel_sd, BLUE, "o", -0.15),
        ("ImageNet", IMAGENET_MEAN, IMAGENET_SD, ORANGE, "s", 0.15),
    )
    for name, mean, sd, color, marker, shift in series:
        rows = np.arange(3) + shift
        ax.errorbar(mean, rows, xerr=sd, fmt=marker, color=color, capsize=3, lw=1.4)
        for row, m, s in zip(rows, mean, sd, strict=True):
            text = f"{name} : {nombre(m, 3)} ± {nombre(s, 3)}"
            place = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(1.01, row, text, color=color, fontsize=SMALL, **place)
    ax.set_yticks(range(3), CHANNELS)
    ax.set_ylim(2.5, -0.5)
    ax.set_xlim(0, 0.8)
    ax.set_ylabel("canal")
    ax.set_xlabel("valeur des pixels (0 : noir, 1 : pleine intensité)")
    decimal(ax.xaxis)
    categories(ax)
    values = " ; ".join(
        f"{channel} {nombre(m, 3)} ± {nombre(s, 3)} contre {nombre(im, 3)} ± {nombre(isd, 3)}"
        for channel, m, s, im, isd in zip(
            CHANNELS, audit.channel_mean, audit.channel_sd, IMAGENET_MEAN, IMAGENET_SD, strict=True
        )
    )
    alt = f"Moyenne et écart-type par canal, {own} contre ImageNet : {values}."
    return finish(fig, "Moyenne ± écart-type de chaque canal, face à ImageNet", alt)
