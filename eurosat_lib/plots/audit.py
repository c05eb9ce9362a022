"""Charts of the audit: the search for near-duplicates, the map of the training images."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eurosat_lib.data.audit import Duplicates, Landscape
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import decimal, log_y
from eurosat_lib.plots.style import (
    BLUE,
    INK,
    ORANGE,
    SKY,
    SMALL,
    SOFT,
    bare,
    finish,
    new_figure,
    one_axes,
    say,
    styled,
)
from eurosat_lib.tables.words import plural

# Ten hues that keep apart in a crowd; the names stand beside the points as well.
HUES = (
    "#c8a415",
    "#00785a",
    "#7fb23a",
    "#57606a",
    "#a3397b",
    "#37b39b",
    "#c44e00",
    "#e0637a",
    "#56b4e9",
    "#0b4f9e",
)


@styled
def duplicate_search(duplicates: Duplicates) -> Figure:
    """Show the distances to the nearest image, and how the close pairs' details agree."""
    fig = new_figure(2.9)
    left, right = fig.subplots(1, 2, width_ratios=(1, 1.15))
    _nearest(left, duplicates)
    _agreement(right, duplicates)
    facts = duplicates.facts()
    alt = (
        f"À gauche, distance de chaque image à la plus proche, en bits sur {duplicates.bits} ; à "
        f"droite, corrélation de {plural(facts['candidates'], 'paire')} à {duplicates.radius} "
        f"bits au plus : {nombre(facts['near'])} au-dessus du seuil de {nombre(duplicates.same)}, "
        f"la suivante à {nombre(facts['strongest_rejected'], 2)}."
    )
    return finish(fig, "Quasi-doublons : une empreinte propose, les détails décident", alt)


def _nearest(ax: Axes, duplicates: Duplicates) -> None:
    counts = np.array(duplicates.nearest)
    bits = np.arange(len(counts))
    colors = [ORANGE if b <= duplicates.radius else BLUE for b in bits]
    ax.bar(bits, counts, color=colors, width=0.85)
    ax.set_xlabel(f"bits différents de la plus proche, sur {duplicates.bits}")
    ax.set_ylabel("images")
    if counts.any():
        ax.set_xlim(-0.8, np.flatnonzero(counts).max() + 0.8)
        ax.set_ylim(0.7, counts.max() * 2.2)
        log_y(ax)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.grid(False, axis="x")
    text = f"examinées de près\n(≤ {duplicates.radius} bits)"
    place = {"transform": ax.transAxes, "fontsize": SMALL, "va": "top"}
    ax.text(0.03, 0.97, text, color=ORANGE, **place)


def _agreement(ax: Axes, duplicates: Duplicates) -> None:
    distance = np.array(duplicates.distances, dtype=float)
    correlation = np.array(duplicates.correlations)
    ax.set_xlabel("bits différents de la paire")
    ax.set_ylabel("corrélation des détails, recalés")
    ax.set_xlim(-0.6, duplicates.radius + 0.6)
    ax.set_ylim(0, 1.05)
    decimal(ax.yaxis)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if not len(distance):
        say(ax, "aucune paire aussi proche")
        return
    shift = np.random.default_rng(0).uniform(-0.3, 0.3, len(distance))  # to tell dots apart
    same = correlation >= duplicates.same
    dots = {"s": 5, "linewidths": 0, "rasterized": True}
    ax.scatter((distance + shift)[~same], correlation[~same], color=SKY, alpha=0.5, **dots)
    ax.scatter(distance[same], correlation[same], color=ORANGE, marker="D", s=22, zorder=3)
    ax.axhline(duplicates.same, color=INK, lw=0.9, ls=(0, (4, 3)))
    words = {"fontsize": SMALL, "color": INK, "ha": "right", "va": "bottom"}
    ax.text(duplicates.radius + 0.5, duplicates.same + 0.01, "même lieu au-dessus", **words)


@styled
def landscape(found: Landscape) -> Figure:
    """Draw the map of t-SNE: a dot per image, a name per class."""
    fig, ax = one_axes(4.4)
    x, y, labels = (np.array(v) for v in (found.x, found.y, found.labels))
    for label in np.unique(labels):
        mine = labels == label
        color = HUES[label % len(HUES)]
        ax.scatter(x[mine], y[mine], s=9, color=color, alpha=0.75, linewidths=0, rasterized=True)
    _name_clouds(ax, found)
    bare(ax)
    ax.set_xlabel("axes de t-SNE, sans unité : seules les proximités ont un sens", color=SOFT)
    facts = found.facts()
    alt = (
        f"Carte de {plural(facts['points'], 'image')} d’entraînement, un point par image, une "
        f"couleur par classe. Les plus proches voisines donnent la bonne classe dans "
        f"{pct(facts['accuracy'], 0)} des cas ; {facts['mixed'][0]} et {facts['mixed'][1]} se "
        "mêlent le plus."
    )
    return finish(fig, f"{plural(facts['points'], 'image')}, par couleurs et textures", alt)


def _name_clouds(ax: Axes, found: Landscape) -> None:
    """Write the name of each class where it is most among its own, clear of other names."""
    x, y, labels = (np.array(v) for v in (found.x, found.y, found.labels))
    ax.figure.draw_without_rendering()
    per_point = ax.figure.dpi / 72
    taken: list[tuple[float, float, float]] = []  # x, y, half width, in points
    for label in np.unique(labels):
        name = found.classes[label]
        at = _purest(x, y, labels == label)
        across, up = ax.transData.transform((x[at], y[at])) / per_point
        half = 3.1 * len(name)
        tries = (0, 13, -13, 26, -26, 39, -39)
        free = (t for t in tries if not _covered(across, up + t, half, taken))
        shift = next(free, 0)
        taken.append((across, up + shift, half))
        ax.annotate(
            name,
            (x[at], y[at]),
            xytext=(0, shift),
            textcoords="offset points",
            color=HUES[label % len(HUES)],
            weight="bold",
            ha="center",
            va="center",
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
        )


def _covered(x: float, y: float, half: float, taken: list[tuple[float, float, float]]) -> bool:
    return any(abs(x - a) < half + h and abs(y - b) < 12 for a, b, h in taken)


def _purest(x: np.ndarray, y: np.ndarray, mine: np.ndarray) -> int:
    """Return the point of a class that has most of its own near, and fewest others."""
    own = np.flatnonzero(mine)
    distance = np.hypot(x[own, None] - x, y[own, None] - y)  # (own, all)
    reach = max(float(np.median(distance)) / 6, 1e-6)
    near = np.exp(-((distance / reach) ** 2))
    return int(own[(near[:, mine].sum(1) - near[:, ~mine].sum(1)).argmax()])
