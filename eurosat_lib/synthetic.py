"""The drawn images: ten land covers as Sentinel-2 might see them, 64 x 64 pixels of 10 m.

They stand in where EuroSAT cannot be had, so that everything can be tried; they measure nothing
on Earth. The covers share soils, greens and waters: texture and lines tell them apart, mean
colours hardly. Only draws that NumPy defines bit by bit and operations that IEEE 754 rounds
exactly are used (no sine, no exponential): the bits are the same on every machine.

Fields of n images are float32 (n, 64, 64), colours (n, 3, 1, 1) in 0–255.
"""

from __future__ import annotations

import numpy as np

from eurosat_lib.errors import did_you_mean

Array = np.ndarray
SIDE = 64
SPLITS = ("train", "validation", "test")
SOILS = ((200, 154, 134), (172, 132, 114), (148, 126, 112), (114, 97, 90), (216, 182, 160))
GREENS = ((32, 60, 58), (42, 76, 64), (62, 90, 74), (84, 95, 74), (52, 72, 68))
SCRUBS = ((96, 88, 82), (120, 102, 88), (80, 88, 76), (84, 95, 74), (152, 128, 110))
WOODS = ((28, 48, 48), (34, 54, 50), (24, 43, 47), (34, 58, 48))
WATERS = ((24, 40, 62), (34, 60, 78), (44, 78, 90), (30, 54, 64), (74, 108, 108))
TILES = ((158, 104, 96), (136, 90, 88), (172, 128, 116), (112, 96, 100), (146, 142, 146))
SHEDS = ((222, 222, 220), (250, 246, 242), (156, 156, 158), (124, 138, 164), (172, 124, 112))
ROADS = ((108, 106, 108), (126, 120, 118), (94, 96, 100), (144, 134, 128))
OCTAVES = (3, 4, 6, 10, 18, 34, 66)  # grids of noise, whose blobs are 64, 32, ... 1 pixels wide
# Images in a block of 108, in EuroSAT's proportions; alphabetical, as its labels are.
SHARES = {"AnnualCrop": 12, "Forest": 12, "HerbaceousVegetation": 12, "Highway": 10}
SHARES |= {"Industrial": 10, "Pasture": 8, "PermanentCrop": 10, "Residential": 12}
SHARES |= {"River": 10, "SeaLake": 12}
CLASSES: tuple[str, ...] = tuple(SHARES)


def generate(split: str, count: int) -> tuple[Array, Array]:
    """Draw the first ``count`` images of a split; more of them start with the same ones.

    Args:
        split: ``train``, ``validation`` or ``test``; no image is in two of them.
        count: number of images, 0 or more; about 0.6 ms each on one core.

    Returns:
        uint8 (count, 3, 64, 64), RGB 0–255, and int64 (count,), positions in ``CLASSES``.

    Raises:
        ValueError: unknown split or negative count.
    """
    if split not in SPLITS or count < 0:
        hint = did_you_mean(split, SPLITS)
        raise ValueError(f"{count} images of {split!r}{hint}: 0 or more of {', '.join(SPLITS)}")
    images, labels = np.empty((count, 3, SIDE, SIDE), np.uint8), np.empty(count, np.int64)
    shares = list(SHARES.values())
    for start in range(0, count, sum(shares)):
        key = (SPLITS.index(split), start)
        pens = [_Pen((*key, label), share) for label, share in enumerate(shares)]
        drawn = np.concatenate([p.draw(name) for p, name in zip(pens, CLASSES, strict=True)])
        order = pens[0].rng.permutation(len(drawn))[: count - start]
        images[start : start + len(order)] = drawn[order]
        labels[start : start + len(order)] = np.repeat(np.arange(len(shares)), shares)[order]
    return images, labels


