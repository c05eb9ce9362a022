"""Tiles that share ground, or an edge, with a tile of another split."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.data.audit import Overlaps, Seams
from eurosat_lib.data.audit.overlaps import Overlap
from eurosat_lib.data.audit.tiles import Tile
from eurosat_lib.french import nombre, pct
from eurosat_lib.plots.axes import decimal, percent
from eurosat_lib.plots.pictures import break_name, show
from eurosat_lib.plots.style import (
    BLUE,
    INK,
    ORANGE,
    bare,
    finish,
    new_figure,
    say,
    styled,
)
from eurosat_lib.plots.tiles import class_of, picture, pixels
from eurosat_lib.tables.words import plural

COLUMNS = 5  # pairs in a row


@styled
def overlaps(config: Config, found: Overlaps) -> Figure:
    """Show how the threshold splits the pairs, and some pairs laid over each other."""
    dataset = load_dataset(config)
    kept = _shown(found)
    rows = [row for row in (kept, found.rejected[:COLUMNS]) if row]
    fig = new_figure(1.9 + 1.75 * len(rows))
    heights = [1.9, *[1.75] * len(rows)]
    upper, *lower = fig.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _correlations(upper.subplots(), found)
    for part, row in zip(lower, rows, strict=True):
        for ax, pair in zip(part.subplots(1, COLUMNS), [*row, *[None] * COLUMNS], strict=False):
            bare(ax)
            if pair:
                _mosaic(ax, dataset, pair, ORANGE if pair.correlation >= found.same else BLUE)
    some, none = "Vignettes qui se chevauchent : le même terrain deux fois", "Aucun chevauchement"
    return finish(fig, some if found.pairs else none, _told(found))


def _shown(found: Overlaps) -> list[Overlap]:
    """Choose pairs outside the test: first those whose classes differ, then the largest share."""
    seen = [p for p in found.pairs if "test" not in (p.first.split, p.second.split)]
    return sorted(seen, key=lambda p: p.first.label == p.second.label)[:COLUMNS]


def _correlations(ax: Axes, found: Overlaps) -> None:
    ax.set_xlabel("corrélation du rectangle commun")
    ax.set_ylabel("paires proposées")
    ax.set_xlim(-0.3, 1)
    decimal(ax.xaxis)
    if not found.correlations:
        say(ax, "aucune paire proposée")
        return
    counts, edges = np.histogram(found.correlations, np.arange(-0.3, 1.001, 0.05))
    colors = [ORANGE if edge > found.same - 0.01 else BLUE for edge in edges[:-1]]
    ax.bar(edges[:-1], counts, 0.045, align="edge", color=colors)
    ax.axvline(found.same - 0.0025, color=INK, lw=0.9, ls=(0, (4, 3)))
    ax.grid(False, axis="x")


def _mosaic(ax: Axes, dataset: EuroSAT, pair: Overlap, color: str) -> None:
    """Lay the second tile over the first, and draw the outline of both."""
    first, second = (pixels(dataset, tile) for tile in (pair.first, pair.second))
    height, width = first.shape[1:]
    top, left = min(0, pair.down), min(0, pair.right)
    names = [break_name(class_of(dataset, tile)) for tile in (pair.first, pair.second)]
    title = names[0] if names[0] == names[1] else f"{names[0]} /\n{names[1]}"
    title += f"\n{nombre(pair.correlation, 2)}"
    for image, down, right, edge in (
        (first, -top, -left, "white"),
        (second, pair.down - top, pair.right - left, color),
    ):
        show(ax, picture(image), title, color, corner=(right, down))
        frame = {"fill": False, "ec": edge, "lw": 1.2, "zorder": 2}
        ax.add_patch(Rectangle((right - 0.5, down - 0.5), width, height, **frame))
    ax.set_xlim(-0.5, width + abs(pair.right) - 0.5)
    ax.set_ylim(height + abs(pair.down) - 0.5, -0.5)


def _told(found: Overlaps) -> str:
    facts = found.facts()
    words = [
        f"{p.first.name} et {p.second.name}, {pct(p.share, 0)} en commun" for p in _shown(found)
    ]
    shown = f" Montrées : {' ; '.join(words)}." if words else ""
    return (
        f"Sur {plural(facts['proposed'], 'paire')} proposées, {nombre(facts['found'])} au-dessus "
        f"d’une corrélation de {nombre(found.same)}.{shown}"
    )


@styled
def seams(config: Config, found: Seams) -> Figure:
    """Show how often edges agree, against the control, and the tiles that fit best."""
    dataset = load_dataset(config)
    rows = -(-len(found.best) // 3)
    fig = new_figure(2.2 + 1.25 * rows)
    upper, lower = fig.subfigures(2, 1, height_ratios=(2.1, 1.25 * rows or 0.01))
    _agreements(upper.subplots(), found)
    axes = lower.subplots(max(rows, 1), 3, squeeze=False)
    for cell in axes.flat:
        bare(cell)
    for cell, seam in zip(axes.flat, found.best, strict=False):
        picture = _joined(dataset, seam.validation, seam.train, seam.side)
        show(
            cell,
            picture,
            f"{class_of(dataset, seam.validation)} | {class_of(dataset, seam.train)}",
        )
    some = "Des vignettes de validation prolongent une vignette de train"
    none = "Validation et train ne se raccordent pas plus que le témoin"
    return finish(fig, some if found.facts()["found"] else none, _fits(found))


def _agreements(ax: Axes, found: Seams) -> None:
    """Draw the share of tiles above each agreement, for the edges and for the control."""
    for values, name, color, style in (
        (found.agreements, "bord contre bord", ORANGE, "-"),
        (found.controls, "témoin : bord contre intérieur", BLUE, (0, (4, 2))),
    ):
        share = 1 - np.arange(len(values)) / max(found.compared, 1)
        ax.step(values, share, where="pre", color=color, ls=style, label=name)
    start = found.excesses[0].threshold
    highest = max(found.excesses[0].seams, found.excesses[0].controls) / max(found.compared, 1)
    ax.set_xlim(start, 1)
    ax.set_ylim(0, 1.05 * highest or 1)
    ax.set_xlabel("accord des deux lignes de pixels (1 : identiques)")
    ax.set_ylabel("vignettes au-dessus")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    decimal(ax.xaxis)
    percent(ax.yaxis)
    ax.legend(loc="upper right")


def _fits(found: Seams) -> str:
    best = found.facts()["main"]
    names = ", ".join(f"{s.validation.name} et {s.train.name}" for s in found.best)
    return (
        f"À un accord de {nombre(best['threshold'])}, {plural(best['seams'], 'vignette')} de "
        f"validation sur {nombre(found.compared)} ont un bord qui s’accorde à un bord de train, "
        f"contre {nombre(best['controls'])} pour le témoin. Meilleurs raccords : {names}."
    )


def _joined(dataset: EuroSAT, validation: Tile, train: Tile, side: str) -> Tensor:
    """Put two tiles side by side across their seam; a vertical pair is laid on its side."""
    first, second = pixels(dataset, validation), pixels(dataset, train)
    pair = (first, second) if side in ("right", "bottom") else (second, first)
    if side in ("right", "left"):
        return picture(np.concatenate(pair, axis=2))
    return picture(np.rot90(np.concatenate(pair, axis=1), axes=(1, 2)))
