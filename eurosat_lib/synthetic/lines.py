"""Water, rivers and motorways, and the countryside that the last two cross.

Lengths are pixels of 10 m. ``draw(rng, n, low, high)`` gives each image its own value; the
comment says of what.
"""

from __future__ import annotations

import numpy as np

from eurosat_lib.synthetic.noise import Array, chance, draw, patches, ramp, terrain
from eurosat_lib.synthetic.palette import GREENS, PAVEMENTS, SOILS, WATERS, WOODS, one_of
from eurosat_lib.synthetic.rural import farmland, lane, plain, rows, trees, woods
from eurosat_lib.synthetic.shapes import axes, cloverleaf, lit, over, stripe, winding
from eurosat_lib.synthetic.urban import houses


def countryside(rng: np.random.Generator, n: int) -> Array:
    """Fields, meadows, woods and some houses: what lies beside a river or a motorway."""
    image, plots = farmland(rng, n, (12, 40), draw(rng, n, 0.2, 1.1), warp=3.0)
    furrows = rows(rng, plots, draw(rng, n, 3, 6), chance(rng, n, 0.3))
    lit(image, draw(rng, n, 0, 0.08) * furrows)
    bush = one_of(rng, n, WOODS)
    over(image, bush, stripe(plots.edge, 0.3) * draw(rng, n, 0, 0.7))  # hedges
    over(image, woods(rng, n), patches(rng, n, -0.8, 1.0))
    some = n // 3  # villages are dear to draw: only in the first images of the batch
    houses(rng, image[:some], axes(rng, some), patches(rng, some, 0.0, 0.7))
    over(image, bush, trees(rng, n, 0.01))
    lane(rng, n, image, 0.4)
    return image


def water(rng: np.random.Generator, n: int) -> Array:
    """Almost flat water, image float32 (n, 3, 64, 64)."""
    image = plain(one_of(rng, n, WATERS, jitter=0.15))
    currents = terrain(rng, n, (1.0, 0.7, 0.3, 0.1))
    lit(image, draw(rng, n, 0.0, 0.07) * currents)
    ripples = terrain(rng, n, (0.5, 1.0, 1.0), level=4)  # 4 pixels to 1
    lit(image, draw(rng, n, 0.0, 0.04) * ripples)
    return image


def sea_lake(rng: np.random.Generator, n: int) -> Array:
    """SeaLake: open water, dark blue to green; sometimes shallows, a beach and land."""
    image = water(rng, n)
    height = terrain(rng, n, (1.0, 0.6, 0.35, 0.2, 0.1))
    level = draw(rng, n, 0.0, 0.7)  # of the water: little or no land above it
    near = chance(rng, n, 0.4)  # is there a shore at all?
    over(image, one_of(rng, n, GREENS), 0.5 * near * ramp(height, level - 0.4, 0.8))
    over(image, one_of(rng, n, SOILS), near * ramp(height, level, 0.08))
    land = woods(rng, n)
    over(land, one_of(rng, n, GREENS), draw(rng, n, 0, 1))  # from woods to grass
    over(image, land, near * ramp(height, level + draw(rng, n, 0.03, 0.15), 0.08))
    return image


def river(rng: np.random.Generator, n: int) -> Array:
    """River: a winding band of water through the countryside, trees or gravel beside it."""
    image = countryside(rng, n)
    distance, _ = winding(rng, n, draw(rng, n, 0.5, 9), draw(rng, n, 45, 130), bend=0.012)
    distance = distance + terrain(rng, n, (1.0, 1.0, 0.9, 0.6, 0.3))  # uneven banks
    half = draw(rng, n, 1.2, 9.5)  # half the width: 24 to 190 m of water
    bank = one_of(rng, n, np.concatenate([WOODS, SOILS[:2], WOODS]))
    beside = stripe(distance, half + draw(rng, n, 0.5, 4))
    over(image, bank, beside * draw(rng, n, 0.2, 0.9))
    over(image, water(rng, n), stripe(distance, half))
    road, _ = winding(rng, n, draw(rng, n, 0, 2), draw(rng, n, 60, 120), bend=0.008)
    bridge = stripe(road, draw(rng, n, 0, 0.8)) * chance(rng, n, 0.3)
    over(image, one_of(rng, n, PAVEMENTS), 0.8 * bridge)
    return image


def highway(rng: np.random.Generator, n: int) -> Array:
    """Highway: two carriageways, straight or gently curved, some with a cloverleaf."""
    image = countryside(rng, n)
    asphalt = one_of(rng, n, PAVEMENTS, jitter=0.15) * draw(rng, n, 0.85, 1.5)[:, None]
    side, _ = winding(rng, n, draw(rng, n, 0, 3), draw(rng, n, 50, 120), bend=0.012)
    over(image, asphalt, 0.8 * stripe(side, draw(rng, n, 0, 0.7)) * chance(rng, n, 0.5))
    distance, along = winding(rng, n, draw(rng, n, 0, 2), draw(rng, n, 90, 180), bend=0.005)
    loops = stripe(cloverleaf(distance, along, draw(rng, n, 3.5, 7)), 0.2)
    exits = np.maximum(loops, stripe(along, 0.7)) * (distance > draw(rng, n, -40, 0))
    over(image, asphalt, 0.85 * exits * chance(rng, n, 0.35))
    half = draw(rng, n, 0.7, 1.9)  # half the width: 14 to 38 m of road
    verge = one_of(rng, n, np.concatenate([GREENS, WOODS]))
    beside = stripe(distance, half + draw(rng, n, 0.5, 3))
    over(image, verge, beside * draw(rng, n, 0.2, 0.8))
    over(image, asphalt, stripe(distance, half) * draw(rng, n, 0.65, 1.0))
    over(image, verge, stripe(distance, 0.0) * draw(rng, n, 0, 0.9))  # central reservation
    return image
