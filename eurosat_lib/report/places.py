"""Where an element of the page comes from: what messages name."""

from __future__ import annotations

from lxml.html import HtmlElement


def where(element: HtmlElement) -> str:
    """Return the notebook and cell an element was made by ("05_grid.ipynb, cell 7")."""
    for place in (element, *element.iterancestors()):
        if place.get("data-cell"):
            return place.get("data-cell")
    return "title page"


def words(element: HtmlElement) -> str:
    """Return an element's text without formulas and scripts, with single spaces."""
    parts = element.xpath(
        './/text()[not(ancestor::*[local-name()="svg" or local-name()="script"])]'
    )
    return " ".join("".join(parts).split())
