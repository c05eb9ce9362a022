"""Perceptual hashes: images that look alike have hashes that differ in few bits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
from scipy.fft import dctn

from eurosat_lib.data.decode import cpu_count

SIDE = 8  # lowest frequencies kept along each axis
BITS = SIDE * SIDE - 1  # without the mean brightness
ROWS, COLUMNS = 256, 2048  # of a block of distances: 4 MB of comparisons, in cache


def perceptual_hashes(grey: np.ndarray, views: int = 8) -> np.ndarray:
    """Hash images as seen from the eight sides of a square.

    The signs of the 63 lowest frequencies of a cosine transform (after pHash, Zauner 2010, with
    0 as the threshold). A mirror changes the sign of odd frequencies and a transposition swaps
    them, so that one transform gives the hashes of the eight views.

    Args:
        grey: float32 (N, S, S), S at least 8.
        views: how many of the eight, from view 0 on.

    Returns:
        uint64 (views, N): bits 0 to 62 of view v of each image; view 0 is the image itself, the
        others are those of :func:`view`.
    """
    low = dctn(grey, axes=(1, 2), norm="ortho")[:, :SIDE, :SIDE]
    odd = (-1.0) ** np.arange(SIDE)
    even = np.ones(SIDE)
    hashes = []
    for transposed, up, left in list(product((False, True), repeat=3))[:views]:
        seen = low.transpose(0, 2, 1) if transposed else low
        seen = seen * np.outer(odd if up else even, odd if left else even)
        bits = seen.reshape(len(low), -1)[:, 1:] > 0  # (N, 63)
        packed = np.packbits(np.pad(bits, ((0, 0), (0, 1))), axis=1)
        hashes.append(packed.view(np.uint64)[:, 0])
    return np.stack(hashes)


def view(images: np.ndarray, number: int) -> np.ndarray:
    """Turn and mirror images as view ``number``, 0 to 7, of :func:`perceptual_hashes`.

    Args:
        images: (..., S, S).
        number: its three bits say whether to transpose, to turn upside down, to mirror.
    """
    seen = np.swapaxes(images, -1, -2) if number & 4 else images
    seen = seen[..., ::-1, :] if number & 2 else seen
    return seen[..., ::-1] if number & 1 else seen


def compare(hashes: np.ndarray, radius: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Compare all images with all others, whichever side they are seen from.

    Args:
        hashes: uint64 (8, N).
        radius: largest distance of a pair that is listed, in bits.
        most: pairs listed at most, the closest ones.

    Returns:
        nearest: uint8 (N,), distance to the nearest other image, 255 if there is none.
        pairs: int64 (P, 4), one row per pair: first, second (first < second), distance, and
        which view of the second looks like the first; sorted by distance.
    """
    count = hashes.shape[1]
    nearest = np.full(count, 255, np.uint8)
    pairs = np.empty((0, 4), np.int64)
    with ThreadPoolExecutor(cpu_count()) as pool:
        corners = list(_corners(count))
        for corner, rows, columns, close in pool.map(
            lambda corner: _block(hashes, *corner, radius), corners
        ):
            i, j = corner
            np.minimum(nearest[i : i + len(rows)], rows, out=nearest[i : i + len(rows)])
            np.minimum(nearest[j : j + len(columns)], columns, out=nearest[j : j + len(columns)])
            pairs = np.concatenate([pairs, close])
            if len(pairs) > 4 * most:  # a set full of copies must not fill the memory
                pairs = _closest(pairs, most)
    return nearest, _closest(pairs, most)


def _closest(pairs: np.ndarray, most: int) -> np.ndarray:
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0], pairs[:, 2]))[:most]]


def _corners(count: int) -> Iterator[tuple[int, int]]:
    """Yield the upper left corners of the blocks that hold a pair (first < second)."""
    for i in range(0, count, ROWS):
        first = i // COLUMNS * COLUMNS
        yield from ((i, j) for j in range(first, count, COLUMNS))


def _block(hashes: np.ndarray, i: int, j: int, radius: int) -> tuple:
    """Compare rows from i with columns from j: smallest distances, and the close pairs."""
    left, right = hashes[0, i : i + ROWS], hashes[:, j : j + COLUMNS]
    distance = np.full((len(left), right.shape[1]), 255, np.uint8)
    for seen in right:
        np.minimum(distance, np.bitwise_count(left[:, None] ^ seen), out=distance)
    first, second = np.arange(i, i + len(left)), np.arange(j, j + right.shape[1])
    distance[first[:, None] >= second] = 255
    a, b = np.nonzero(distance <= radius)
    number = np.bitwise_count(left[a] ^ right[:, b]).argmin(0)
    close = np.stack([first[a], second[b], distance[a, b], number], axis=1).astype(np.int64)
    return (i, j), distance.min(1), distance.min(0), close
