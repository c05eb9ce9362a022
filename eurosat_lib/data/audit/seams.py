"""Neighbours: tiles of validation that go on, across a seam, in a tile of train.

The images carry no coordinates, so that a neighbour must be recognised by its edge: the last line
of pixels of one tile against the first line of another, on all four sides. Edges also agree by
chance. How often is measured on a control that differs in nothing but adjacency: the same edges
against a line from the *inside* of the same tiles.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from eurosat_lib.data.audit.tiles import Tile
from eurosat_lib.data.types import EuroSAT, Split
from eurosat_lib.record import Record

# Side of the validation tile -> axis of its line, its place, and that of the line it meets.
SIDES = {"right": (3, -1, 0), "left": (3, 0, -1), "bottom": (2, -1, 0), "top": (2, 0, -1)}
INSIDE = 24  # pixels from an edge: a multiple of 8, so that JPEG's blocks fall alike
COARSE = 2  # pixels averaged along an edge
RELIEF = 8.0  # of 255: standard deviation along an edge below which it fits too many others
THRESHOLDS = (0.85, 0.9, 0.95)  # agreement from which an edge counts as a seam
MAIN = 0.9  # the one of them that the text speaks of, whatever the others say
ROWS = 512  # validation edges compared at a time
SHOWN = 6  # seams, for the figure
Z = 1.959964  # 97.5 % point of the standard normal law


class Excess(Record):
    """Tiles with a seam, against tiles for which the control finds one."""

    threshold: float
    seams: int  # validation tiles with an edge that agrees with a train tile's edge
    controls: int  # validation tiles with an edge that agrees with the inside of a train tile
    share: float  # (seams - controls) / n
    low: float  # 95 % interval of the share (Agresti & Min 2005: paired, half a tile added)
    high: float


class Seam(Record):
    """Two tiles that fit together."""

    validation: Tile
    train: Tile
    side: str  # of the validation tile
    agreement: float


class Seams(Record):
    """How many tiles of validation touch a tile of train."""

    stage: ClassVar[str] = "find_seams"

    tiles: int  # of validation
    compared: int  # with at least one edge of enough relief
    excesses: tuple[Excess, ...]  # by rising threshold
    agreements: tuple[float, ...]  # best of each compared tile, sorted
    controls: tuple[float, ...]  # the same for the control, sorted by itself
    best: tuple[Seam, ...]

    def facts(self) -> dict:
        """Return counts, and the excess at the main threshold."""
        main = next(e for e in self.excesses if e.threshold == MAIN)
        return self.model_dump(mode="json", exclude={"agreements", "controls", "best"}) | {
            "main": main.model_dump() | {"excess": main.seams - main.controls},
            "found": main.low > 0,
        }


def find_seams(dataset: EuroSAT) -> Seams:
    """Look for train tiles that continue a validation tile; the test split is not opened."""
    train, validation = dataset.train, dataset.validation
    agreement = np.full((2, len(validation)), -1.0)  # of the edges, of the control
    partner = np.zeros(len(validation), np.int64)
    side_of = np.zeros(len(validation), np.int64)
    for number, (axis, place, meets) in enumerate(SIDES.values()):
        for control in (0, 1):
            away = (INSIDE if meets == 0 else -INSIDE) * control
            best, where = _best(_lines(validation, axis, place), _lines(train, axis, meets + away))
            better = best > agreement[control]
            agreement[control, better] = best[better]
            if not control:
                partner[better], side_of[better] = where[better], number
    compared = agreement[0] > -1
    order = np.argsort(-agreement[0], kind="stable")[: min(SHOWN, int(compared.sum()))]
    return Seams(
        tiles=len(validation),
        compared=int(compared.sum()),
        excesses=tuple(excess(*agreement[:, compared], threshold=t) for t in THRESHOLDS),
        agreements=tuple(np.sort(agreement[0, compared]).round(4).tolist()),
        controls=tuple(np.sort(agreement[1, compared]).round(4).tolist()),
        best=tuple(
            Seam(
                validation=_tile(validation, "validation", i),
                train=_tile(train, "train", partner[i]),
                side=list(SIDES)[side_of[i]],
                agreement=float(agreement[0, i]),
            )
            for i in order
        ),
    )


def excess(seams: np.ndarray, controls: np.ndarray, threshold: float) -> Excess:
    """Compare how many tiles pass a threshold with how many pass it by chance.

    Args:
        seams: float (n,), best agreement of each tile with an edge.
        controls: float (n,), best agreement of the same tiles with the control.
        threshold: agreement from which a tile counts.
    """
    n = len(seams)
    above, chance = seams >= threshold, controls >= threshold
    only, other = int((above & ~chance).sum()), int((chance & ~above).sum())
    # Agresti & Min, Statistics in Medicine 24 (2005): Wald's interval of a paired difference
    # with 0.5 added to each cell of the two-by-two table.
    size, b, c = n + 2, only + 0.5, other + 0.5
    middle = (b - c) / size
    half = Z * np.sqrt(max(b + c - (b - c) ** 2 / size, 0)) / size
    return Excess(
        threshold=threshold,
        seams=int(above.sum()),
        controls=int(chance.sum()),
        share=(only - other) / n if n else 0.0,
        low=float(middle - half),
        high=float(middle + half),
    )


def _tile(split: Split, name: str, index: int) -> Tile:
    label = int(split.labels[index])
    return Tile(split=name, index=int(index), name=split.names[index], label=label)


def _lines(split: Split, axis: int, place: int) -> np.ndarray:
    """Take one row or column of each image, a little blurred: float32 (N, 3, S / 2), 0-255."""
    line = np.take(split.images, place, axis=axis).astype(np.float32)
    even = line.shape[2] // COARSE * COARSE
    return line[:, :, :even].reshape(*line.shape[:2], -1, COARSE).mean(3)


def _best(edges: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the line that agrees best with each edge.

    The agreement of x and y is 1 - |x - y|^2 / (2 |x - mean(x)| |y - mean(y)|): their correlation
    where level and contrast are the same, less where they differ.

    Args:
        edges: float32 (M, 3, L).
        others: float32 (N, 3, L).

    Returns:
        Best agreement, float (M,), -1 for an edge without relief, and its place, int64 (M,).
    """
    best, where = np.full(len(edges), -1.0), np.zeros(len(edges), np.int64)
    wanted, x, x_square, x_size = _vectors(edges)
    known, y, y_square, y_size = _vectors(others)
    if not len(known):
        return best, where
    # [x, -x.x/2, 1] . [y, 1, -y.y/2] is -|x - y|^2 / 2: one product, however many tiles.
    left = np.c_[x, -x_square / 2, np.ones_like(x_square)] / x_size[:, None]
    right = np.c_[y, np.ones_like(y_square), -y_square / 2] / y_size[:, None]
    right = np.ascontiguousarray(right.T)
    for start in range(0, len(wanted), ROWS):
        found = 1 + left[start : start + ROWS] @ right
        rows, columns = wanted[start : start + ROWS], found.argmax(1)
        best[rows] = found[np.arange(len(rows)), columns]
        where[rows] = known[columns]
    return best, where


def _vectors(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the places (M,) of the lines with relief, their values, squares and deviations."""
    deviation = np.sqrt(((lines - lines.mean(2, keepdims=True)) ** 2).sum((1, 2)))
    kept = np.flatnonzero(deviation >= RELIEF * np.sqrt(lines[0].size))
    values = lines[kept].reshape(len(kept), lines[0].size) - np.float32(128)  # small squares
    return kept, values, (values**2).sum(1), deviation[kept]
