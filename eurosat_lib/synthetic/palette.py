"""Colours of the ground as Sentinel-2 shows it: muted, a little blue. RGB, 0–255.

The same soils, greens and woods serve several land covers, so a mean colour tells little. Haze
(``sensor``) adds the blue that Sentinel-2 images have.
"""

from __future__ import annotations

import numpy as np

from eurosat_lib.synthetic.noise import Array, draw, uniform


def _rgb(*colours: tuple[int, int, int]) -> Array:
    return np.array(colours, dtype=np.float32)


SOILS = _rgb(
    (200, 154, 134),  # dry, sandy
    (172, 132, 114),  # ochre
    (148, 126, 112),  # stubble
    (114, 97, 90),  # ploughed, moist
    (216, 182, 160),  # chalk
    (132, 108, 88),  # olive brown
)
GREENS = _rgb(
    (32, 60, 58),  # maize, dense
    (42, 76, 64),  # young wheat
    (62, 90, 74),  # grass after the cut
    (84, 95, 74),  # ripening
    (52, 72, 68),  # clover
)
SCRUBS = _rgb((96, 88, 82), (120, 102, 88), (80, 88, 76), (78, 80, 80), (152, 128, 110))
WOODS = _rgb((28, 48, 48), (34, 54, 50), (24, 43, 47), (32, 50, 56), (34, 58, 48))
WATERS = _rgb((24, 40, 62), (34, 60, 78), (44, 78, 90), (30, 54, 64), (74, 108, 108), (58, 84, 92))
TILES = _rgb((158, 104, 96), (136, 90, 88), (172, 128, 116), (112, 96, 100), (146, 142, 146))
SHEDS = _rgb((222, 222, 220), (250, 246, 242), (156, 156, 158), (124, 138, 164), (172, 124, 112))
PAVEMENTS = _rgb((108, 106, 108), (126, 120, 118), (94, 96, 100), (144, 134, 128))


def one_of(rng: np.random.Generator, n: int, palette: Array, jitter: float = 0.08) -> Array:
    """Return one colour per image, float32 (n, 3, 1, 1): two of ``palette`` mixed.

    Args:
        rng: source of randomness.
        n: number of images.
        palette: float32 (p, 3), RGB 0–255.
        jitter: largest relative change of brightness.
    """
    pair = palette[rng.integers(len(palette), size=(n, 2))]
    share = 0.4 * draw(rng, n, 0, 1)[:, 0]
    colour = pair[:, 0] + share * (pair[:, 1] - pair[:, 0])
    return (colour * (1 + draw(rng, n, -jitter, jitter)[:, 0])).reshape(n, 3, 1, 1)


def per_cell(
    rng: np.random.Generator,
    palettes: tuple[Array, Array],
    share: Array,
    bits: int = 4,
    jitter: float = 0.12,
) -> Array:
    """Return colours for the cells of ``Parcels``, float32 (n, 3, 4 ** bits).

    A region knows few colours: each image draws two of each palette and its cells share them.

    Args:
        rng: source of randomness.
        palettes: two palettes, float32 (p, 3), RGB 0–255.
        share: how many of the cells take the second palette, 0–1, (n, 1, 1).
        bits: as in ``Parcels``.
        jitter: largest relative change of a cell's brightness.
    """
    n, cells = len(share), 4**bits
    drawn = [p[rng.integers(len(p), size=(n, 2))] for p in palettes]
    tones = np.concatenate(drawn, axis=1)  # (n, 4, 3)
    second = (uniform(rng, (n, cells)) < share[:, 0]).astype(np.int64)
    tone = 2 * second + rng.integers(2, size=(n, cells))
    colours = np.take_along_axis(tones, tone[:, :, None], axis=1)
    colours *= 1 + jitter * (2 * uniform(rng, (n, cells, 1)) - 1)
    return np.ascontiguousarray(colours.transpose(0, 2, 1))
