"""The folded code of the cells: where it stands, and when a cell is nothing but its code."""

from __future__ import annotations

from lxml.html import HtmlElement

SHOWN = ("figure", "table", "answer")


def fold(main: HtmlElement) -> None:
    """Name each fold after its cell; mark the cells that show nothing but their code.

    Paper leaves the marked cells out (``silent``), and so does a screen until code is asked for.
    """
    for cell in main.find_class("cell"):
        block = cell.find("details[@class='code']")
        if block is None:
            continue
        if all(child is block for child in cell):
            cell.set("class", "cell silent")
        place = cell.get("data-cell")
        block.find("summary").set("title", _french(place))


def _french(place: str) -> str:
    return place.replace(", cell ", ", cellule ")
