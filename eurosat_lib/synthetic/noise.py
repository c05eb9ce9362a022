"""Random numbers and random fields whose bits are the same on every machine.

Only draws of ``Generator(PCG64)`` that are defined bit by bit (``random``, ``integers``) and
operations that IEEE 754 rounds exactly (+, -, x, /, square root, comparison, rint, floor) are
used, one per NumPy call. No sine, no exponential, no sum over an axis, no matrix product: these
differ in the last bit between processors. Shapes: ``n`` images, fields float32 (n, 64, 64),
numbers of one image float32 (n, 1, 1).
"""

from __future__ import annotations

import numpy as np

SIDE = 64  # pixels of 10 m: an image shows 640 m x 640 m
OUTLINES = (0.6, 0.7, 0.5, 0.3, 0.2)  # amplitudes of ``terrain`` for the borders of patches
Array = np.ndarray


def generator(*key: int) -> np.random.Generator:
    """Return the random stream that belongs to ``key`` (non-negative integers)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return float32 numbers of ``shape`` in [0, 1)."""
    return rng.random(shape, dtype=np.float32)


def draw(rng: np.random.Generator, n: int, low: float, high: float) -> Array:
    """Return one number per image, float32 (n, 1, 1), uniform in [low, high)."""
    return low + (high - low) * uniform(rng, (n, 1, 1))


def chance(rng: np.random.Generator, n: int, probability: float) -> Array:
    """Return 1.0 with ``probability`` and 0.0 otherwise, per image, float32 (n, 1, 1)."""
    return (uniform(rng, (n, 1, 1)) < probability).astype(np.float32)


def wave(turns: Array) -> Array:
    """Smooth periodic function of period 1, from 1 (at 0) to -1 (at 1/2): almost a cosine."""
    offset = turns - np.rint(turns)
    q = 4 * offset * offset
    return 1 - q * (4 - 2 * q)


def doubled(field: Array) -> Array:
    """Refine (n, m, m) to (n, 2m - 2, 2m - 2) by Chaikin's rule: weights 3/4 and 1/4."""
    n, m, _ = field.shape
    step = 0.25 * (field[:, 1:] - field[:, :-1])
    tall = np.empty((n, 2 * m - 2, m), dtype=np.float32)
    np.add(field[:, :-1], step, out=tall[:, ::2])
    np.subtract(field[:, 1:], step, out=tall[:, 1::2])
    step = 0.25 * (tall[:, :, 1:] - tall[:, :, :-1])
    fine = np.empty((n, 2 * m - 2, 2 * m - 2), dtype=np.float32)
    np.add(tall[:, :, :-1], step, out=fine[:, :, ::2])
    np.subtract(tall[:, :, 1:], step, out=fine[:, :, 1::2])
    return fine


def terrain(
    rng: np.random.Generator, n: int, amplitudes: tuple[float | Array, ...], level: int = 0
) -> Array:
    """Sum of smooth noises, from coarse to fine.

    Args:
        rng: source of randomness.
        n: number of images.
        amplitudes: half-range of each octave, whose blobs measure 64, 32, 16, 8, 4, 2 and
            1 pixels; fewer than seven: the finest ones are absent. A number or (n, 1, 1).
        level: octaves left out at the coarse end (1 starts at 32 pixels).

    Returns:
        float32 (n, 64, 64), centred on 0, within plus or minus the sum of the amplitudes.
    """
    sizes = (3, 4, 6, 10, 18, 34, 66)[level:]
    field = np.zeros((n, sizes[0], sizes[0]), dtype=np.float32)
    for octave, size in enumerate(sizes):
        if octave:
            field = doubled(field)
        if octave < len(amplitudes):
            field += amplitudes[octave] * (2 * uniform(rng, (n, size, size)) - 1)
    return field[:, 1:-1, 1:-1]


def patches(rng: np.random.Generator, n: int, low: float, high: float) -> Array:
    """Cover (0–1) of irregular patches with soft borders, float32 (n, 64, 64).

    Each image draws a threshold in [low, high): at -0.8 the patches fill almost all of it, at 0
    one half, at 0.8 hardly anything.
    """
    return ramp(terrain(rng, n, OUTLINES), draw(rng, n, low, high), 0.15)


def blurred(image: Array, weight: Array | float) -> Array:
    """Blur the last two axes of (n, 3, 64, 64): each pixel takes ``weight`` of each neighbour."""
    step = weight * (image[..., 1:, :] - image[..., :-1, :])
    image = image.copy()
    image[..., :-1, :] += step
    image[..., 1:, :] -= step
    step = weight * (image[..., 1:] - image[..., :-1])
    image[..., :-1] += step
    image[..., 1:] -= step
    return image


def ramp(field: Array, low: float | Array, width: float | Array) -> Array:
    """Rise linearly from 0 where ``field`` is ``low`` to 1 where it is ``low + width``."""
    return np.clip((field - low) / width, 0, 1)
