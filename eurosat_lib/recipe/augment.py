"""Augmentation of a recipe: symmetries, rotations, zooms; and batches mixed with themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import to_dtype

from eurosat_lib.config.recipes import Augmenting, Mixing
from eurosat_lib.transforms import Draws, crop_and_flip, jitter_color

SYMMETRIES = 8  # of the square: 4 rotations, each reflected or not


@dataclass(frozen=True)
class RecipeDraws:
    """One random transformation per image; row i belongs to image i.

    Attributes:
        base: crop, horizontal flip and colour.
        symmetry: bool (N, 2), flip upside down, then transpose.
        turn: float32 (N, 2), rotation in radians, and zoom: above 1 the middle is enlarged.
    """

    base: Draws
    symmetry: Tensor
    turn: Tensor

    def __getitem__(self, rows: slice) -> RecipeDraws:
        """Return the draws of some images."""
        return RecipeDraws(self.base[rows], self.symmetry[rows], self.turn[rows])

    def to(self, device: torch.device) -> RecipeDraws:
        """Return the draws on another device."""
        return RecipeDraws(*(value.to(device) for value in vars(self).values()))


@dataclass(frozen=True)
class RecipeAugmentation:
    """RandomCrop with edge padding, symmetries or a flip, rotation and zoom, ColorJitter."""

    settings: Augmenting

    def draw(self, count: int, generator: torch.Generator) -> RecipeDraws:
        """Draw one transformation for each of ``count`` images, on the generator's device."""
        own = self.settings
        shift = torch.randint(0, 2 * own.crop_padding + 1, (count, 2), generator=generator)
        flip = torch.rand(count, generator=generator) < (
            0.5 if own.symmetries else own.flip_probability
        )
        half_width = torch.tensor([own.brightness, own.contrast, own.saturation])
        factors = 1 + half_width * (2 * torch.rand(count, 3, generator=generator) - 1)
        order = torch.rand(count, 3, generator=generator).argsort(dim=1)
        symmetry = (torch.rand(count, 2, generator=generator) < 0.5) & own.symmetries
        widths = torch.tensor([math.radians(own.rotation), math.log(own.zoom)])
        angle, zoom = (widths * (2 * torch.rand(count, 2, generator=generator) - 1)).unbind(1)
        base = Draws(shift - own.crop_padding, flip, factors, order)
        return RecipeDraws(base, symmetry, torch.stack([angle, zoom.exp()], dim=1))

    def __call__(self, images: Tensor, draws: RecipeDraws) -> Tensor:
        """Apply one transformation per image.

        Args:
            images: uint8 (B, 3, S, S) in 0–255.
            draws: of B images, on the same device.

        Returns:
            uint8 or, with rotations, zooms or changes of colour, float32 in [0, 1]; (B, 3, S, S).
        """
        own, base = self.settings, draws.base
        images = crop_and_flip(images, base.shift, base.flip)
        if own.symmetries:
            images = reflect(images, *draws.symmetry.unbind(1))
        if own.rotation or own.zoom > 1:
            images = rotate_and_zoom(to_dtype(images, scale=True), *draws.turn.unbind(1))
        if own.brightness or own.contrast or own.saturation:
            images = jitter_color(to_dtype(images, scale=True), base.factors, base.order)
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


def rotate_and_zoom(images: Tensor, angles: Tensor, zooms: Tensor) -> Tensor:
    """Rotate each image about its middle and enlarge it; what comes in from outside is mirrored.

    Args:
        images: float32 (B, C, S, S).
        angles: float32 (B,), radians, counter-clockwise.
        zooms: float32 (B,), positive; 1 changes nothing.

    Returns:
        float32 (B, C, S, S), bilinear.
    """
    cosine, sine = angles.cos() / zooms, angles.sin() / zooms
    zero = torch.zeros_like(sine)
    rows = [torch.stack([cosine, -sine, zero], 1), torch.stack([sine, cosine, zero], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def symmetric_views(images: Tensor) -> list[Tensor]:
    """Return the 8 symmetries of each image, itself first; each (B, C, S, S)."""
    views = []
    for flipped in (images, images.flip(3)):
        for turned in (flipped, flipped.flip(2)):
            views += [turned, turned.transpose(2, 3)]
    return views


class Mixer:
    """Make soft labels; mix some batches with themselves (mixup, CutMix)."""

    def __init__(self, settings: Mixing, classes: int) -> None:
        """Take the shares of batches to mix, and the number of classes."""
        self.settings, self.classes = settings, classes
        self.mixup = v2.MixUp(alpha=settings.alpha, num_classes=classes)
        self.cutmix = v2.CutMix(alpha=settings.alpha, num_classes=classes)

    def __call__(
        self, batches: Iterable[tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the batches; draws come from PyTorch's global generator of the CPU.

        Args:
            batches: images float32 (B, 3, S, S) and labels int64 (B,).

        Yields:
            Images, float32 (B, 3, S, S), and the share of each class, float32 (B, K).
        """
        for images, labels in batches:
            mix = self._choose(float(torch.rand(())))
            if mix:
                images, shares = mix(images, labels)
                images = images.contiguous(memory_format=torch.channels_last)
            else:
                shares = F.one_hot(labels, self.classes)
            yield images, shares.float()

    def _choose(self, draw: float) -> v2.Transform | None:
        if draw < self.settings.cutmix:
            return self.cutmix
        if draw < self.settings.cutmix + self.settings.mixup:
            return self.mixup
        return None
