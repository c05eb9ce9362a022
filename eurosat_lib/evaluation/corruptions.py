"""Light faults of an image, at three strengths: blur, noise, JPEG, haze; and the eight views."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

SEED = 0  # of the noise
VEIL = 255 * np.array([0.75, 0.80, 0.85], np.float32)  # colour of haze: bright, a little blue


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian of standard deviation ``sigma`` pixels; uint8 (N, 3, H, W) in and out."""
    values = gaussian_filter(images, (0, 0, sigma, sigma), output=np.float32, mode="nearest")
    return _quantise(values)


def noise(images: np.ndarray, sigma: float) -> np.ndarray:
    """Add independent Gaussian noise of standard deviation ``sigma`` (of 255)."""
    drawn = np.random.default_rng(SEED).standard_normal(images.shape, np.float32)
    return _quantise(images + sigma * drawn)


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    """Compress to JPEG of a quality in 1-100 (Pillow's scale), and back."""
    return np.stack([_recoded(image.transpose(1, 2, 0), quality) for image in images])


def _recoded(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).transpose(2, 0, 1)


def haze(images: np.ndarray, share: float) -> np.ndarray:
    """Mix with a uniform veil: (1 - share) image + share veil (Koschmieder's law, one depth)."""
    return _quantise((1 - share) * images + share * VEIL[:, None, None])


# Our choice of light faults for tiles of 64 pixels, each from hardly seen to plain; how to write
# a strength.
CORRUPTIONS: dict[str, tuple[Callable[..., np.ndarray], tuple[float, ...], str]] = {
    "blur": (blur, (0.4, 0.7, 1.0), "σ = {} px"),
    "noise": (noise, (2.0, 4.0, 8.0), "σ = {} / 255"),
    "jpeg": (jpeg, (90, 70, 50), "qualité {}"),
    "haze": (haze, (0.05, 0.1, 0.2), "voile {}"),
}


def views(images: Tensor) -> list[Tensor]:
    """Give the eight images of the square's symmetries, (N, C, S, S) each; the first is itself."""
    turned = [torch.rot90(images, turns, (2, 3)) for turns in range(4)]
    return turned + [image.flip(3) for image in turned]


VIEWS = tuple(
    f"{90 * turns}°{', miroir' if flipped else ''}" for flipped in (0, 1) for turns in range(4)
)
# Evaluations of one image: each view, and each corruption at each strength.
PASSES = len(VIEWS) + sum(len(strengths) for _, strengths, _ in CORRUPTIONS.values())


def _quantise(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)
