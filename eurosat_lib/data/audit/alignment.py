"""How well one image can be laid over another: the peak of their correlation over all shifts."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import uniform_filter
from scipy.signal.windows import hann

BACKGROUND = 9  # pixels: what is wider belongs to the background
CLIP = 2.0  # standard deviations: a bright roof must not decide alone


def details(grey: np.ndarray) -> np.ndarray:
    """Keep the fine structure of images, of unit norm; the edges fade out.

    Args:
        grey: float32 (N, H, W).

    Returns:
        float32 (N, H, W); 0 where an image has no structure at all.
    """
    fine = grey - uniform_filter(grey, (0, BACKGROUND, BACKGROUND))
    fine /= np.maximum(fine.std((1, 2), keepdims=True), 1e-3)
    fine = fine.clip(-CLIP, CLIP)
    height, width = (hann(size + 2)[1:-1] for size in grey.shape[1:])
    fine *= np.sqrt(np.outer(height, width)).astype(np.float32)
    norm = np.sqrt((fine**2).sum((1, 2), keepdims=True))
    return fine / np.maximum(norm, 1e-6)


def overlay(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the largest correlation of two images over all (circular) shifts, in [-1, 1].

    Args:
        first: float32 (N, H, W), from :func:`details`.
        second: float32 (N, H, W).
    """
    product = rfft2(first) * np.conj(rfft2(second))
    return irfft2(product, s=first.shape[1:]).max((1, 2))
