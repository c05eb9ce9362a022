"""Strong points of an image and a hash of what surrounds them: the same place, wherever it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter

from eurosat_lib.data.audit.perceptual import perceptual_hashes
from eurosat_lib.data.audit.tiles import Tiles, luminance
from eurosat_lib.data.decode import cpu_count

PER_TILE = 6  # strongest points kept
HALF = 8  # pixels: the surroundings are 2 HALF x 2 HALF
APART = 7  # pixels: side of the square in which a point is the strongest
STRONG = 4.0  # of 255: difference of the two blurs below which a point is noise
CHUNKS, CHUNK_BITS = 4, 16  # of a 64-bit hash
COMMON = 400  # points that share a chunk beyond which it tells nothing


@dataclass(frozen=True)
class Points:
    """Strong points of many images, one row each.

    Attributes:
        tile: int64 (n,), position of the image.
        place: int64 (n, 2), row and column.
        hashes: uint64 (n,), 63 bits, of the surroundings as they are.
    """

    tile: np.ndarray
    place: np.ndarray
    hashes: np.ndarray


def strong_points(tiles: Tiles) -> Points:
    """Find the strongest points of all images: extrema of the difference of two blurs."""
    with ThreadPoolExecutor(cpu_count()) as pool:
        found = list(pool.map(_points, tiles.blocks()))
    starts = np.cumsum([0, *(count for count, _ in found)])
    return Points(
        tile=np.concatenate([p.tile + s for (_, p), s in zip(found, starts, strict=False)]),
        place=np.concatenate([p.place for _, p in found]),
        hashes=np.concatenate([p.hashes for _, p in found]),
    )


def matches(points: Points, radius: int) -> np.ndarray:
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


def _neighbours(points: Points, keys: np.ndarray, order: np.ndarray, radius: int):
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


def _points(images: np.ndarray) -> tuple[int, Points]:
    """Return how many images a block has, and their points, counted from its first image."""
    grey = luminance(images)
    strength = np.abs(uniform_filter(grey, (0, 3, 3)) - uniform_filter(grey, (0, 7, 7)))
    peak = np.where(strength == maximum_filter(strength, (1, APART, APART)), strength, 0)
    inside = np.zeros_like(peak)
    middle = np.s_[:, HALF : 1 - HALF, HALF : 1 - HALF]  # the surroundings lie within the image
    inside[middle] = peak[middle]
    flat = inside.reshape(len(grey), -1)
    best = np.argpartition(-flat, PER_TILE, axis=1)[:, :PER_TILE]
    tile, column = np.nonzero(np.take_along_axis(flat, best, axis=1) >= STRONG)
    rows, columns = np.divmod(best[tile, column], grey.shape[2])
    windows = np.lib.stride_tricks.sliding_window_view(grey, (2 * HALF, 2 * HALF), axis=(1, 2))
    around = windows[tile, rows - HALF, columns - HALF]
    hashes = perceptual_hashes(around, views=1)[0]
    return len(grey), Points(tile, np.stack([rows, columns], axis=1), hashes)
