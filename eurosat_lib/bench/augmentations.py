"""Ways to augment a batch: ours, torchvision's kernels image by image, kornia's batched ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor
from torchvision.transforms import v2

from eurosat_lib.bench.rows import Row, median_seconds
from eurosat_lib.config import Config
from eurosat_lib.data import Split
from eurosat_lib.runtime import Runtime, epoch_generator
from eurosat_lib.transforms import get_augmentation_transforms


def compare_augmentations(config: Config, split: Split, n: int) -> list[Row]:
    """Time one batch of float or uint8 images by each way that is installed."""
    device = Runtime.of(config).device
    size, batch = config.data.image_size, config.data.batch_size
    images = torch.from_numpy(split.images[:batch].copy()).to(device)
    images = v2.functional.resize(images, [size, size], antialias=True)
    ways = {
        "ours": _ours(config, len(images)),
        "torchvision, image by image": _torchvision(config),
    }
    if find_spec("kornia"):
        ways["kornia"] = _kornia(config)
    times = {
        name: 1e6 * median_seconds(lambda way=way: way(images), device, n) / len(images)
        for name, way in ways.items()
    }
    ours = times.pop("ours")
    return [
        Row("augmentation", f"augmentation, against {name}", ours, "µs/image", n, t, t / ours)
        for name, t in times.items()
    ]


def _ours(config: Config, count: int) -> Callable[[Tensor], Tensor]:
    augment = get_augmentation_transforms(config)

    def run(images: Tensor) -> Tensor:
        draws = augment.draw(count, epoch_generator(config.seed, 0))
        return augment(images, draws.to(images.device))

    return run


def _torchvision(config: Config) -> Callable[[Tensor], Tensor]:
    settings, size = config.augment, config.data.image_size
    transform = v2.Compose(
        [
            v2.RandomCrop(size, padding=settings.crop_padding, padding_mode="edge"),
            v2.RandomHorizontalFlip(settings.flip_probability),
            v2.ToDtype(torch.float32, scale=True),
            v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation),
        ]
    )
    return lambda images: torch.stack([transform(image) for image in images])


def _kornia(config: Config) -> Callable[[Tensor], Tensor]:
    from kornia import augmentation as kornia

    settings, size = config.augment, config.data.image_size
    pad = settings.crop_padding
    # Its colour jitter draws factors per image, but one order for the whole batch.
    transform = kornia.AugmentationSequential(
        kornia.RandomCrop((size, size), padding=pad, padding_mode="replicate"),
        kornia.RandomHorizontalFlip(p=settings.flip_probability),
        kornia.ColorJitter(
            settings.brightness, settings.contrast, settings.saturation, 0.0, p=1.0
        ),
    )
    return lambda images: transform(v2.functional.to_dtype(images, torch.float32, scale=True))
