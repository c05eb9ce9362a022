"""Where figures and tables go on paper: behind text that follows them, if that fills a page.

A figure is never cut; where it does not fit, the rest of its page would stay empty. As in LaTeX,
text then moves up before it, and it stands on the next page. Nothing leaves its section; figures
keep their order, as do tables and text. A figure for which little is missing is printed a little
smaller instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

GAP = 40.0  # CSS pixels (11 mm): an empty foot that is worth a move
LINES = 62.0  # CSS pixels: room that a text needs to begin on a page, about three lines
LINE = 18.4  # CSS pixels: a text is broken between lines
REACH = 6  # blocks over which text may move up
SLIGHTLY = 0.94  # a picture made so much smaller looks the same: rather than moving text
SMALLEST = 0.86  # of a picture's size, where no text can fill the page: 7.5 points become 6.5
SPARE = 4.0  # CSS pixels left below a picture made smaller


@dataclass(frozen=True)
class Block:
    """A block of the flow, as it lies in a first layout; lengths in CSS pixels.

    Attributes:
        kind: ``figure``, ``table``, ``heading``, ``question``, ``text``, or ``end`` for the line
            that ends a section.
        height: of all its pieces, without margins.
        above: distance from the block before it.
        page: height of the text area of its page.
        sheets: numbers of the first and last page that it stands on.
        end: where it ends on the last one, from the top of the text area.
        alone: it has a page of its own (turned pages).
        picture: height of a figure's picture that may still be made smaller.
    """

    kind: str
    height: float
    above: float
    page: float
    sheets: tuple[int, int]
    end: float
    alone: bool = False
    picture: float = 0.0

    @property
    def floats(self) -> bool:
        """Whether text may pass it."""
        return self.kind in ("figure", "table") and not self.alone and not self.breaks

    @property
    def breaks(self) -> bool:
        """Whether it may be continued on the next page."""
        return self.kind == "text" or (self.kind == "table" and self.height > 0.8 * self.page)


class Arrangement(NamedTuple):
    """What is to be changed; blocks are named by their number.

    Attributes:
        moves: in order: (block, block before which it is put).
        heights: figure → height of its picture, CSS pixels.
    """

    moves: list[tuple[int, int]]
    heights: dict[int, float]


def arrange(blocks: Sequence[Block]) -> Arrangement:
    """Say which blocks to move and which pictures to make smaller, so that pages are filled."""
    order = list(range(len(blocks)))
    moves: list[tuple[int, int]] = []
    heights: dict[int, float] = {}
    foot, place = 0.0, 0
    while place < len(order):
        block = blocks[order[place]]
        before = blocks[order[place - 1]] if place else None
        if before and not moves and not heights:  # up to here all lies as it was measured
            foot = before.end
            fits = block.sheets[0] == before.sheets[1]
        else:
            fits = foot + _needed(blocks, order, place) <= block.page
        if block.floats and not fits and block.page - foot > GAP:
            small = _smaller(block, foot)
            pulled = [] if small >= SLIGHTLY else _fill(blocks, order, place, foot)
            for rank, step in enumerate(pulled):
                moves.append((order[step], order[place + rank]))
                order.insert(place + rank, order.pop(step))
            if pulled:
                continue
            if small >= SMALLEST:
                heights[order[place]] = small * block.picture
                foot, place = block.page, place + 1
                continue
        foot = _advance(blocks, order, place, foot)
        place += 1
    return Arrangement(moves, heights)


def _smaller(block: Block, foot: float) -> float:
    """Return the share of its size at which a figure's picture still fits on the page."""
    if not block.picture:
        return 0.0
    missing = foot + block.above + block.height + SPARE - block.page
    return 1 - missing / block.picture


def _advance(blocks: Sequence[Block], order: Sequence[int], place: int, foot: float) -> float:
    """Put a block on the page, or on the next; return the height used there."""
    block = blocks[order[place]]
    above = block.above if foot else 0.0
    space = block.page - foot - above
    if block.alone:
        return block.page
    if block.breaks and block.height > space >= LINES:
        return (block.height - space // LINE * LINE) % block.page
    if foot + above + _needed(blocks, order, place) - block.above > block.page:
        return block.height % block.page
    return foot + above + block.height


def _needed(blocks: Sequence[Block], order: Sequence[int], place: int) -> float:
    """Return the room a block needs together with what it must not be parted from."""
    needed = 0.0
    for number in order[place:]:
        block = blocks[number]
        needed += block.above + (min(LINES, block.height) if block.breaks else block.height)
        if block.kind not in ("heading", "question"):
            break
    return needed


def _fill(blocks: Sequence[Block], order: Sequence[int], place: int, foot: float) -> list[int]:
    """Choose the places of the blocks that move up before a float to fill its page."""
    chosen: list[int] = []
    kinds = {blocks[order[place]].kind}
    for step in range(place + 1, min(place + 1 + REACH, len(order))):
        block = blocks[order[step]]
        if block.kind in ("heading", "end") or block.alone or foot > block.page - LINES:
            break
        if block.kind in kinds or foot + _needed(blocks, order, step) > block.page:
            kinds.add(block.kind)  # what is passed is passed by none of its kind
            if not block.floats:
                break
            continue
        chosen.append(step)
        foot += block.above + block.height
    while chosen and blocks[order[chosen[-1]]].kind == "question":
        chosen.pop()
    return chosen
