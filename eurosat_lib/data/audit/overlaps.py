"""Overlaps: two tiles cut from the same scene that share some of their pixels.

A hash of the whole image only sees shifts of a few pixels. Here strong points that look the same
in two tiles propose a shift, and the correlation of the shared rectangle decides.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np
from scipy.ndimage import uniform_filter

from eurosat_lib.data.audit.alignment import BACKGROUND
from eurosat_lib.data.audit.points import matches, strong_points
from eurosat_lib.data.audit.tiles import Tile, Tiles, luminance
from eurosat_lib.data.types import EuroSAT
from eurosat_lib.record import Record

RADIUS = 3  # bits of 63 by which the surroundings of two points may differ
SMALLEST = 0.1  # share of the tile that two tiles must have in common
SAME = 0.9  # correlation of the shared rectangle from which it shows the same ground
MOST = 20_000  # pairs of points looked at closely, at most
SHOWN = 5  # pairs on either side of the threshold, for the figure


class Overlap(Record):
    """Two tiles, laid over each other."""

    first: Tile
    second: Tile
    down: int  # pixels by which the second tile lies below the first
    right: int  # pixels by which it lies to the right
    share: float  # of a tile's area, in common
    correlation: float  # of the fine structure of the shared rectangle


class Overlaps(Record):
    """Tiles that share ground with another tile."""

    stage: ClassVar[str] = "find_overlaps"

    images: int  # of the whole set
    points: int  # strong points compared
    same: float
    correlations: tuple[float, ...]  # of all pairs that points proposed, sorted
    capped: bool  # more pairs of points agreed than were looked at
    pairs: tuple[Overlap, ...]  # of correlation ``same`` or more, largest share first
    rejected: tuple[Overlap, ...]  # the others of best correlation; none of the test split

    def facts(self) -> dict:
        """Return counts, within and across splits, and what is at stake for the test."""
        across = [p for p in self.pairs if p.first.split != p.second.split]
        between = Counter("/".join(sorted({p.first.split, p.second.split})) for p in across)
        leaked = {
            tile.index
            for pair in across
            for tile in (pair.first, pair.second)
            if tile.split == "test"
        }
        heard = {"correlations", "pairs", "rejected"}
        return self.model_dump(mode="json", exclude=heard) | {
            "proposed": len(self.correlations),
            "found": len(self.pairs),
            "across": len(across),
            "between": dict(between),
            "test_images": len(leaked),
            "relabelled": sum(p.first.label != p.second.label for p in self.pairs),
            "largest_share": max((p.share for p in self.pairs), default=0.0),
            "smallest_share": min((p.share for p in self.pairs), default=0.0),
        }

    def csv_rows(self) -> list[dict[str, str | int | float]]:
        """Return a row per pair, for whoever wants to leave these tiles out."""
        return [
            {
                "first": pair.first.name,
                "first_split": pair.first.split,
                "second": pair.second.name,
                "second_split": pair.second.split,
                "down": pair.down,
                "right": pair.right,
                "share": round(pair.share, 4),
                "correlation": round(pair.correlation, 4),
            }
            for pair in self.pairs
        ]


def find_overlaps(dataset: EuroSAT) -> Overlaps:
    """Search all three splits for tiles that share ground, as they lie: not turned."""
    tiles = Tiles(dataset)
    points = strong_points(tiles)
    pairs = matches(points, RADIUS)
    shifts = points.place[pairs[:, 0]] - points.place[pairs[:, 1]]
    proposed = np.unique(np.c_[points.tile[pairs], shifts], axis=0)
    capped, proposed = len(proposed) > MOST, proposed[:MOST]
    best = _best_shifts(tiles, proposed)
    ranked = sorted(best, key=lambda p: -p.correlation)
    same = [p for p in ranked if p.correlation >= SAME]
    others = [p for p in ranked if p.correlation < SAME]
    shown = [p for p in others if "test" not in (p.first.split, p.second.split)]
    return Overlaps(
        images=len(tiles),
        points=len(points.hashes),
        same=SAME,
        correlations=tuple(round(p.correlation, 4) for p in ranked),
        capped=capped,
        pairs=tuple(sorted(same, key=lambda p: -p.share)),
        rejected=tuple(shown[:SHOWN]),
    )


def shared(first: np.ndarray, second: np.ndarray, down: int, right: int) -> tuple[float, float]:
    """Correlate the rectangle that two tiles share when the second lies down and right.

    Args:
        first: float (H, W).
        second: float (H, W).
        down: pixels by which the second lies below the first; may be negative.
        right: pixels by which it lies to the right.

    Returns:
        Pearson's correlation in [-1, 1] (0 where nothing varies), and the share of the area.
    """
    height, width = first.shape
    a = first[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    b = second[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    if a.size == 0:
        return 0.0, 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return (float((a * b).sum()) / norm if norm else 0.0), a.size / first.size


def _best_shifts(tiles: Tiles, proposed: np.ndarray) -> list[Overlap]:
    """Keep, of the shifts proposed for each pair of tiles, the one that agrees best."""
    used = np.unique(proposed[:, :2])
    fine = _fine(tiles, used)
    best: dict[tuple[int, int], Overlap] = {}
    for first, second, down, right in proposed.tolist():
        a, b = (fine[np.searchsorted(used, t)] for t in (first, second))
        correlation, share = shared(a, b, down, right)
        known = best.get((first, second))
        if share < SMALLEST or (known and known.correlation >= correlation):
            continue
        best[first, second] = Overlap(
            first=tiles[first],
            second=tiles[second],
            down=down,
            right=right,
            share=share,
            correlation=correlation,
        )
    return list(best.values())


def _fine(tiles: Tiles, positions: np.ndarray) -> np.ndarray:
    """Return the fine structure of some tiles; float32 (n, H, W)."""
    parts = [
        luminance(tiles.images(part))
        for part in np.array_split(positions, max(1, len(positions) // 1024))
        if len(part)
    ]
    if not parts:
        return np.empty((0, 0, 0), np.float32)
    grey = np.concatenate(parts)
    return grey - uniform_filter(grey, (0, BACKGROUND, BACKGROUND))
