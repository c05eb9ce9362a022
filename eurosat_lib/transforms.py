"""Preprocessing and augmentation: batched, on the device of the images, one draw per image.

Train batches go through ``preprocess(augment(images, draws))``, the others through
``preprocess(images)``. An epoch's random numbers are drawn at once and on the CPU: a seed means
the same on every device, and nothing has to be sent to the device between two batches.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from eurosat_lib.config import Config
from eurosat_lib.data import Split, load_dataset

# Luma weights of ITU-R BT.601, those of torchvision's rgb_to_grayscale.
GRAY = (0.2989, 0.587, 0.114)
BRIGHTNESS, CONTRAST, SATURATION = range(3)
DIGITS = 4  # of the mean and standard deviation of a data set
BLOCK = 2048  # images summed at a time
_statistics: dict[str, tuple] = {}  # by fingerprint of the data


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
        images = to_float(self.resize(images))
        mean, std = (_per_channel(values, images.device) for values in (self.mean, self.std))
        return images.sub(mean).div_(std)

    def resize(self, images: Tensor) -> Tensor:
        """Resize to (size, size), bilinear with antialiasing; nothing if it is that size."""
        if images.shape[-2:] == (self.size, self.size):
            return images
        from torchvision.transforms.v2 import functional as F  # takes seconds to import

        return F.resize(images, [self.size, self.size], antialias=True)

    def invert(self, batch: Tensor) -> Tensor:
        """Undo the normalisation, for display: float32 (B, 3, size, size) in [0, 1]."""
        mean, std = (_per_channel(values, batch.device) for values in (self.mean, self.std))
        return (batch * std + mean).clamp(0, 1)


def to_float(images: Tensor) -> Tensor:
    """Scale uint8 images to float32 in [0, 1], as torchvision's ``to_dtype``; float32 stays."""
    return images if images.is_floating_point() else images.float().mul_(1 / 255)


@cache
def _per_channel(values: tuple[float, float, float], device: torch.device) -> Tensor:
    """Keep constants on the device, (3, 1, 1); torchvision's normalize sends them each time."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device).view(3, 1, 1)


@dataclass(frozen=True)
class Draws:
    """One random transformation per image; row i belongs to image i.

    Attributes:
        shift: int64 (N, 2), rows and columns, in pixels, by which the crop moves.
        flip: bool (N,).
        factors: float32 (N, 3), by kind: brightness, contrast, saturation; 1 changes nothing.
        order: int64 (N, 3), the kind applied first, second, third.
        symmetry: bool (N, 2), flip upside down, then transpose.
    """

    shift: Tensor
    flip: Tensor
    factors: Tensor
    order: Tensor
    symmetry: Tensor

    def __getitem__(self, rows: slice) -> "Draws":
        """Return the draws of some images."""
        return Draws(*(value[rows] for value in vars(self).values()))

    def to(self, device: torch.device) -> "Draws":
        """Return the draws on another device."""
        return Draws(*(value.to(device) for value in vars(self).values()))


@dataclass(frozen=True)
class Augmentation:
    """RandomCrop with edge padding, then a flip or a symmetry of the square, then ColorJitter."""

    crop_padding: int  # pixels
    flip_probability: float
    brightness: float  # half-width of the factor's range around 1
    contrast: float
    saturation: float
    symmetries: bool = False  # one of the 8, instead of the flip

    def draw(self, count: int, generator: torch.Generator) -> "Draws":
        """Draw one transformation for each of ``count`` images; the generator is of the CPU."""
        shift = torch.randint(0, 2 * self.crop_padding + 1, (count, 2), generator=generator)
        probability = 0.5 if self.symmetries else self.flip_probability
        flip = torch.rand(count, generator=generator) < probability
        half_width = torch.tensor([self.brightness, self.contrast, self.saturation])
        factors = 1 + half_width * (2 * torch.rand(count, 3, generator=generator) - 1)
        order = torch.rand(count, 3, generator=generator).argsort(dim=1)
        symmetry = (torch.rand(count, 2, generator=generator) < 0.5) & self.symmetries
        return Draws(shift - self.crop_padding, flip, factors, order, symmetry)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Apply one transformation per image.

        Args:
            images: uint8 (B, 3, H, W) in 0–255, or float32 in [0, 1]; square for symmetries.
            draws: of B images, on the same device.

        Returns:
            float32 (B, 3, H, W) in [0, 1]; without changes of colour, of the type given.
        """
        images = crop_and_flip(images, draws.shift, draws.flip)
        if self.symmetries:
            images = reflect(images, *draws.symmetry.unbind(1))
        if self.brightness or self.contrast or self.saturation:
            images = to_float(images)
            images = jitter_color(images, draws.factors, draws.order)
        return images


