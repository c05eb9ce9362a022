"""The drawn images: ten land covers as Sentinel-2 might see them, 64 x 64 pixels of 10 m.

They stand in where EuroSAT cannot be had, so that everything can be tried; they measure nothing
on Earth. The covers share soils, greens and waters: texture and lines tell them apart, mean
colours hardly. Only NumPy's generators and operations that IEEE 754 rounds exactly are used: the
bits are the same on every machine.
"""

from __future__ import annotations

import numpy as np

SIDE = 64  # pixels
SPLITS = ("train", "validation", "test")
# Images in a block of 108, in EuroSAT's proportions; alphabetical, as its labels are.
SHARES = {"AnnualCrop": 12, "Forest": 12, "HerbaceousVegetation": 12, "Highway": 10}
SHARES |= {"Industrial": 10, "Pasture": 8, "PermanentCrop": 10, "Residential": 12}
SHARES |= {"River": 10, "SeaLake": 12}
CLASSES: tuple[str, ...] = tuple(SHARES)
SOILS = ((200, 154, 134), (172, 132, 114), (148, 126, 112), (114, 97, 90), (216, 182, 160))
GREENS = ((32, 60, 58), (42, 76, 64), (62, 90, 74), (84, 95, 74), (52, 72, 68))
WOODS = ((28, 48, 48), (34, 54, 50), (24, 43, 47), (34, 58, 48))
WATERS = ((24, 40, 62), (34, 60, 78), (44, 78, 90), (30, 54, 64), (74, 108, 108))
ROOFS = ((158, 104, 96), (136, 90, 88), (172, 128, 116), (112, 96, 100), (146, 142, 146))
SHEDS = ((222, 222, 220), (250, 246, 242), (156, 156, 158), (124, 138, 164), (172, 124, 112))
ROADS = ((108, 106, 108), (126, 120, 118), (94, 96, 100), (144, 134, 128))


