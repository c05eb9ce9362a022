"""Houses with streets and gardens; large roofs on asphalt. Lengths are pixels of 10 m.

``draw(rng, n, low, high)`` gives each image its own value; the comment says of what.
"""

from __future__ import annotations

import numpy as np

from eurosat_lib.synthetic import palette
from eurosat_lib.synthetic.noise import Array, chance, draw, patches, ramp, terrain, uniform
from eurosat_lib.synthetic.palette import GREENS, PAVEMENTS, SHEDS, SOILS, TILES, WOODS, one_of
from eurosat_lib.synthetic.shapes import Parcels, axes, lit, look_up, over, parcels, stripe

_PLANTS = np.concatenate([GREENS, WOODS])


def roofs(
    rng: np.random.Generator, image: Array, plots: Parcels, colours: Array, cover: Array
) -> None:
    """Put roofs of ``colours`` on the parcels where ``cover`` (n, 64, 64) is above 0, in place.

    The sun of a late morning in the north stands to the lower right: shadows fall one pixel
    to the upper left.
    """
    n = len(image)
    shadow = np.zeros_like(cover)
    shadow[:, :-1, :-1] = cover[:, 1:, 1:]
    lit(image, draw(rng, n, -0.6, -0.2) * shadow)  # light that the shadow takes away
    share = draw(rng, n, 0, 1)
    table = palette.per_cell(rng, (colours, colours), share, plots.bits, jitter=0.25)
    over(image, look_up(table, plots.key), cover)


def houses(rng: np.random.Generator, image: Array, uv: tuple[Array, Array], where: Array) -> None:
    """Cover ``where`` (n, 64, 64, 0–1) with small roofs, gardens and streets, in place."""
    n = len(image)
    growth = terrain(rng, n, (0.5, 1.0, 1.0), level=4)  # trees of 1 to 4 pixels
    garden = one_of(rng, n, _PLANTS) * (1 + 0.2 * growth)[:, None]
    over(image, garden, where * draw(rng, n, 0.7, 1.0))
    lots = parcels(rng, uv, draw(rng, n, 2.2, 4.2), draw(rng, n, 2.4, 4.6), bits=6)
    built = lots.table(rng) < draw(rng, n, 0.45, 0.95)  # share of the lots with a house
    roof = ramp(lots.edge, draw(rng, n, 0.0, 0.4), 0.6) * draw(rng, n, 0.55, 1.0)
    roofs(rng, image, lots, TILES, where * built * roof)
    blocks = parcels(rng, uv, draw(rng, n, 7, 14), draw(rng, n, 12, 26))
    street = stripe(blocks.edge, draw(rng, n, 0, 0.5))  # half its width
    over(image, one_of(rng, n, PAVEMENTS), 0.85 * where * street)


def sheds(rng: np.random.Generator, image: Array, uv: tuple[Array, Array], where: Array) -> None:
    """Cover ``where`` (n, 64, 64, 0–1) with asphalt and large rectangular roofs, in place."""
    n = len(image)
    wear = terrain(rng, n, (0.6, 0.8, 0.8, 0.8), level=3)  # lorries, stains: 8 pixels to 1
    ground = one_of(rng, n, PAVEMENTS, jitter=0.15) * (1 + 0.12 * wear)[:, None]
    over(image, ground, where * draw(rng, n, 0.7, 1.0))
    plots = parcels(rng, uv, draw(rng, n, 7, 17), draw(rng, n, 8, 24))
    built = plots.table(rng) < draw(rng, n, 0.5, 0.95)  # share of the plots with a hall
    yard = draw(rng, n, 0.6, 2.0) + 2.0 * plots.table(rng)  # from the border to the wall
    roofs(rng, image, plots, SHEDS, where * built * ramp(plots.edge, yard, 0.8))
    parts = parcels(rng, uv, draw(rng, n, 3, 6), draw(rng, n, 3, 8), bits=5)
    lit(image, where * draw(rng, n, 0.1, 0.5) * (parts.table(rng) - 0.6))  # parts of a roof
    street = stripe(plots.edge, draw(rng, n, -0.3, 0.4))
    over(image, one_of(rng, n, PAVEMENTS), 0.8 * where * street)
    over(image, one_of(rng, n, _PLANTS), 0.9 * where * patches(rng, n, 0.5, 1.1))


def residential(rng: np.random.Generator, n: int) -> Array:
    """Residential: many small roofs, streets, gardens; here and there a park or a hall."""
    image, uv, town = _outskirts(rng, n)
    houses(rng, image, uv, town)
    halls = town * patches(rng, n, 0.4, 1.0)
    some = n // 3  # dear to draw: only in the first images of the batch
    sheds(rng, image[:some], (uv[0][:some], uv[1][:some]), halls[:some])
    return image


def industrial(rng: np.random.Generator, n: int) -> Array:
    """Industrial: few large bright or grey roofs on asphalt; a housing estate at the edge."""
    image, uv, town = _outskirts(rng, n)
    sheds(rng, image, uv, town)
    estate = town * patches(rng, n, 0.15, 0.9)
    some = n // 2
    houses(rng, image[:some], (uv[0][:some], uv[1][:some]), estate[:some])
    return image


def _outskirts(rng: np.random.Generator, n: int) -> tuple[Array, tuple[Array, Array], Array]:
    """Green or bare land, the axes of the streets (some bent), where the town stands (0–1)."""
    u, v = axes(rng, n, skew=0.2)
    bend = 5 * draw(rng, n, 0, 1) * chance(rng, n, 0.6)
    u = u + bend * terrain(rng, n, (0.6, 0.6, 0.5))
    v = v + bend * terrain(rng, n, (0.6, 0.6, 0.5))
    land = one_of(rng, n, np.concatenate([GREENS, _PLANTS, SOILS]))
    image = land * (1 + 0.1 * terrain(rng, n, (0.6, 0.6, 0.4, 0.2, 0.1)))[:, None]
    image += 4 * (uniform(rng, image.shape) - 0.5)
    return image, (u, v), patches(rng, n, -1.6, -0.3)
