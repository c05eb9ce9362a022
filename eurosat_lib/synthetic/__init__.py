"""The built-in data set: ten land covers drawn as Sentinel-2 sees them, 64 x 64 pixels of 10 m.

It stands in where EuroSAT cannot be had (no network, a test machine), so that the whole report
can still be built; it is no measurement of anything on Earth. Each class is known by texture,
lines and shapes, hardly by its mean colour, because soils, greens, woods and waters are shared:

=====================  ==========================================================================
AnnualCrop             large polygonal fields in flat tones, faint plough rows, paths or hedges
Forest                 very dark crowns of a pixel or two, hills, stands of two ages, clearings
HerbaceousVegetation   brown and green mottles, bushes, relief, no straight border
Highway                two carriageways in a gentle curve across fields, some with a cloverleaf
Industrial             few large bright, grey or blue roofs with their shadow, on asphalt
Pasture                smooth meadows of low contrast, some hedges, trees, a lane
PermanentCrop          small parcels of vines in rows or of trees on a grid, some of them bare
Residential            many small roofs, gardens, streets; a park or a hall
River                  a winding band of water through fields, woods or villages
SeaLake                almost flat water, blue to green; at times shallows, a beach, a shore
=====================  ==========================================================================

Difficult on purpose: rows so faint that an orchard looks like a field, a meadow crossed by a lane,
a river as thin and straight as a road, housing estates beside sheds, dark woods and dark water;
over all of them light, haze, colour cast, blur and noise of the sensor (``sensor``).

The same bits on every machine and in every process: see ``noise``. Modules, in the way of the
data: ``noise`` (random fields) - ``shapes`` and ``palette`` - ``rural``, ``urban``, ``lines`` (the
covers) - ``sensor`` (bytes).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eurosat_lib.errors import did_you_mean
from eurosat_lib.synthetic import lines, rural, urban
from eurosat_lib.synthetic.noise import SIDE, Array, generator
from eurosat_lib.synthetic.sensor import expose

__all__ = ["CLASSES", "SPLITS", "VERSION", "generate"]

Cover = Callable[[np.random.Generator, int], Array]

# Class -> images in a block of 54, and what draws them. 54 is EuroSAT's 27,000 / 500: the shares
# are those of the real set (2,000 pastures, 2,500 or 3,000 of the others).
_COVERS: dict[str, tuple[int, Cover]] = {
    "AnnualCrop": (6, rural.annual_crop),
    "Forest": (6, rural.forest),
    "HerbaceousVegetation": (6, rural.herbaceous),
    "Highway": (5, lines.highway),
    "Industrial": (5, urban.industrial),
    "Pasture": (4, rural.pasture),
    "PermanentCrop": (5, rural.permanent_crop),
    "Residential": (6, urban.residential),
    "River": (5, lines.river),
    "SeaLake": (6, lines.sea_lake),
}
CLASSES: tuple[str, ...] = tuple(_COVERS)
SPLITS = ("train", "validation", "test")
VERSION = 1  # part of every seed: raise it when a drawing changes
_CHUNK = 32  # images of one class drawn together, always all of them: a prefix stays a prefix


def generate(split: str, count: int) -> tuple[Array, Array]:
    """Draw the first ``count`` images of a split of the built-in data set.

    Image i depends on ``split`` and i only, so a shorter set is a prefix of a longer one. Every
    block of 54 images holds each class in EuroSAT's proportion, in random order.

    Args:
        split: "train", "validation" or "test"; no image is shared between them.
        count: number of images, 0 or more; about 0.6 ms each on one core.

    Returns:
        (images, labels): uint8 (count, 3, 64, 64), RGB 0–255, and int64 (count,), positions in
        ``CLASSES``.

    Raises:
        ValueError: unknown split or negative count.
    """
    if split not in SPLITS:
        hint = did_you_mean(str(split), SPLITS)
        raise ValueError(f"unknown split {split!r}{hint}: choose among {', '.join(SPLITS)}")
    if count < 0:
        raise ValueError(f"count is {count}: ask for 0 images or more")
    stream = SPLITS.index(split)
    labels = _labels(generator(VERSION, stream), count)
    images = np.empty((count, 3, SIDE, SIDE), dtype=np.uint8)
    for number, (_, cover) in enumerate(_COVERS.values()):
        places = np.flatnonzero(labels == number)
        for chunk, first in enumerate(range(0, len(places), _CHUNK)):
            wanted = places[first : first + _CHUNK]
            rng = generator(VERSION, stream, number, chunk)
            images[wanted] = _draw(rng, cover)[: len(wanted)]
    return images, labels


def _labels(rng: np.random.Generator, count: int) -> Array:
    """Labels in blocks of 54, each shuffled on its own: int64 (count,)."""
    block = np.repeat(np.arange(len(CLASSES)), [share for share, _ in _COVERS.values()])
    blocks = [rng.permutation(block) for _ in range(count // len(block) + 1)]
    return np.concatenate(blocks)[:count].astype(np.int64)


def _draw(rng: np.random.Generator, cover: Cover) -> Array:
    """One chunk of a class, shuffled (some details are drawn on its first images only)."""
    images = expose(rng, cover(rng, _CHUNK))
    return images[rng.permutation(_CHUNK)]
