"""Fields, orchards, pastures, scrub and woods. Lengths are pixels of 10 m.

``draw(rng, n, low, high)`` gives each image its own value; the comment says of what.
"""

from __future__ import annotations

import numpy as np

from eurosat_lib.synthetic import palette
from eurosat_lib.synthetic.noise import (
    SIDE,
    Array,
    blurred,
    chance,
    draw,
    patches,
    ramp,
    terrain,
    uniform,
    wave,
)
from eurosat_lib.synthetic.palette import GREENS, SCRUBS, SOILS, WOODS, one_of
from eurosat_lib.synthetic.shapes import (
    Parcels,
    axes,
    lit,
    look_up,
    over,
    parcels,
    stripe,
    winding,
)

_BENDS = (0.4, 0.4, 0.5)  # terrain that bends borders: blobs of 64, 32 and 16 pixels
_LAND = (0.5, 0.6, 0.6, 0.4, 0.3, 0.2)  # terrain of uneven soil and growth, down to 2 pixels


def farmland(
    rng: np.random.Generator,
    n: int,
    size: tuple[float, float],
    green: Array,
    warp: float,
    palettes: tuple[Array, Array] = (SOILS, GREENS),
    jitter: float = 0.12,
) -> tuple[Array, Parcels]:
    """Lay out fields.

    Args:
        rng: source of randomness.
        n: number of images.
        size: smallest and largest side of a field, pixels.
        green: share of the fields that take the second palette, (n, 1, 1).
        warp: how far borders leave the straight line, pixels.
        palettes: colours of bare and of green fields.
        jitter: largest relative difference in brightness between alike fields.

    Returns:
        image float32 (n, 3, 64, 64), RGB 0–255, and its parcels.
    """
    u, v = axes(rng, n, skew=0.5)
    u = u + warp * terrain(rng, n, _BENDS)
    v = v + warp * terrain(rng, n, _BENDS)
    plots = parcels(rng, (u, v), draw(rng, n, *size), draw(rng, n, *size))
    colours = palette.per_cell(rng, palettes, green, jitter=jitter)
    image = blurred(look_up(colours, plots.key), 0.14)  # no staircase at the borders
    lit(image, draw(rng, n, 0.04, 0.2) * terrain(rng, n, _LAND))  # unevenness, relative
    return image, plots


def rows(rng: np.random.Generator, plots: Parcels, period: Array, dots: Array) -> Array:
    """Lines across each parcel, along one of its two sides.

    Args:
        rng: source of randomness.
        plots: the parcels.
        period: distance between lines, pixels, (n, 1, 1); a parcel changes it by up to 15 %.
        dots: 1 where the lines are rows of single trees, else 0, (n, 1, 1).

    Returns:
        float32 (n, 64, 64), from -1 (between the lines) to 1 (on them).
    """
    turned = plots.table(rng) < 0.5
    rate = (0.85 + 0.3 * plots.table(rng)) / period  # lines per pixel
    lines = wave(np.where(turned, plots.u, plots.v) * rate)
    crossing = wave(np.where(turned, plots.v, plots.u) * rate)
    return lines + dots * (np.minimum(lines, crossing) - lines)


def trees(rng: np.random.Generator, n: int, density: float | Array) -> Array:
    """Cover (0–1) of single trees, a pixel each: about ``density`` of all pixels, in groups."""
    groups = ramp(terrain(rng, n, (0.3, 0.5, 0.6, 0.4)), 0, 0.8)
    return 0.85 * (uniform(rng, groups.shape) < density * (0.4 + 3 * groups)).astype(np.float32)


def lane(rng: np.random.Generator, n: int, image: Array, probability: float) -> None:
    """Draw, on some images, a pale lane of 5 to 10 m that winds a little, in place."""
    distance, _ = winding(rng, n, draw(rng, n, 0, 5), draw(rng, n, 40, 90), bend=0.006)
    cover = stripe(distance, draw(rng, n, 0.0, 0.5)) * draw(rng, n, 0.4, 0.9)
    over(image, 0.9 * one_of(rng, n, SOILS), cover * chance(rng, n, probability))


def plain(colour: Array) -> Array:
    """Spread one colour per image, (n, 3, 1, 1), over the image, (n, 3, 64, 64)."""
    return np.repeat(np.repeat(colour, SIDE, axis=2), SIDE, axis=3)


def woods(rng: np.random.Generator, n: int) -> Array:
    """Dark crowns, a pixel or two each, image float32 (n, 3, 64, 64)."""
    image = plain(one_of(rng, n, WOODS, jitter=0.15))
    crowns = terrain(rng, n, (0.2, 0.2, 0.3, 0.3, 0.5, 0.9, 1.3))
    lit(image, draw(rng, n, 0.09, 0.2) * crowns)
    return image


def relief(rng: np.random.Generator, n: int) -> Array:
    """Light and shade of hills: slope of a terrain, about -0.5 to 0.5, float32 (n, 64, 64)."""
    height = terrain(rng, n, (4.0, 4.0, 3.0, 1.6, 0.7))
    shade = np.empty_like(height)
    np.subtract(height[:, 1:, 1:], height[:, :-1, :-1], out=shade[:, 1:, 1:])
    shade[:, 0], shade[:, :, 0] = shade[:, 1], shade[:, :, 1]
    return shade


