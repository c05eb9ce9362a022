"""Augmentation of a recipe: the symmetries of the square, and batches mixed with themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from eurosat_lib.config.recipes import Augmenting, Mixing
from eurosat_lib.transforms import Draws, crop_and_flip, jitter_color

SYMMETRIES = 8  # of the square: 4 rotations, each reflected or not


@dataclass(frozen=True)
class SymmetricDraws:
    """One random transformation per image; row i belongs to image i.

    Attributes:
        base: crop, horizontal flip and colour.
        symmetry: bool (N, 2), flip upside down, then transpose.
    """

    base: Draws
    symmetry: Tensor

    def __getitem__(self, rows: slice) -> SymmetricDraws:
        """Return the draws of some images."""
        return SymmetricDraws(self.base[rows], self.symmetry[rows])

    def to(self, device: torch.device) -> SymmetricDraws:
        """Return the draws on another device."""
        return SymmetricDraws(self.base.to(device), self.symmetry.to(device))


@dataclass(frozen=True)
class SymmetricAugmentation:
    """RandomCrop with edge padding, a flip or one of the 8 symmetries, then ColorJitter."""

    settings: Augmenting

    def draw(self, count: int, generator: torch.Generator) -> SymmetricDraws:
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
        return SymmetricDraws(Draws(shift - own.crop_padding, flip, factors, order), symmetry)

    def __call__(self, images: Tensor, draws: SymmetricDraws) -> Tensor:
        """Apply one transformation per image.

        Args:
            images: uint8 (B, 3, S, S) in 0–255.
            draws: of B images, on the same device.

        Returns:
            uint8 or, with changes of colour, float32 in [0, 1]; (B, 3, S, S).
        """
        own, base = self.settings, draws.base
        images = crop_and_flip(images, base.shift, base.flip)
        if own.symmetries:
            images = turn(images, *draws.symmetry.unbind(1))
        if own.brightness or own.contrast or own.saturation:
            images = jitter_color(images.float().div_(255), base.factors, base.order)
        return images


def turn(images: Tensor, upside_down: Tensor, transposed: Tensor) -> Tensor:
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
