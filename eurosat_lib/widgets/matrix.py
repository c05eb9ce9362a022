"""Notebook 07: a confusion matrix whose cells open the images behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.evaluation import Evaluation, Predictions
from eurosat_lib.french import pct, plural
from eurosat_lib.plots.style import INK, ORANGE, break_name
from eurosat_lib.protocol import kept_predictions
from eurosat_lib.widgets.pictures import gallery, line
from eurosat_lib.widgets.shell import view

SHOWN = 24  # pictures at most
ORDERS = {"les plus sûres d’abord": -1, "les moins sûres d’abord": 1}
SHADES = 5  # of a colour
EMPTY = "#f6f7f9"  # a cell without images


def behind(found: Predictions, truth: int, guess: int, sign: int = -1) -> np.ndarray:
    """Find the test images of one cell of the matrix.

    Args:
        found: logits of the test images.
        truth: row, the true class.
        guess: column, the predicted class.
        sign: -1 for the most confident first, 1 for the least.

    Returns:
        int64 (n,), rows of ``found``.
    """
    rows = np.flatnonzero((found.labels == truth) & (found.predicted == guess))
    confidence = found.probabilities[rows, guess]
    return rows[np.argsort(sign * confidence, kind="stable")]


class Cells:
    """Describe and show the images of a cell."""

    def __init__(self, dataset: EuroSAT, found: Predictions) -> None:
        """Find where each predicted image lies in the test split."""
        self.dataset, self.found = dataset, found
        place = {name: index for index, name in enumerate(dataset.test.names)}
        self.index = np.array([place[str(name)] for name in found.names])

    def show(self, truth: int, guess: int, sign: int = -1) -> str:
        """Return HTML: how many images, and the first of them."""
        rows = behind(self.found, truth, guess, sign)
        true, said = self.dataset.classes[truth], self.dataset.classes[guess]
        what = f"<b>{true}</b>, bien classées" if truth == guess else f"<b>{true} → {said}</b>"
        if not len(rows):
            return line(f"{what} : aucune image.")
        cut = f", {SHOWN} montrées" if len(rows) > SHOWN else ""
        rows = rows[:SHOWN]
        shares = self.found.probabilities[rows]
        captions = [
            f"{pct(p[guess])}" + (f"\nvrai : {pct(p[truth])}" if truth != guess else "")
            for p in shares
        ]
        images = self.dataset.test.images[self.index[rows]]
        count = int(((self.found.labels == truth) & (self.found.predicted == guess)).sum())
        return line(f"{what} : {plural(count, 'image')}{cut}.") + gallery(images, captions)


def shade(share: float, hit: bool) -> str:
    """Return the colour of a cell: blue for hits, orange for errors, by share of the row."""
    level = int(np.ceil(SHADES * min(share if hit else share / 0.25, 1)))
    return to_hex(colormaps["Blues" if hit else "Oranges"](0.5 * level / SHADES))


@view
def confusion(config: Config, evaluation: Evaluation) -> Any:
    """Open the images behind a cell by a click, sorted by confidence."""
    import ipywidgets as w

    cells = Cells(load_dataset(config), kept_predictions(config, evaluation))
    order = w.ToggleButtons(options=ORDERS, style={"button_width": "190px"})
    shown, board = w.HTML(), Board(evaluation)

    def draw(*_: Any) -> None:
        shown.value = cells.show(*board.cell, order.value)

    board.on_open = draw
    board.open(*_first(evaluation))
    order.observe(draw, "value")
    hint = w.HTML(line("Lignes : classe vraie. Colonnes : classe prédite. Cliquer sur un nombre."))
    return w.VBox([hint, board.grid, order, shown])


def _first(evaluation: Evaluation) -> tuple[int, int]:
    """Open the most frequent confusion, or the first class if there is no error."""
    found = evaluation.confusions()
    names = evaluation.classes
    return (names.index(found[0][0]), names.index(found[0][1])) if found else (0, 0)


class Board:
    """The matrix as buttons; the open cell has a frame.

    Attributes:
        grid: the widget.
        cell: (true class, predicted class) of the open cell.
        on_open: called after a cell is opened.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        """Lay the buttons out."""
        import ipywidgets as w

        self.cell, self.on_open = (0, 0), lambda: None
        box = {"width": "auto", "margin": "0", "padding": "0"}
        self._plain, self._framed = w.Layout(**box), w.Layout(**box, border=f"3px solid {ORANGE}")
        self._styles: dict[str, Any] = {}
        self._buttons: dict[tuple[int, int], Any] = {}
        children = [w.HTML(), *(_head(name, "center") for name in evaluation.classes)]
        for truth, name in enumerate(evaluation.classes):
            cells = [self._button(evaluation, truth, k) for k in range(len(evaluation.classes))]
            children += [_head(name, "left"), *cells]
        columns = f"110px repeat({len(evaluation.classes)}, minmax(34px, 64px))"
        layout = w.Layout(grid_template_columns=columns, grid_gap="2px", align_items="center")
        self.grid = w.GridBox(children, layout=layout)

    def open(self, truth: int, guess: int) -> None:
        """Frame a cell and tell of it."""
        self._buttons[self.cell].layout = self._plain
        self.cell = (truth, guess)
        self._buttons[self.cell].layout = self._framed
        self.on_open()

    def _button(self, evaluation: Evaluation, truth: int, guess: int) -> Any:
        import ipywidgets as w

        row, classes = evaluation.confusion[truth], evaluation.classes
        count = row[guess]
        colour = shade(count / max(sum(row), 1), truth == guess) if count else EMPTY
        style = self._styles.setdefault(colour, w.ButtonStyle(button_color=colour, text_color=INK))
        cell = w.Button(description=str(count or "·"), layout=self._plain, style=style)
        cell.tooltip = f"{classes[truth]} → {classes[guess]}"
        cell.on_click(lambda _: self.open(truth, guess))
        self._buttons[truth, guess] = cell
        return cell


def _head(name: str, align: str) -> Any:
    import ipywidgets as w

    look = f"font-size:10px;line-height:1.1;overflow-wrap:anywhere;text-align:{align}"
    text = break_name(name).replace("\n", "<br>")
    return w.HTML(f'<div style="{look}">{text}</div>')
