"""Drawing of notebook 03: the network, stage by stage."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle

from eurosat_lib.checks import Architecture
from eurosat_lib.checks.architecture import Layer
from eurosat_lib.french import nombre
from eurosat_lib.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    PANEL,
    RULE,
    SMALL,
    SOFT,
    WIDTH,
    bare,
    finish,
    new_figure,
    styled,
)
from eurosat_lib.tables.words import plural

COLUMN = WIDTH / 5  # inches: input, three stages, head
TALLEST = 0.95  # inches: side of the largest map
DEEPEST = 0.42  # inches: thickness of the thickest stack of maps
SLANT = 0.55  # of the thickness, upwards
FLOOR, BOXES = 2.0, 1.45  # inches: foot of the maps, top of the lists
ROW = 0.2  # inches: an operation


@styled
def architecture(arch: Architecture) -> Figure:
    """Draw the stages: the maps they put out, to scale, above the operations they apply."""
    fig = new_figure(3.5)
    ax = bare(fig.subplots())
    ax.set_xlim(0, WIDTH)
    ax.set_ylim(0.05, 3.15)
    ax.set_aspect("equal")
    shapes = [arch.input_shape, *(_output(arch, f"stages.{i}.") for i in range(3))]
    side, depth = TALLEST / max(s[1] for s in shapes), DEEPEST / max(s[0] for s in shapes)
    colors = (SOFT, BLUE, BLUE, ORANGE, GREEN)
    for column, (heading, lines, count) in enumerate(_columns(arch)):
        middle = (column + 0.5) * COLUMN
        if column < 4:
            channels, height, width = shapes[column]
            size = (max(width * side, 0.08), max(height * side, 0.08), max(channels * depth, 0.02))
            _block(ax, middle, size, colors[column])
            text = f"{channels} × {height} × {width}"
        else:
            _vector(ax, middle, arch.output_shape[0])
            text = f"{arch.output_shape[0]} logits"
        ax.text(middle, FLOOR - 0.16, text, ha="center", weight="bold", fontsize=8)
        _list(ax, middle, heading, lines, count, colors[column])
        if column:
            _arrow(ax, column * COLUMN)
    alt = (
        f"De gauche à droite : image {_by(shapes[0])}, étage 1 → {_by(shapes[1])}, étage 2 → "
        f"{_by(shapes[2])}, étage 3 (dilatation {arch.dilation_stage3}, sans pooling) → "
        f"{_by(shapes[3])}, moyenne globale et couche linéaire → {arch.output_shape[0]} logits ; "
        f"{nombre(arch.parameters)} paramètres en tout."
    )
    title = f"Le réseau : trois étages, {nombre(arch.parameters)} paramètres"
    return finish(fig, title, alt)


def _columns(arch: Architecture) -> list[tuple[str, list[str], int]]:
    """Heading, operations and parameters of each column."""
    blocks, dilation = arch.blocks_per_stage, arch.dilation_stage3
    block = [plural(blocks, "bloc") + " de :", "Conv 3 × 3", "BatchNorm", "ReLU"]
    spread = [block[0], f"Conv 3 × 3, D = {dilation}", *block[2:]]
    pooled = "MaxPool 2 × 2"
    stages = [
        (f"Étage {i + 1}", [*lines, last], _parameters(arch, f"stages.{i}."))
        for i, (lines, last) in enumerate(
            ((block, pooled), (block, pooled), (spread, "sans pooling"))
        )
    ]
    head = ["moyenne globale", f"linéaire {arch.channels[-1]} → {arch.output_shape[0]}"]
    count = arch.parameters - sum(stage[2] for stage in stages)
    return [("Entrée", ["image normalisée", "3 canaux RVB"], 0), *stages, ("Tête", head, count)]


def _layers(arch: Architecture, prefix: str) -> list[Layer]:
    return [layer for layer in arch.layers if layer.name.startswith(prefix)]


def _output(arch: Architecture, prefix: str) -> tuple[int, ...]:
    return _layers(arch, prefix)[-1].output_shape


def _parameters(arch: Architecture, prefix: str) -> int:
    return sum(layer.parameters for layer in _layers(arch, prefix))


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _block(ax: Axes, middle: float, size: tuple[float, float, float], color: str) -> None:
    """Draw a stack of maps as a slanted block: width, height, depth in inches."""
    width, height, depth = size
    x, y = middle - (width + depth) / 2, FLOOR
    dx, dy = depth, SLANT * depth
    style = {"ec": "white", "lw": 0.8, "fc": color}
    ax.add_patch(Rectangle((x, y), width, height, alpha=0.85, **style))
    top = [(x, y + height), (x + dx, y + height + dy)]
    top += [(x + width + dx, y + height + dy), (x + width, y + height)]
    ax.add_patch(Polygon(top, alpha=0.55, **style))
    side = [(x + width, y), (x + width + dx, y + dy)]
    side += [(x + width + dx, y + height + dy), (x + width, y + height)]
    ax.add_patch(Polygon(side, alpha=0.7, **style))


def _vector(ax: Axes, middle: float, values: int) -> None:
    for k in range(values):
        cell = (middle - 0.05, FLOOR + k * TALLEST / values)
        ax.add_patch(Rectangle(cell, 0.1, TALLEST / values, fc=GREEN, ec="white", alpha=0.85))


def _list(ax: Axes, middle: float, heading: str, lines: list[str], count: int, color: str) -> None:
    ax.text(middle, BOXES + 0.1, heading, ha="center", color=color, weight="bold")
    width, height = COLUMN - 0.16, ROW * 5 + 0.14
    style = {"boxstyle": "round,pad=0,rounding_size=0.05", "fc": PANEL, "ec": RULE}
    ax.add_patch(FancyBboxPatch((middle - width / 2, BOXES - height), width, height, **style))
    top = BOXES - (height - ROW * len(lines)) / 2 - ROW / 2
    for row, line in enumerate(lines):
        ax.text(middle, top - row * ROW, line, ha="center", va="center", fontsize=SMALL)
    if len(lines) == 5:  # the pooling comes once, after the blocks
        y = top - 3.5 * ROW
        ax.plot([middle - width / 2, middle + width / 2], [y, y], color=RULE, lw=0.8)
    if count:
        text = plural(count, "paramètre")
        ax.text(middle, BOXES - height - 0.17, text, ha="center", fontsize=7, color=SOFT)


def _arrow(ax: Axes, x: float) -> None:
    y = FLOOR + TALLEST / 2
    style = {"arrowstyle": "-|>", "color": SOFT, "lw": 1, "mutation_scale": 9}
    ax.annotate("", (x + 0.1, y), (x - 0.1, y), arrowprops=style)
