"""Overlaps: two tiles cut from the same scene that share some of their pixels.

A hash of the whole image only sees shifts of a few pixels. Here key points that look the same in
two tiles propose a shift, and the correlation of the shared rectangle decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import maximum_filter, uniform_filter

from eurosat_lib.audit import Tile, Tiles, luminance
from eurosat_lib.data import EuroSAT
from eurosat_lib.stages import Record

RADIUS = 3  # bits of 63 by which the surroundings of two points may differ
SMALLEST = 0.1  # share of the tile that two tiles must have in common
SAME = 0.9  # correlation of the shared rectangle from which it shows the same ground
MOST = 20_000  # pairs of points looked at closely, at most
SHOWN = 5  # pairs on either side of the threshold, for the figure
BACKGROUND = 9  # pixels: what is wider belongs to the background
PER_TILE = 6  # strongest points kept
HALF = 8  # pixels: the surroundings are 2 HALF x 2 HALF
APART = 7  # pixels: side of the square in which a point is the strongest
STRONG = 4.0  # of 255: difference of the two blurs below which a point is noise
CHUNKS, CHUNK_BITS = 4, 16  # of a 64-bit hash
COMMON = 400  # points that share a chunk beyond which it tells nothing
SIDE = 8  # lowest frequencies of a hash kept along each axis


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
    points: int  # key points compared
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

    def csv_files(self) -> dict[str, list[dict[str, str | int | float]]]:
        """Return a row per pair, for whoever wants to leave these tiles out."""
        rows = [
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
        return {"overlaps.csv": rows}


def find_overlaps(dataset: EuroSAT) -> Overlaps:
    """Search all three splits for tiles that share ground, as they lie: not turned."""
    tiles = Tiles(dataset)
    points = find_keypoints(tiles)
    pairs = match_keypoints(points, RADIUS)
    proposed, capped = _proposals(points, pairs)
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


def _proposals(points: Keypoints, pairs: np.ndarray) -> tuple[np.ndarray, bool]:
    """List the shifts that pairs of points propose, those of the strongest if there are many.

    Returns:
        int64 (m, 4): tiles, and how far the second lies down and right; whether any is left out.
    """
    shifts = points.place[pairs[:, 0]] - points.place[pairs[:, 1]]
    proposed, row = np.unique(np.c_[points.tile[pairs], shifts], axis=0, return_inverse=True)
    strength = np.zeros(len(proposed))
    np.maximum.at(strength, row, points.strength[pairs].min(1))
    kept = np.sort(np.argsort(-strength, kind="stable")[:MOST])
    return proposed[kept], len(kept) < len(proposed)


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


@dataclass(frozen=True)
class Keypoints:
    """Key points of many images, one row each.

    Attributes:
        tile: int64 (n,), position of the image.
        place: int64 (n, 2), row and column.
        strength: float32 (n,), difference of the two blurs, of 255.
        hashes: uint64 (n,), 63 bits, of the surroundings as they are.
    """

    tile: np.ndarray
    place: np.ndarray
    strength: np.ndarray
    hashes: np.ndarray


def find_keypoints(tiles: Tiles) -> Keypoints:
    """Find the strongest points of all images: extrema of the difference of two blurs."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_points, tiles.blocks()))
    starts = np.cumsum([0, *(count for count, _ in found)])
    return Keypoints(
        tile=np.concatenate([p.tile + s for (_, p), s in zip(found, starts, strict=False)]),
        place=np.concatenate([p.place for _, p in found]),
        strength=np.concatenate([p.strength for _, p in found]),
        hashes=np.concatenate([p.hashes for _, p in found]),
    )


def match_keypoints(points: Keypoints, radius: int) -> np.ndarray:
    """List pairs of points of two images whose hashes differ in few bits.

    A pair within 3 bits shares one of the four chunks of its hash (Norouzi, Punjani & Fleet,
    « Fast search in Hamming space with multi-index hashing », CVPR 2012): the points are sorted
    by each chunk in turn, and only those that share it are compared.

    Args:
        points: of all images.
        radius: at most 3 bits.

    Returns:
        int64 (m, 2), rows of ``points``, the earlier image first.

    Raises:
        ValueError: a radius above 3 would miss pairs.
    """
    if radius >= CHUNKS:
        raise ValueError(f"radius {radius}: at most {CHUNKS - 1} bits")
    found = [np.empty((0, 2), np.int64)]
    for chunk in range(CHUNKS):
        keys = points.hashes >> np.uint64(CHUNK_BITS * chunk) & np.uint64(2**CHUNK_BITS - 1)
        order = np.argsort(keys, kind="stable")
        found += list(_neighbours(points, keys[order], order, radius))
    pairs = np.unique(np.concatenate(found), axis=0)
    earlier = points.tile[pairs[:, 0]] < points.tile[pairs[:, 1]]
    return np.where(earlier[:, None], pairs, pairs[:, ::-1])


def _neighbours(
    points: Keypoints, keys: np.ndarray, order: np.ndarray, radius: int
) -> Iterator[np.ndarray]:
    """Yield pairs of rows that share a key, compared at growing distance in the sorted list."""
    for step in range(1, COMMON):
        same = np.flatnonzero(keys[:-step] == keys[step:])
        if not len(same):
            return
        first, second = order[same], order[same + step]
        close = np.bitwise_count(points.hashes[first] ^ points.hashes[second]) <= radius
        close &= points.tile[first] != points.tile[second]
        pairs = np.stack([first[close], second[close]], axis=1)
        yield np.sort(pairs, axis=1)


def _points(images: np.ndarray) -> tuple[int, Keypoints]:
    """Return how many images a block has, and their points, counted from its first image."""
    grey = luminance(images)
    strength = np.abs(uniform_filter(grey, (0, 3, 3)) - uniform_filter(grey, (0, 7, 7)))
    peak = np.where(strength == maximum_filter(strength, (1, APART, APART)), strength, 0)
    inside = np.zeros_like(peak)
    middle = np.s_[:, HALF : 1 - HALF, HALF : 1 - HALF]  # the surroundings lie within the image
    inside[middle] = peak[middle]
    flat = inside.reshape(len(grey), -1)
    best = np.argpartition(-flat, PER_TILE, axis=1)[:, :PER_TILE]
    values = np.take_along_axis(flat, best, axis=1)
    tile, column = np.nonzero(values >= STRONG)
    rows, columns = np.divmod(best[tile, column], grey.shape[2])
    windows = np.lib.stride_tricks.sliding_window_view(grey, (2 * HALF, 2 * HALF), axis=(1, 2))
    around = windows[tile, rows - HALF, columns - HALF]
    hashes = perceptual_hashes(around)
    place = np.stack([rows, columns], axis=1)
    return len(grey), Keypoints(tile, place, values[tile, column], hashes)


def perceptual_hashes(grey: np.ndarray) -> np.ndarray:
    """Hash images: the signs of the 63 lowest frequencies of a cosine transform.

    After pHash (Zauner 2010), with 0 as the threshold.

    Args:
        grey: float32 (N, S, S), S at least 8.

    Returns:
        uint64 (N,), bits 0 to 62.
    """
    low = dctn(grey, axes=(1, 2), norm="ortho")[:, :SIDE, :SIDE]
    bits = low.reshape(len(low), -1)[:, 1:] > 0  # (N, 63), without the mean brightness
    return np.packbits(np.pad(bits, ((0, 0), (0, 1))), axis=1).view(np.uint64)[:, 0]
