"""From ground colours to the bytes of an image: light, haze, blur, noise."""

from __future__ import annotations

import numpy as np

from eurosat_lib.synthetic.noise import Array, blurred, draw, terrain, uniform
from eurosat_lib.synthetic.shapes import lit

HAZE = np.array([0.4, 0.7, 1.0], dtype=np.float32).reshape(1, 3, 1, 1)  # share per channel: bluish


def expose(rng: np.random.Generator, ground: Array) -> Array:
    """Photograph ``ground``: each image draws its blur, gain, cast, haze and noise.

    Args:
        rng: source of randomness.
        ground: float32 (n, 3, 64, 64), RGB 0–255; values above are cut off at the end.

    Returns:
        uint8 (n, 3, 64, 64), 0–255.
    """
    n = len(ground)

    def per_image(low: float, high: float, channels: int = 1) -> Array:
        return low + (high - low) * uniform(rng, (n, channels, 1, 1))

    image = blurred(ground, per_image(0.08, 0.2))  # share taken from each neighbour
    image *= per_image(0.82, 1.18)  # gain: season and sun
    image *= per_image(0.95, 1.05, 3)  # colour cast
    lit(image, draw(rng, n, 0, 0.08) * terrain(rng, n, (1.0,)))  # light uneven across 640 m
    image += HAZE * per_image(6, 34)  # levels, in the blue channel
    grain = uniform(rng, image.shape) - uniform(rng, image.shape)  # triangular, sd 0.41
    image += per_image(1.2, 4.5) * grain  # noise: sd of 0.5 to 1.8 levels
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)
