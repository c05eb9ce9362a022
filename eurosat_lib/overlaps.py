"""Overlaps: two tiles cut from the same scene that share some of their pixels.

A hash of the whole image only sees shifts of a few pixels. Here key points that look the same in
two tiles propose a shift, and the correlation of the shared rectangle decides.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import maximum_filter, uniform_filter

from eurosat_lib.audit import Tile, blocks, list_tiles, luminance
from eurosat_lib.data import SPLITS, EuroSAT
from eurosat_lib.stages import Record

RADIUS = 3  # bits of 63 by which the surroundings of two points may differ: one less than chunks
SMALLEST = 0.1  # share of the tile that two tiles must have in common
SAME = 0.9  # correlation of the shared rectangle from which it shows the same ground
MOST = 20_000  # proposed shifts looked at closely, at most
SHOWN = 5  # pairs on either side of the threshold, for the figure
BACKGROUND = 9  # pixels: what is wider belongs to the background
PER_TILE = 6  # strongest points kept
HALF = 8  # pixels: the surroundings are 2 HALF x 2 HALF
APART = 7  # pixels: side of the square in which a point is the strongest
STRONG = 4.0  # of 255: difference of the two blurs below which a point is noise
CHUNK_BITS = 16  # of a 64-bit hash: four chunks
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
    same: float
    correlations: tuple[float, ...]  # of all pairs that points proposed, sorted
    capped: bool  # more shifts were proposed than looked at: counts are minimums
    pairs: tuple[Overlap, ...]  # of correlation ``same`` or more, largest share first
    rejected: tuple[Overlap, ...]  # the others of best correlation; none of the test split

    def facts(self) -> dict[str, Any]:
        """Return counts, and what is at stake for the test."""
        across = [p for p in self.pairs if p.first.split != p.second.split]
        tiles = [tile for pair in across for tile in (pair.first, pair.second)]
        return {
            "capped": self.capped,
            "found": len(self.pairs),
            "across": len(across),
            "test_images": len({tile.index for tile in tiles if tile.split == "test"}),
            "relabelled": sum(p.first.label != p.second.label for p in self.pairs),
        }

    def csv_files(self) -> dict[str, list[dict[str, Any]]]:
        """Return a row per pair, for whoever wants to leave these tiles out."""
        rows = []
        for p in self.pairs:
            names = {"first": p.first.name, "first_split": p.first.split}
            names |= {"second": p.second.name, "second_split": p.second.split}
            numbers = p.model_dump(exclude={"first", "second"})
            rows.append(names | {key: round(value, 4) for key, value in numbers.items()})
        return {"overlaps.csv": rows}


def find_overlaps(dataset: EuroSAT) -> Overlaps:
    """Search all three splits for tiles that share ground, as they lie: not turned."""
    points = _find_keypoints(dataset)
    proposed, capped = _proposals(points, match_keypoints(points))
    ranked = sorted(_best_shifts(dataset, proposed), key=lambda p: -p.correlation)
    same = [p for p in ranked if p.correlation >= SAME]
    others = [p for p in ranked if p.correlation < SAME]
    shown = [p for p in others if "test" not in (p.first.split, p.second.split)]
    return Overlaps(
        same=SAME,
        correlations=tuple(round(p.correlation, 4) for p in ranked),
        capped=capped,
        pairs=tuple(sorted(same, key=lambda p: -p.share)),
        rejected=tuple(shown[:SHOWN]),
    )


class Keypoints(NamedTuple):
    """Key points of many images, one row each."""

    tile: np.ndarray  # int64 (n,), position of the image
    place: np.ndarray  # int64 (n, 2), row and column
    strength: np.ndarray  # float32 (n,), difference of the two blurs, 0-255
    hashes: np.ndarray  # uint64 (n,), 63 bits, of the surroundings as they are


def _find_keypoints(dataset: EuroSAT) -> Keypoints:
    parts = [part for name in SPLITS for part in blocks(getattr(dataset, name).images)]
    starts = np.cumsum([0, *map(len, parts)])
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_keypoints, parts, starts.tolist()))
    return Keypoints(*map(np.concatenate, zip(*found, strict=True)))


def _keypoints(images: np.ndarray, start: int) -> Keypoints:
    """Find the strongest points of some images: extrema of the difference of two blurs.

    Their surroundings are hashed to the signs of the 63 lowest frequencies of a cosine transform,
    the mean brightness left out: after pHash (Zauner 2010), with 0 as the threshold.
    """
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
    spectra = dctn(windows[tile, rows - HALF, columns - HALF], axes=(1, 2), norm="ortho")
    bits = spectra[:, :SIDE, :SIDE].reshape(len(tile), -1)[:, 1:] > 0
    hashes = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    place = np.stack([rows, columns], axis=1)
    return Keypoints(start + tile, place, values[tile, column], hashes)


def match_keypoints(points: Keypoints) -> np.ndarray:
    """List pairs of points of two images whose hashes differ in ``RADIUS`` bits or less.

    A pair within 3 bits shares one of the four chunks of its hash (Norouzi, Punjani & Fleet,
    « Fast search in Hamming space with multi-index hashing », CVPR 2012): the points are sorted
    by each chunk in turn, and only those that share it are compared.

    Returns:
        int64 (m, 2), rows of ``points``, the earlier image first.
    """
    found = [np.empty((0, 2), np.int64)]
    for low in range(0, 64, CHUNK_BITS):
        keys = points.hashes >> np.uint64(low) & np.uint64(2**CHUNK_BITS - 1)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        for step in range(1, COMMON):  # compared at growing distance in the sorted list
            same = np.flatnonzero(keys[:-step] == keys[step:])
            if not len(same):
                break
            first, second = order[same], order[same + step]
            close = np.bitwise_count(points.hashes[first] ^ points.hashes[second]) <= RADIUS
            close &= points.tile[first] != points.tile[second]
            found.append(np.stack([first[close], second[close]], axis=1))
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    earlier = points.tile[pairs[:, 0]] < points.tile[pairs[:, 1]]
    return np.where(earlier[:, None], pairs, pairs[:, ::-1])


def _proposals(points: Keypoints, pairs: np.ndarray) -> tuple[np.ndarray, bool]:
    """List the shifts that pairs of points propose, those of the strongest if there are many.

    Returns:
        int64 (m, 4): tiles, and how far the second lies down and right; whether any is left out.
    """
    shifts = points.place[pairs[:, 0]] - points.place[pairs[:, 1]]
    proposed, row = np.unique(np.c_[points.tile[pairs], shifts], axis=0, return_inverse=True)
    strength = np.zeros(len(proposed))
    np.maximum.at(strength, row.ravel(), points.strength[pairs].min(1))
    kept = np.sort(np.argsort(-strength, kind="stable")[:MOST])
    return proposed[kept], len(kept) < len(proposed)


def _best_shifts(dataset: EuroSAT, proposed: np.ndarray) -> list[Overlap]:
    """Keep, of the shifts proposed for each pair of tiles, the one that agrees best."""
    tiles, fine = list_tiles(dataset), {}
    for position in np.unique(proposed[:, :2]).tolist():
        tile = tiles[position]
        (grey,) = luminance(getattr(dataset, tile.split).images[[tile.index]])
        fine[position] = grey - uniform_filter(grey, BACKGROUND)
    best: dict[tuple[int, int], Overlap] = {}
    for first, second, down, right in proposed.tolist():
        correlation, share = shared(fine[first], fine[second], down, right)
        known = best.get((first, second))
        if share >= SMALLEST and not (known and known.correlation >= correlation):
            shift = {"down": down, "right": right, "share": share, "correlation": correlation}
            best[first, second] = Overlap(first=tiles[first], second=tiles[second], **shift)
    return list(best.values())


def shared(first: np.ndarray, second: np.ndarray, down: int, right: int) -> tuple[float, float]:
    """Correlate the rectangle that two tiles, float (H, W), share.

    Args:
        first: a tile.
        second: another, ``down`` pixels below the first and ``right`` to its right.
        down: negative where it lies above.
        right: negative where it lies to the left.

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