def generate(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the first ``count`` images of a split, some 2 ms each; more start with the same ones.

    They are uint8 (count, 3, 64, 64), RGB 0–255; the labels int64 (count,), places in ``CLASSES``.
    """
    key, block = SPLITS.index(split), np.repeat(np.arange(10), list(SHARES.values()))
    starts = range(0, count + 1, len(block))
    dealt = [np.random.default_rng([key, start]).permutation(block) for start in starts]
    labels = np.concatenate(dealt)[:count]
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    for i, label in enumerate(labels):
        images[i] = _Pen(np.random.default_rng([key, i, label])).draw(CLASSES[label])
    return images, labels


class _Pen:
    """Draws one image: fields are (64, 64), colours (3, 1, 1) or (3, 64, 64) in 0–255."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.uniform = rng, rng.uniform
        x, y = self.uniform(-1, 1), self.uniform(0.01, 1)
        x, y = x / np.sqrt(x * x + y * y), y / np.sqrt(x * x + y * y)  # a direction
        grid = np.arange(SIDE) - SIDE / 2
        self.along, self.across = x * grid + y * grid[:, None], x * grid[:, None] - y * grid

    def draw(self, cover: str) -> np.ndarray:
        """The picture of one land cover, by its name in the data set."""
        ground = {
            "AnnualCrop": lambda: self.fields(14, 40, 0.05, SOILS + GREENS),
            "Forest": lambda: self.mottled(WOODS, WOODS, 0.2),
            "HerbaceousVegetation": lambda: self.mottled(SOILS[1:4], GREENS[2:], 0.1),
            "Highway": lambda: self.crossed(6, 1, 2.4, ROADS),
            "Industrial": lambda: self.town(self.colour(ROADS), SHEDS + SHEDS + ROOFS, 9, 22),
            "Pasture": lambda: self.fields(26, 60, 0.02, GREENS),
            "PermanentCrop": lambda: self.fields(10, 26, 0.3, SOILS + GREENS),
            "Residential": lambda: self.town(self.mottled(GREENS, WOODS, 0.1), ROOFS, 4, 6),
            "River": lambda: self.crossed(26, 1.5, 8, WATERS),
            "SeaLake": self.water,
        }[cover]()
        haze = self.uniform(6, 34) * np.array([[[0.4]], [[0.7]], [[1.0]]])
        light = self.uniform(0.85, 1.15) * self.uniform(0.95, 1.05, (3, 1, 1))
        grain = self.uniform(0.3, 1) * self.uniform(-4, 4, (3, SIDE, SIDE))
        return np.rint(np.clip(ground * light + haze + grain, 0, 255)).astype(np.uint8)

    def colour(self, palette: tuple) -> np.ndarray:
        return (self.uniform(0.9, 1.1) * self.rng.choice(palette))[:, None, None]

    def noise(self, *amplitudes: float, first: int = 2) -> np.ndarray:
        """Sum smooth noises of these amplitudes, each on a grid twice as fine as the last."""
        total = 0
        for octave, amplitude in enumerate(amplitudes):
            cells = first * 2**octave
            grid = self.uniform(-amplitude, amplitude, (cells + 1, cells + 1))
            i, t = np.divmod(np.arange(SIDE) * cells / SIDE, 1)
            i, t = i.astype(int), t * t * (3 - 2 * t)
            rows = grid[i] + t[:, None] * (grid[i + 1] - grid[i])
            total = total + rows[:, i] + t * (rows[:, i + 1] - rows[:, i])
        return total

    def parcels(self, low: float, high: float, palette: tuple) -> tuple[np.ndarray, np.ndarray]:
        """Lay out parcels of so many pixels: their colours, and the distance to their edge."""
        keys, edge = 0, np.inf
        for axis, prime in ((self.along, 3), (self.across, 11)):
            size = self.uniform(low, high)
            number, place = np.divmod(axis / size + self.uniform(0, 1), 1)
            keys = keys + number.astype(int) * prime
            edge = np.minimum(edge, (0.5 - np.abs(place - 0.5)) * size)
        colours = self.rng.choice(palette, 64) * self.uniform(0.9, 1.1, (64, 1))
        return colours[keys % 64].transpose(2, 0, 1), edge

    def hedged(self, image: np.ndarray, edge: np.ndarray) -> np.ndarray:
        """Let hedges grow along some edges, and groves in some places."""
        hedges = np.minimum(1.2 - edge, self.uniform(-0.6, 0.9))
        groves = 6 * self.noise(0.6, 0.6, 0.4, 0.2) - self.uniform(2, 8)
        return _over(image, self.colour(WOODS), np.maximum(hedges, groves))

    def fields(self, low: float, high: float, rows: float, palette: tuple) -> np.ndarray:
        """Parcels striped by the rows of their crop, with hedges between."""
        image, edge = self.parcels(low, high, palette)
        turns = self.along / self.uniform(2.4, 5)
        stripes = 1 - self.uniform(rows / 4, rows) * 2 * np.abs(turns - np.rint(turns))
        return self.hedged(image * stripes, edge)

    def mottled(self, one: tuple, other: tuple, fine: float) -> np.ndarray:
        """Two palettes mixed by smooth noise, with a fine grain."""
        share = 0.5 + self.noise(0.4, 0.5, 0.6, 0.5, 0.4)
        image = _over(self.colour(one), self.colour(other), share)
        return image * (1 + self.noise(fine, fine, first=32))

    def town(self, ground: np.ndarray, roofs: tuple, low: float, high: float) -> np.ndarray:
        """Roofs with their shadows on a ground, cut by streets."""
        colours, edge = self.parcels(low, high, roofs)
        image = _over(ground, 0.5 * ground, np.roll(edge, (-1, -1), (0, 1)) - low / 8)  # shadows
        image = _over(image, colours, 1.2 * (edge - self.uniform(0.5, 1.2) * low / 8))
        street = self.parcels(3 * low, 3 * low + 10, ROADS)[1]
        return self.hedged(_over(image, self.colour(ROADS), 0.9 * (1.5 - street)), street + 2)

    def crossed(self, bend: float, low: float, high: float, palette: tuple) -> np.ndarray:
        """Lay a band, half as wide as ``low`` to ``high``, winding by ``bend``, across fields."""
        image = self.fields(14, 40, 0.05, SOILS + GREENS)
        line = self.uniform(-14, 14) + self.uniform(0, bend) * self.noise(1.0, 0.6, 0.2)
        edge = self.uniform(low, high) - np.abs(self.across + line)
        image = _over(image, self.colour(WOODS + GREENS), 0.6 * (edge + self.uniform(1, 4)))
        return _over(image, self.colour(palette), edge + 0.5)

    def water(self) -> np.ndarray:
        """Draw open water, with some land in half of the images."""
        image = self.colour(WATERS) * (1 + self.noise(0.06, 0.04, 0.02, 0.01, 0.02))
        land = self.noise(1, 0.6, 0.3, 0.15) - self.rng.choice((0.4, 9))
        image = _over(image, self.colour(SOILS), 9 * land + 0.8)
        return _over(image, self.colour(GREENS + WOODS), 9 * land - 0.6)


def _over(image: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Paint a colour over an image: wholly where ``cover`` is 1 or more, not where it is 0."""
    return image + np.clip(cover, 0, 1) * (colour - image)
