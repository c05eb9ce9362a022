"""Shapes seen from above: rotated axes, parcels, winding lines, rings, layers of colour.

All lengths are pixels of 10 m. Edges are soft over one pixel, as a sensor would see them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eurosat_lib.synthetic.noise import SIDE, Array, draw, uniform, wave

_X = (np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2).reshape(1, 1, SIDE)
_Y = _X.reshape(1, SIDE, 1)


@dataclass(frozen=True)
class Parcels:
    """A plane cut into rows and the rows into cells.

    Attributes:
        u: float32 (n, 64, 64), coordinate across the rows, pixels.
        v: float32 (n, 64, 64), coordinate along the rows, pixels.
        key: int64 (n, 64, 64), number of the cell, in [0, 4 ** bits).
        edge: float32 (n, 64, 64), distance to the nearest border of the cell, pixels.
        bits: a row number and a cell number are kept modulo 2 ** bits; 4 is enough for cells of
            6 pixels, 6 for houses of 2.
    """

    u: Array
    v: Array
    key: Array
    edge: Array
    bits: int

    def table(self, rng: np.random.Generator) -> Array:
        """Return one random number in [0, 1) per cell, spread over its pixels (n, 64, 64)."""
        return look_up(uniform(rng, (len(self.key), 1, 4**self.bits)), self.key)[:, 0]


def axes(rng: np.random.Generator, n: int, skew: float = 0.0) -> tuple[Array, Array]:
    """Return coordinates (u, v), float32 (n, 64, 64), pixels from a point near the centre.

    The turn is 2 atan(t) for t uniform in [-1, 1): every direction of a line, without a sine.

    Args:
        rng: source of randomness.
        n: number of images.
        skew: largest tangent by which the two axes leave the right angle.
    """
    t = draw(rng, n, -1, 1)
    norm = 1 + t * t
    cosine, sine = (1 - t * t) / norm, 2 * t / norm
    u = cosine * _X + sine * _Y + draw(rng, n, -16, 16)
    v = cosine * _Y - sine * _X + draw(rng, n, -16, 16)
    return u, v + draw(rng, n, -skew, skew) * u


def parcels(
    rng: np.random.Generator,
    uv: tuple[Array, Array],
    height: Array,
    width: Array,
    bits: int = 4,
) -> Parcels:
    """Cut the plane into rows of about ``height`` and those into cells of about ``width``.

    Args:
        rng: source of randomness.
        uv: coordinates from ``axes``, possibly warped.
        height: extent of a row along u, pixels, (n, 1, 1).
        width: extent of a cell along v, pixels, (n, 1, 1); each row draws its own, x 0.6–1.6.
        bits: see ``Parcels``.
    """
    u, v = uv
    n, mask = len(u), 2**bits - 1
    across = u / height + draw(rng, n, 0, 1)
    across = across + 0.1 * wave(0.37 * across)  # rows of unequal height
    row = np.floor(across)
    inside = np.abs(across - row - 0.5)
    row_number = row.astype(np.intp) & mask
    widths = width * (0.6 + uniform(rng, (n, 1, mask + 1)))
    shifts = 16 * uniform(rng, (n, 1, mask + 1))
    row_width, shift = look_up(np.concatenate([widths, shifts], axis=1), row_number).swapaxes(0, 1)
    along = v / row_width + shift
    column = np.floor(along)
    beside = np.abs(along - column - 0.5)
    edge = np.minimum((0.5 - inside) * height, (0.5 - beside) * row_width)
    key = (row_number << bits) | (column.astype(np.intp) & mask)
    return Parcels(u, v, key, edge, bits)


def look_up(table: Array, key: Array) -> Array:
    """Spread per-cell values over pixels: table (n, c, k), key (n, 64, 64) -> (n, c, 64, 64)."""
    n, channels, cells = table.shape
    first = np.arange(n * channels).reshape(n, channels, 1, 1) * cells
    return np.take(table.reshape(-1), first + key[:, None])


def winding(
    rng: np.random.Generator, n: int, swing: Array, length: Array, bend: float = 0.0
) -> tuple[Array, Array]:
    """A line across the image.

    Args:
        rng: source of randomness.
        n: number of images.
        swing: half the width of its meanders, pixels, (n, 1, 1).
        length: length of a meander, pixels, (n, 1, 1).
        bend: largest curvature, 1/pixels.

    Returns:
        (distance, along), float32 (n, 64, 64): signed distance to the line and the coordinate
        along it, pixels.
    """
    u, v = axes(rng, n)
    phase, second, curvature = draw(rng, n, 0, 1), draw(rng, n, 0, 1), draw(rng, n, -bend, bend)

    def line(along: Array) -> Array:
        meander = wave(along / length + phase) + 0.4 * wave(along / (0.43 * length) + second)
        return swing * meander + curvature * along * along

    here = line(u)
    slope = line(u + 1) - here
    return (v - here) / np.sqrt(1 + slope * slope), u


def cloverleaf(distance: Array, along: Array, radius: Array) -> Array:
    """Distance (pixels) to four loops that touch a road and the one that crosses it.

    Args:
        distance: from the road, pixels, (n, 64, 64).
        along: from the crossing, along the road, pixels, (n, 64, 64).
        radius: of the loops, pixels, (n, 1, 1).
    """
    across, beside = np.abs(distance) - radius, np.abs(along) - radius
    return np.sqrt(across * across + beside * beside) - radius


def stripe(distance: Array, half_width: float | Array) -> Array:
    """Cover (0–1) of a band of ``half_width`` pixels around distance 0, soft over a pixel."""
    return np.clip(half_width + 0.5 - np.abs(distance), 0, 1)


def over(image: Array, colour: Array, cover: Array) -> None:
    """Lay ``colour``, (n, 3, 64, 64) or (n, 3, 1, 1), over ``image`` in place.

    ``cover``, (n, 64, 64) or (n, 1, 1), says how much of it is seen, 0–1.
    """
    image += (colour - image) * cover[:, None]


def lit(image: Array, shade: Array) -> None:
    """Brighten or darken ``image`` in place by the factor 1 + ``shade``, (n, 64, 64)."""
    image *= 1 + shade[:, None]
