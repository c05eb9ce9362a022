"""What paper needs and the screen does not: whole words of code, figures that leave no gap."""

from __future__ import annotations

import re
from collections.abc import Callable

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.report.paging import Block, arrange

PASSES = 2  # layouts from which figures are placed: the second mends what the first misjudged
WHOLE = 26  # characters of a piece of code that is never broken
WORD = 44  # characters of a word of code that is never broken
BLANK = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='{}' height='{}'/%3E"


def prepare(page: str, measure: Callable[[str], dict[int, Block]]) -> str:
    """Return the page as it is printed.

    Args:
        page: the report's HTML.
        measure: lays a page out and says where the blocks with ``data-block`` are, by number.
    """
    root = lxml.html.document_fromstring(page)
    main = root.get_element_by_id("contenu", None)
    if main is None:
        return page
    for code in main.xpath('.//details[contains(@class, "code")]'):
        code.drop_tree()  # not printed, and long to style
    keep_words(main)
    keep_equations(main)
    for _ in range(PASSES):
        blocks = _flow(main)
        for number, block in enumerate(blocks):
            block.set("data-block", str(number))
        measured = measure(_draft(root))
        shown = sorted(measured)
        moves, heights = arrange([measured[number] for number in shown])
        for number, target in moves:
            blocks[shown[target]].addprevious(_detached(blocks[shown[number]]))
        for number, height in heights.items():
            blocks[shown[number]].find(".//img").set("style", f"max-height: {height:.0f}px")
        if not moves and not heights:
            break
    return lxml.html.tostring(root, encoding="unicode", doctype="<!DOCTYPE html>")


def keep_words(main: HtmlElement) -> None:
    """Let commands break at spaces only: never within ``--profile`` or a short expression."""
    for code in main.xpath(".//code[not(ancestor::pre)][not(*)]"):
        text = code.text or ""
        if len(text) <= WHOLE:
            code.set("class", "whole")
            continue
        code.text = None
        last = None
        for piece in re.split(r"(\s+)", text):
            if piece.strip() and len(piece) <= WORD:
                last = lxml.html.Element("span", {"class": "whole"})
                last.text = piece
                code.append(last)
            elif last is None:
                code.text = (code.text or "") + piece
            else:
                last.tail = (last.tail or "") + piece


def keep_equations(main: HtmlElement) -> None:
    """Hold a number or formula together with what an unbreakable space ties to it ("LR = ").

    WeasyPrint would break the line at the first place it finds before them, not at the last.
    """
    for span in main.xpath('.//span[@class="sci" or @class="math"]'):
        before, parent = span.getprevious(), span.getparent()
        text = (parent.text if before is None else before.tail) or ""
        tied = re.search(r"[^ \n]+[\u00a0\u202f]$", text)
        if tied is None or len(tied[0]) > WHOLE:
            continue
        span.text = tied[0] + (span.text or "")
        if before is None:
            parent.text = text[: tied.start()]
        else:
            before.tail = text[: tied.start()]


def _flow(main: HtmlElement) -> list[HtmlElement]:
    """List the blocks of the text in their order: paragraphs, headings, figures, answers."""
    blocks = []
    for cell in main:
        inner = list(cell) if "cell" in (cell.get("class") or "").split() else [cell]
        blocks += [e for e in inner if isinstance(e.tag, str) and not _unprinted(e)]
    return blocks


def _unprinted(element: HtmlElement) -> bool:
    return element.tag in ("details", "script", "style") or element.tag == "a"


def _draft(root: HtmlElement) -> str:
    """Write the page without what takes long to lay out and moves nothing: pictures, contents."""
    draft = lxml.html.document_fromstring(lxml.html.tostring(root, encoding="unicode"))
    for image in draft.xpath("//main//img[@width and @height]"):
        image.set("src", BLANK.format(image.get("width"), image.get("height")))
    for formula in draft.xpath("//main//*[local-name()='svg']"):
        formula[:] = []  # its size is written on it
    for contents in draft.xpath("//nav//a"):
        contents.drop_tag()
    return lxml.html.tostring(draft, encoding="unicode", doctype="<!DOCTYPE html>")


def _detached(element: HtmlElement) -> HtmlElement:
    """Take an element out of its place, without the text that follows it."""
    tail, element.tail = element.tail, None
    parent, before = element.getparent(), element.getprevious()
    if tail and before is not None:
        before.tail = (before.tail or "") + tail
    elif tail:
        parent.text = (parent.text or "") + tail
    parent.remove(element)
    return element
