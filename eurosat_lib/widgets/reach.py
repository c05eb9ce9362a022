"""Notebook 03: the receptive field of any (blocks, dilation) over an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.french import nombre, pct
from eurosat_lib.model import count_parameters_by_formula, receptive_field
from eurosat_lib.plots.style import ORANGE
from eurosat_lib.widgets.pictures import line, tag
from eurosat_lib.widgets.shell import view

SIDE = 200  # CSS pixels of the image
FRAME = 560  # of the drawing around it


def drawing(image: np.ndarray, size: int, side: int, row: int, column: int) -> str:
    """Return HTML: an image, and the square that one output of stage 3 sees.

    Args:
        image: uint8 (3, H, W).
        size: side of the network's input, in pixels.
        side: of the receptive field, in the same pixels.
        row: of the output whose field is shown, 0 to size / 4 - 1.
        column: likewise.
    """
    scale, start = SIDE / size, (FRAME - SIDE) / 2
    top, left = (start + scale * (4 * place + 2 - side / 2) for place in (row, column))
    square = (
        f"position:absolute;top:{top:.1f}px;left:{left:.1f}px;width:{side * scale:.1f}px;"
        f"height:{side * scale:.1f}px;border:2px solid {ORANGE};box-sizing:border-box"
    )
    frame = f"position:relative;overflow:hidden;width:{FRAME}px;height:{FRAME}px"
    place = f"position:absolute;top:{start}px;left:{start}px"
    picture = f'<div style="{place}">{tag(image, "", SIDE)}</div>'
    field = f'<div data-drawn style="{square}"></div>'
    return f'<div style="{frame};background:#8882">{picture}{field}</div>'


def describe(config: Config, blocks: int, dilation: int) -> str:
    """Say in French what the two values cost and see."""
    side, size = receptive_field(blocks, dilation), config.data.image_size
    count = count_parameters_by_formula(config.model.channels, blocks)
    share = min(side / size, 1) ** 2
    seen = "plus que l’image entière" if side > size else f"{pct(share, 0)} de l’image, au centre"
    return (
        f"Champ réceptif : <b>{side} × {side} pixels</b>, {seen} ; "
        f"{nombre(count)} paramètres, quelle que soit la dilatation."
    )


@view
def field(config: Config) -> Any:
    """Move blocks, dilation and the place of the output."""
    import ipywidgets as w

    dataset, size = load_dataset(config), config.data.image_size
    image = dataset.validation.images[0]
    side = size // 4  # of the map that stage 3 gives
    blocks = w.IntSlider(value=config.model.blocks_per_stage, min=1, max=4, description="blocs B")
    dilation = w.IntSlider(
        value=config.model.dilation_stage3, min=1, max=4, description="dilatation D"
    )
    row, column = (
        w.IntSlider(value=side // 2, min=1, max=side, description=name)
        for name in ("ligne", "colonne")
    )
    text, shown = w.HTML(layout=w.Layout(width="340px")), w.HTML()

    def draw(*_: Any) -> None:
        """Draw the receptive field of the chosen output."""
        field = receptive_field(blocks.value, dilation.value)
        text.value = line(describe(config, blocks.value, dilation.value)) + line(hint)
        shown.value = drawing(image, size, field, row.value - 1, column.value - 1)

    hint = (
        f"Le carré orange est ce que voit une sortie de l’étage 3, à la ligne et à la colonne "
        f"choisies de sa carte de {side} × {side}."
    )
    controls = (blocks, dilation, row, column)
    for control in controls:
        control.observe(draw, "value")
    draw()
    wrap = w.Layout(flex_flow="row wrap")
    return w.HBox([w.VBox([*controls, text]), shown], layout=wrap)
