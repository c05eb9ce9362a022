"""Lay out pictures in rows, as the network sees them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from eurosat_lib.plots.style import INK, SMALL, WIDTH, bare, new_figure


def gallery(columns: int, rows: int, title_lines: int = 1) -> tuple[Figure, np.ndarray]:
    """Make a figure of square axes; the height leaves room for titles of so many lines.

    Returns:
        The figure, and its axes: (rows, columns).
    """
    side = WIDTH / columns - 0.08
    fig = new_figure(rows * (side + 0.08 + 0.15 * title_lines) + 0.35)
    return fig, fig.subplots(rows, columns, squeeze=False)


def show(
    ax: Axes,
    image: Tensor,
    title: str = "",
    color: str = INK,
    corner: tuple[float, float] = (0, 0),
) -> None:
    """Show an image, pixel by pixel.

    Args:
        ax: becomes bare.
        image: float32 (3, H, W) in [0, 1].
        title: above it.
        color: of the title.
        corner: where its first pixel lies, right and down from the axes' origin, in pixels.
    """
    (right, down), (height, width) = corner, image.shape[1:]
    extent = (right - 0.5, right + width - 0.5, down + height - 0.5, down - 0.5)
    shown = image.permute(1, 2, 0).cpu().numpy()
    bare(ax).imshow(shown, interpolation="nearest", extent=extent)
    ax.set_title(title, fontsize=SMALL, color=color, loc="center", pad=3)


def fill(axes: np.ndarray, images: Sequence[Tensor], titles: Sequence[str]) -> None:
    """Show images row by row; axes left over stay empty."""
    for ax in axes.flat:
        bare(ax)
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        show(ax, image, title)


def break_name(name: str, longest: int = 13) -> str:
    """Break a long class name at its capital: ``HerbaceousVegetation`` takes two lines."""
    if len(name) <= longest:
        return name
    return "\n".join(re.findall(r"^[^A-Z]+|[A-Z][^A-Z]*", name))
