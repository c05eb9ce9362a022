"""Read and correct what WeasyPrint has laid out, before it is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eurosat_lib.report.paging import Block


def measure(pages: Sequence[Any]) -> dict[int, Block]:
    """Return the blocks marked ``data-block``, by number, as they lie in a first layout.

    Args:
        pages: of a WeasyPrint document.
    """
    trim(pages)
    found: dict[int, dict[str, Any]] = {}
    last = None  # (page, bottom, margin below) of the block before
    for number, page in enumerate(pages):
        for box in _marked(page._page_box):
            block = int(box.element.get("data-block"))
            top, bottom = box.border_box_y(), box.border_box_y() + box.border_height()
            end = {"last": number, "end": bottom - page._page_box.content_box_y()}
            if block in found:
                found[block] |= {"height": found[block]["height"] + bottom - top} | end
            else:
                together = last is not None and last[0] == number
                found[block] = {
                    "kind": _kind(box.element),
                    "height": bottom - top,
                    "above": max(0.0, top - last[1]) if together else _margin(box, last),
                    "page": page._page_box.height,
                    "alone": "landscape" in (box.element.get("class") or "").split(),
                    "first": number,
                    "picture": _picture(box),
                } | end
            last = number, bottom, box.style["margin_bottom"]
    return {number: _block(sizes) for number, sizes in found.items()}


def _block(sizes: dict[str, Any]) -> Block:
    return Block(sheets=(sizes.pop("first"), sizes.pop("last")), **sizes)


def _margin(box: Any, last: tuple[int, float, Any] | None) -> float:
    """Return the distance a block would keep from the one before, had it not begun a page."""
    margins = (box.style["margin_top"], last[2] if last else 0)
    return max(getattr(margin, "value", margin) for margin in margins)


def trim(pages: Sequence[Any]) -> None:
    """End boxes that go on overleaf at their last line.

    WeasyPrint draws them down to the foot of the page, and with them the bar beside an answer.
    """
    ahead: set[int] = set()
    for page in reversed(pages):
        ahead, later = _elements(page._page_box), ahead
        _shorten(page._page_box, later)


def _shorten(box: Any, later: set[int]) -> None:
    for child in getattr(box, "children", ()):
        _shorten(child, later)
    if id(box.element) not in later or not _holds_blocks(box):
        return
    bottoms = [c.position_y + c.margin_height() for c in box.children if c.is_in_normal_flow()]
    if bottoms:
        box.height = min(box.height, max(0.0, max(bottoms) - box.content_box_y()))


def _holds_blocks(box: Any) -> bool:
    """Tell whether a box is one that holds lines or blocks, not the page or a part of a table."""
    from weasyprint.formatting_structure import boxes

    fixed = boxes.PageBox, boxes.MarginBox, boxes.TableBox, boxes.TableCellBox
    return isinstance(box, boxes.BlockContainerBox) and not isinstance(box, fixed)


def _elements(box: Any) -> set[int]:
    return {id(b.element) for b in _all(box) if b.element is not None}


def _all(box: Any) -> Iterator[Any]:
    yield box
    for child in getattr(box, "children", ()):
        yield from _all(child)


def _marked(box: Any) -> Iterator[Any]:
    """Yield the outermost boxes of marked elements, from top to bottom."""
    element = box.element
    if element is not None and element.get("data-block"):
        yield box
        return
    for child in getattr(box, "children", ()):
        yield from _marked(child)


def _picture(box: Any) -> float:
    """Return the height of a figure's picture; 0 if it has none or was made smaller already."""
    if box.element.tag != "figure":
        return 0.0
    found = [b for b in _all(box) if b.element is not None and b.element.tag == "img"]
    return found[0].height if found and not found[0].element.get("style") else 0.0


def _kind(element: Any) -> str:
    classes = (element.get("class") or "").split()
    if "elsewhere" in classes:
        return "end"
    if element.tag in ("h2", "h3", "h4"):
        return "heading"
    if element.tag == "figure" or "table" in classes:
        return "figure" if element.tag == "figure" else "table"
    return "question" if "question" in classes else "text"