class _Pen:
    """Draws ``n`` images of one cover at a time, with the random stream of a key."""

    def __init__(self, key: tuple[int, ...], n: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
        self.n, grid = n, np.arange(SIDE, dtype=np.float32) - SIDE / 2
        x, y = self.uniform(-1, 1), self.uniform(0.01, 1)
        x, y = x / np.sqrt(x * x + y * y), y / np.sqrt(x * x + y * y)  # a direction per image
        self.axes = x * grid + y * grid[:, None], x * grid[:, None] - y * grid  # along, across

    def draw(self, cover: str) -> Array:
        """Draw the ground and photograph it: uint8 (n, 3, 64, 64)."""
        ground = {
            "AnnualCrop": lambda: self.farmland(14, 40, 0.05, SOILS, GREENS),
            "Forest": lambda: self.mottled(WOODS, WOODS, 0.16, 0.2),
            "HerbaceousVegetation": lambda: self.mottled(SCRUBS, SCRUBS + GREENS, 0.08, 0.1),
            "Highway": lambda: self.crossed(9, (1, 2.4), self.colour(ROADS)),
            "Industrial": lambda: self.town(self.colour(ROADS), SHEDS + SHEDS + TILES, 9, 22, 2.4),
            "Pasture": lambda: self.grown(
                self.mottled(GREENS, GREENS, 0.05, 0.02), self.parcels(26, 60, WOODS)[1]
            ),
            "PermanentCrop": lambda: self.farmland(10, 26, 0.3, SOILS, SCRUBS + GREENS),
            "Residential": lambda: self.town(self.mottled(GREENS, WOODS, 0.1, 0.2), TILES, 3, 5),
            "River": lambda: self.crossed(34, (1.5, 8), self.water(-1)),
            "SeaLake": lambda: self.water(0.5),
        }[cover]()
        for axis in (2, 3):  # blurred
            beside = np.roll(ground, 1, axis) + np.roll(ground, -1, axis)
            ground = ground + 0.15 * (beside - 2 * ground)
        light = self.uniform(0.85, 1.15)[:, None] * self.uniform(0.95, 1.05, 3, 1, 1)
        haze = self.uniform(6, 34)[:, None] * np.array([[[0.4]], [[0.7]], [[1.0]]], np.float32)
        grain = self.uniform(-4, 4, 3, SIDE, SIDE) * self.uniform(0.3, 1)[:, None]
        return np.rint(np.clip(ground * light + haze + grain, 0, 255)).astype(np.uint8)

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        drawn = self.rng.random((self.n, *(shape or (1, 1))), dtype=np.float32)
        return np.float32(low) + np.float32(high - low) * drawn

    def colour(self, palette: tuple, cells: int = 1) -> Array:
        """Draw colours of a palette, a little lighter or darker: (n, 3, cells, 1)."""
        drawn = np.array(palette, np.float32)[
            self.rng.integers(len(palette), size=(self.n, cells))
        ]
        return (drawn * self.uniform(0.9, 1.1, cells, 1)).transpose(0, 2, 1)[..., None]

    def noise(self, *amplitudes: float, skip: int = 0) -> Array:
        """Sum smooth noises, coarse to fine, of these amplitudes, without the coarsest octaves."""
        field = np.zeros((self.n, OCTAVES[skip], OCTAVES[skip]), np.float32)
        for size, amplitude in zip(OCTAVES[skip:], amplitudes + (0,) * 7, strict=False):
            while field.shape[1] < size:  # Chaikin's rule, rows then columns: weights 3/4, 1/4
                for _ in range(2):
                    a, b = field[:, :-1], field[:, 1:]
                    pairs = np.stack([a + (b - a) / 4, b - (b - a) / 4], 2)
                    field = pairs.reshape(self.n, -1, field.shape[2]).swapaxes(1, 2)
            if amplitude:
                field = field + self.uniform(-amplitude, amplitude, size, size)
        return field[:, 1:-1, 1:-1]

    def parcels(self, low: float, high: float, palette: tuple) -> tuple[Array, Array]:
        """Lay out parcels of so many pixels: their colours, and the distance to their edge."""
        keys, edge = 0, np.float32(high)
        for axis, prime in zip(self.axes, (3, 11), strict=True):
            size = self.uniform(low, high)
            place = axis / size + self.uniform(0, 1)
            keys = keys + np.floor(place).astype(np.int64) * prime
            edge = np.minimum(edge, (0.5 - np.abs(place - np.floor(place) - 0.5)) * size)
        colours = np.take_along_axis(
            self.colour(palette, 64), keys.reshape(self.n, 1, -1, 1) % 64, 2
        )
        return colours.reshape(self.n, 3, SIDE, SIDE), edge

    def grown(self, image: Array, edge: Array) -> Array:
        """Let hedges grow along some edges, and groves in some places."""
        image = _over(image, self.colour(WOODS), np.minimum(1.2 - edge, self.uniform(-0.6, 0.9)))
        groves = 6 * self.noise(0.6, 0.6, 0.4, 0.2) - self.uniform(2, 8)
        return _over(image, self.colour(WOODS), groves)

    def farmland(self, low: float, high: float, rows: float, *palettes: tuple) -> Array:
        image, edge = self.parcels(low, high, sum(palettes, ()))
        turns = self.axes[0] / self.uniform(2.4, 5)
        square = 4 * (turns - np.rint(turns)) ** 2
        image = (
            image * (1 - self.uniform(rows / 4, rows) * (1 - square * (4 - 2 * square)))[:, None]
        )
        return self.grown(image, edge)

    def mottled(self, one: tuple, other: tuple, coarse: float, fine: float) -> Array:
        share = 0.5 + self.noise(*(coarse * np.array([3, 5, 7, 7, 6, 4])))
        image = _over(self.colour(one), self.colour(other), share)
        return image * (1 + self.noise(fine / 2, fine, fine, skip=4))[:, None]

    def town(
        self, ground: Array, roofs: tuple, low: float, high: float, yard: float = 0.4
    ) -> Array:
        colours, edge = self.parcels(low, high, roofs)
        image = _over(ground, 0.5 * ground, np.roll(edge, (-1, -1), (1, 2)) - yard)  # shadows
        image = _over(image, colours, 1.2 * (edge - self.uniform(0.5, 1.2) * yard))
        street = self.parcels(3 * low, 22, ROADS)[1]
        return self.grown(_over(image, self.colour(ROADS), 0.9 * (1.5 - street)), street + 2)

    def crossed(self, bend: float, half: tuple[float, float], band: Array) -> Array:
        """Lay a winding band, ``half`` as wide, across farmland."""
        image = self.farmland(14, 40, 0.05, SOILS, GREENS)
        line = self.uniform(-14, 14) + self.uniform(0, bend) * self.noise(1.0, 0.6, 0.2)
        edge = self.uniform(*half) - np.abs(self.axes[1] + line)
        image = _over(
            image, self.colour(WOODS + GREENS + SOILS), 0.6 * (edge + self.uniform(1, 4))
        )
        return _over(image, band, edge + 0.5)

    def water(self, shore: float) -> Array:
        """Draw open water; ``shore`` is the share of images with some land."""
        image = self.colour(WATERS) * (1 + self.noise(0.06, 0.04, 0.02, 0.01, 0.02))[:, None]
        land = self.noise(1, 0.6, 0.3, 0.15) - np.where(self.uniform(0, 1) < shore, 0.4, 9)
        image = _over(image, self.colour(SOILS), 9 * land + 0.8)
        return _over(image, self.colour(GREENS + WOODS), 9 * land - 0.6)


def _over(image: Array, colour: Array, cover: Array) -> Array:
    """Paint a colour over an image: wholly where ``cover`` is 1 or more, not where it is 0."""
    return image + np.clip(cover, 0, 1)[:, None] * (colour - image)
