"""Preprocessing and augmentation: batched, on the device of the images, one draw per image.

Train batches go through ``preprocess(augment(images, generator))``, the others through
``preprocess(images)``. Random numbers are drawn on the CPU, so that a seed means the same on every
device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from eurosat_lib.config import Config

# Luma weights of ITU-R BT.601, those of torchvision's rgb_to_grayscale.
GRAY = (0.2989, 0.587, 0.114)
BRIGHTNESS, CONTRAST, SATURATION = range(3)


@dataclass(frozen=True)
class Preprocessing:
    """Resize, scale to [0, 1], normalise per channel; the same for all splits."""

    size: int  # pixels
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images: Tensor) -> Tensor:
        """Prepare a batch for the network.

        Args:
            images: uint8 (B, 3, H, W) in 0–255, or float32 in [0, 1].

        Returns:
            float32 (B, 3, size, size), in units of the channel's standard deviation.
        """
        images = self.resize(images)
        return F.normalize(F.to_dtype(images, torch.float32, scale=True), self.mean, self.std)

    def resize(self, images: Tensor) -> Tensor:
        """Resize to (size, size), bilinear with antialiasing; nothing if it is that size."""
        if images.shape[-2:] == (self.size, self.size):
            return images
        return F.resize(images, [self.size, self.size], antialias=True)

    def invert(self, batch: Tensor) -> Tensor:
        """Undo the normalisation, for display: float32 (B, 3, size, size) in [0, 1]."""
        mean, std = (
            torch.tensor(v, device=batch.device).view(3, 1, 1) for v in (self.mean, self.std)
        )
        return (batch * std + mean).clamp(0, 1)


@dataclass(frozen=True)
class Augmentation:
    """RandomCrop with edge padding, then RandomHorizontalFlip, then ColorJitter."""

    crop_padding: int  # pixels
    flip_probability: float
    brightness: float  # half-width of the factor's range around 1
    contrast: float
    saturation: float

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one transformation per image and apply it.

        Args:
            images: uint8 (B, 3, H, W) in 0–255, or float32 in [0, 1].
            generator: CPU generator; advanced by the call.

        Returns:
            float32 (B, 3, H, W) in [0, 1].
        """
        batch = images.shape[0]
        shift = torch.randint(0, 2 * self.crop_padding + 1, (batch, 2), generator=generator)
        flip = torch.rand(batch, generator=generator) < self.flip_probability
        factors, order = self._draw_color(batch, generator)
        device = images.device
        images = crop_and_flip(images, (shift - self.crop_padding).to(device), flip.to(device))
        images = F.to_dtype(images, torch.float32, scale=True)
        return jitter_color(images, factors.to(device), order.to(device))

    def _draw_color(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        half_width = torch.tensor([self.brightness, self.contrast, self.saturation])
        factors = 1 + half_width * (2 * torch.rand(batch, 3, generator=generator) - 1)
        order = torch.rand(batch, 3, generator=generator).argsort(dim=1)
        return factors, order


def crop_and_flip(images: Tensor, shift: Tensor, flip: Tensor) -> Tensor:
    """Shift each image, repeating its edge, then mirror it left to right where asked.

    Args:
        images: any dtype (B, C, H, W).
        shift: int64 (B, 2), rows and columns, in pixels; positive moves the window down and right.
        flip: bool (B,).

    Returns:
        Same dtype and shape.
    """
    batch, channels, height, width = images.shape
    index = torch.arange(batch, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    rows = torch.arange(height, device=images.device) + shift[:, :1]  # (B, H)
    columns = torch.arange(width, device=images.device) + shift[:, 1:]  # (B, W)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    return images[index, channel, rows[:, None, :, None], columns[:, None, None, :]]


def jitter_color(images: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Change brightness, contrast and saturation, in a random order per image.

    Each change is torchvision's: a blend ``f x + (1 - f) r``, cut to [0, 1], with a reference r of
    black (brightness), the mean of the grey image (contrast), or the grey image (saturation).

    Args:
        images: float32 (B, 3, H, W) in [0, 1].
        factors: float32 (B, 3), by kind: brightness, contrast, saturation; 1 changes nothing.
        order: int64 (B, 3), the kind applied first, second, third.

    Returns:
        float32 (B, 3, H, W) in [0, 1].
    """
    weights = torch.tensor(GRAY, device=images.device).view(1, 3, 1, 1)
    for slot in range(order.shape[1]):
        kind = order[:, slot].view(-1, 1, 1, 1)
        factor = factors.gather(1, order[:, slot : slot + 1]).view(-1, 1, 1, 1)
        gray = (images * weights).sum(1, keepdim=True)  # (B, 1, H, W)
        mean = gray.mean((2, 3), keepdim=True)
        reference = torch.where(kind == SATURATION, gray, torch.where(kind == CONTRAST, mean, 0.0))
        images = torch.lerp(reference, images, factor).clamp(0, 1)
    return images


def get_preprocess_transforms(config: Config) -> Preprocessing:
    """Build the preprocessing of the configuration (``data.image_size``, ``preprocess``)."""
    return Preprocessing(config.data.image_size, config.preprocess.mean, config.preprocess.std)


def get_augmentation_transforms(config: Config) -> Augmentation:
    """Build the augmentation of the configuration (``augment``)."""
    return Augmentation(**config.augment.model_dump())
