"""What one look at the pixels says of each image: brightness, contrast, faults."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from eurosat_lib.data.audit.tiles import Tiles, luminance

NODATA = 8  # of 255: at most this in the three channels; JPEG smears a zero by a few levels
CLIPPED = 255  # the value at which the sensor's range was cut
SATURATED = 0.01  # share of the values at 255 above which an image is called saturated
FAINT = 3.0  # of 255: standard deviation of the most contrasted channel of a faint image


@dataclass(frozen=True)
class Measures:
    """One row per image.

    Attributes:
        mean: float64 (N, 3), mean of each channel, 0-255.
        sd: float64 (N, 3), standard deviation of each channel, 0-255.
        darkest: uint8 (N,), the darkest pixel's brightest channel.
        nodata: float64 (N,), share of pixels at most ``NODATA`` in all channels.
        clipped: float64 (N,), share of values at 255.
        flat: bool (N,), a single colour.
        centre: float64 (N,), luminance of the middle (half the side) less that of the rest.
    """

    mean: np.ndarray
    sd: np.ndarray
    darkest: np.ndarray
    nodata: np.ndarray
    clipped: np.ndarray
    flat: np.ndarray
    centre: np.ndarray

    @property
    def black(self) -> np.ndarray:
        """Whether an image holds nothing but pixels without data; bool (N,)."""
        return self.nodata == 1

    @property
    def saturated(self) -> np.ndarray:
        """Whether more than ``SATURATED`` of the values are at 255; bool (N,)."""
        return self.clipped > SATURATED

    @property
    def faint(self) -> np.ndarray:
        """Whether no channel varies by more than ``FAINT``; bool (N,)."""
        return self.sd.max(1) < FAINT


def measure(tiles: Tiles) -> Measures:
    """Measure all images."""
    rows = [_measure(block) for block in tiles.blocks()]
    columns = (np.concatenate([getattr(row, f.name) for row in rows]) for f in fields(Measures))
    return Measures(*columns)


def _measure(images: np.ndarray) -> Measures:
    pixels = images.reshape(len(images), images.shape[1], -1)  # (n, 3, H * W)
    values = pixels.astype(np.float32)
    mean = pixels.mean(2)
    squares = np.einsum("ncp,ncp->nc", values, values, dtype=np.float64) / pixels.shape[2]
    lightest = pixels.max(1)  # (n, H * W): the brightest channel of each pixel
    return Measures(
        mean=mean,
        sd=np.sqrt(np.maximum(squares - mean**2, 0)),
        darkest=lightest.min(1),
        nodata=(lightest <= NODATA).mean(1),
        clipped=(pixels == CLIPPED).mean((1, 2)),
        flat=(pixels.max(2) == pixels.min(2)).all(1),
        centre=_centre(luminance(images)),
    )


def _centre(grey: np.ndarray) -> np.ndarray:
    """Return how much lighter the middle is than the rest: grey is float32 (n, H, W)."""
    height, width = grey.shape[1:]
    middle = np.zeros((height, width), bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return grey[:, middle].mean(1, dtype=float) - grey[:, ~middle].mean(1, dtype=float)