def annual_crop(rng: np.random.Generator, n: int) -> Array:
    """AnnualCrop: large polygonal fields, flat tones, faint plough rows, paths or hedges."""
    image, plots = farmland(rng, n, (16, 50), draw(rng, n, 0, 0.85), warp=2.0)
    furrows = rows(rng, plots, draw(rng, n, 2.5, 7), np.zeros((n, 1, 1), dtype=np.float32))
    lit(image, draw(rng, n, 0.0, 0.06) * plots.table(rng) * furrows)  # 6 % at most: faint
    border = one_of(rng, n, np.concatenate([SOILS, WOODS]))  # a path or a hedge
    over(image, border, stripe(plots.edge, 0.2) * draw(rng, n, 0, 0.7))
    over(image, one_of(rng, n, WOODS), trees(rng, n, draw(rng, n, 0, 0.004)))
    lane(rng, n, image, 0.25)
    return image


def permanent_crop(rng: np.random.Generator, n: int) -> Array:
    """PermanentCrop: small parcels of vines in rows or of trees on a grid, some of them bare."""
    image, plots = farmland(rng, n, (8, 28), draw(rng, n, 0, 0.6), warp=1.5)
    planted = rows(rng, plots, draw(rng, n, 3.2, 6.5), chance(rng, n, 0.45))
    dense = ramp(plots.table(rng), draw(rng, n, -0.2, 0.4), 0.3)  # 0 in the bare parcels
    dense = dense * draw(rng, n, 0.45, 0.95)  # sparse to full crowns
    crowns = one_of(rng, n, np.concatenate([WOODS, SCRUBS[:4]]))
    over(image, crowns, dense * (0.5 + 0.5 * planted))
    over(image, one_of(rng, n, SOILS), stripe(plots.edge, 0.1) * draw(rng, n, 0, 0.7))  # paths
    over(image, one_of(rng, n, WOODS), trees(rng, n, 0.006))
    lane(rng, n, image, 0.3)
    return image


def pasture(rng: np.random.Generator, n: int) -> Array:
    """Pasture: smooth green meadows, low contrast, a few hedges and trees."""
    grass = (GREENS, np.concatenate([GREENS, SCRUBS]))
    image, plots = farmland(rng, n, (14, 44), draw(rng, n, 0.5, 1.1), 6.0, grass, jitter=0.08)
    meadow = one_of(rng, n, GREENS[1:], jitter=0.15)
    over(image, meadow, draw(rng, n, 0.45, 0.95))  # one green over all: low contrast
    lit(image, draw(rng, n, 0.03, 0.09) * terrain(rng, n, _LAND[:5]))
    kept = plots.table(rng) < draw(rng, n, 0, 0.9)  # meadows that still have their hedge
    gaps = uniform(rng, kept.shape) < 0.8
    hedge = stripe(plots.edge, draw(rng, n, 0.3, 1.2)) * (kept & gaps)
    bush = one_of(rng, n, WOODS)
    over(image, bush, hedge * draw(rng, n, 0.3, 1.0))
    over(image, bush, trees(rng, n, draw(rng, n, 0, 0.012)))
    lane(rng, n, image, 0.2)
    return image


def herbaceous(rng: np.random.Generator, n: int) -> Array:
    """HerbaceousVegetation: brown and green mottles, bushes, relief, no straight border."""
    image = plain(one_of(rng, n, SCRUBS, jitter=0.15))
    mottle = terrain(rng, n, (0.4, 0.5, 0.6, 0.6, 0.5, 0.35, 0.25))
    second = one_of(rng, n, np.concatenate([SCRUBS, GREENS]))
    over(image, second, ramp(mottle, draw(rng, n, -0.6, 0.4), draw(rng, n, 0.3, 1.4)))
    lit(image, draw(rng, n, 0.1, 0.9) * relief(rng, n))  # plains to ravines
    tufts = terrain(rng, n, (0.3, 0.5, 0.8, 1.0), level=3)  # 8 pixels to 1
    lit(image, draw(rng, n, 0.03, 0.14) * tufts)
    over(image, one_of(rng, n, WOODS), trees(rng, n, draw(rng, n, 0, 0.05)))
    lane(rng, n, image, 0.3)
    return image


def forest(rng: np.random.Generator, n: int) -> Array:
    """Forest: very dark, fine-grained; stands of two ages, hills, now and then a clearing."""
    image = woods(rng, n)
    lit(image, draw(rng, n, 0.0, 0.5) * relief(rng, n))
    lit(image, patches(rng, n, -0.4, 0.6) * draw(rng, n, -0.2, 0.3))  # another age of trees
    clearing = patches(rng, n, 0.5, 1.1) * draw(rng, n, 0.2, 0.8)
    over(image, one_of(rng, n, GREENS), clearing)
    lane(rng, n, image, 0.15)
    return image