def crop_and_flip(images: Tensor, shift: Tensor, flip: Tensor) -> Tensor:
    """Shift each image, repeating its edge, then mirror it left to right where asked.

    Args:
        images: any dtype (B, C, H, W).
        shift: int64 (B, 2), rows and columns, in pixels; positive moves the window down and right.
        flip: bool (B,).

    Returns:
        Same dtype and shape.
    """
    channels, height, width = images.shape[1:]
    rows = torch.arange(height, device=images.device) + shift[:, :1]  # (B, H)
    columns = torch.arange(width, device=images.device) + shift[:, 1:]  # (B, W)
    columns = torch.where(flip[:, None], columns.flip(1), columns).clamp(0, width - 1)
    pixels = rows.clamp(0, height - 1)[:, :, None] * width + columns[:, None, :]  # (B, H, W)
    index = pixels.flatten(1)[:, None].expand(-1, channels, -1)
    return images.flatten(2).gather(2, index).view(images.shape)


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
    images = images.clone()  # changed in place below, which is what makes this fast on a CPU
    red, green, blue = GRAY
    for kind in order.T:
        factor = factors.gather(1, kind[:, None])[:, 0]
        gray = torch.mul(images[:, 0], red)  # (B, H, W)
        gray.add_(images[:, 1], alpha=green).add_(images[:, 2], alpha=blue)
        mean = (1 - factor) * (kind == CONTRAST) * gray.mean((1, 2))
        share = (1 - factor) * (kind == SATURATION)
        added = gray.mul_(share[:, None, None]).add_(mean[:, None, None])  # (1 - f) r
        images.mul_(factor[:, None, None, None]).add_(added[:, None]).clamp_(0, 1)
    return images


def reflect(images: Tensor, upside_down: Tensor, transposed: Tensor) -> Tensor:
    """Flip some images upside down, then transpose some.

    With a horizontal flip before, these make all 8 symmetries of the square, each once.

    Args:
        images: any dtype (B, C, S, S).
        upside_down: bool (B,).
        transposed: bool (B,).
    """
    images = torch.where(upside_down[:, None, None, None], images.flip(2), images)
    return torch.where(transposed[:, None, None, None], images.transpose(2, 3), images)


def symmetric_views(images: Tensor) -> list[Tensor]:
    """Return the 8 symmetries of each image, itself first; each (B, C, S, S)."""
    views = []
    for flipped in (images, images.flip(3)):
        for turned in (flipped, flipped.flip(2)):
            views += [turned, turned.transpose(2, 3)]
    return views


class SymmetricAverage(nn.Module):
    """A network that looks at each image in its 8 symmetries and averages the logits."""

    def __init__(self, model: nn.Module) -> None:
        """Wrap a network."""
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return mean logits float32 (B, K) of images (B, 3, S, S)."""
        views = (v.contiguous(memory_format=torch.channels_last) for v in symmetric_views(images))
        return torch.stack([self.model(view).float() for view in views]).mean(0)


def get_preprocess_transforms(config: Config) -> Preprocessing:
    """Build the preprocessing of the configuration (``data.image_size``, ``preprocess``)."""
    own = config.preprocess
    mean, std = own.mean, own.std
    if own.statistics == "data":
        dataset = load_dataset(config)
        if dataset.fingerprint not in _statistics:
            _statistics[dataset.fingerprint] = channel_statistics(dataset.train)
        mean, std = _statistics[dataset.fingerprint]
    return Preprocessing(config.data.image_size, tuple(mean), tuple(std))


def get_augmentation_transforms(config: Config) -> Augmentation:
    """Build the augmentation of the configuration (``augment``)."""
    return Augmentation(**config.augment.model_dump())


def channel_statistics(split: Split) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel over all pixels, for [0, 1] values.

    Both are rounded to four digits.
    """
    sums, squares = np.zeros(3), np.zeros(3)
    for start in range(0, len(split), BLOCK):
        values = np.asarray(split.images[start : start + BLOCK], np.float64) / 255
        sums += values.sum((0, 2, 3))
        squares += (values**2).sum((0, 2, 3))
    count = len(split) * split.images.shape[2] * split.images.shape[3]
    mean = sums / count
    std = np.sqrt(squares / count - mean**2)
    return [round(float(m), DIGITS) for m in mean], [round(float(s), DIGITS) for s in std]
