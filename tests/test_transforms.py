import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from eurosat_lib.config import load_config, override
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import (
    BRIGHTNESS,
    CONTRAST,
    SATURATION,
    Augmentation,
    SymmetricAverage,
    channel_statistics,
    crop_and_flip,
    get_augmentation_transforms,
    get_preprocess_transforms,
    jitter_color,
    symmetric_views,
)


@pytest.fixture
def images():
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (7, 3, 12, 10), dtype=np.uint8))


def test_preprocessing_bounds_are_those_of_imagenet(root):
    preprocess = get_preprocess_transforms(load_config(root / "configs/config.yaml", "full"))
    black = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    low, high = preprocess(black).min(), preprocess(black + 255).max()
    assert low.item() == pytest.approx(-2.118, abs=5e-4)
    assert high.item() == pytest.approx(2.640, abs=5e-4)


def test_preprocessing_resizes_and_inverts(root):
    preprocess = get_preprocess_transforms(load_config(root / "configs/config.yaml", "quick"))
    image = torch.arange(256, dtype=torch.uint8).repeat(48).view(1, 3, 64, 64)
    batch = preprocess(image)
    assert batch.shape == (1, 3, 32, 32)
    assert batch.dtype == torch.float32
    expected = F.to_dtype(preprocess.resize(image), torch.float32, scale=True)
    torch.testing.assert_close(preprocess.invert(batch), expected)


def test_preprocessing_equals_torchvision(root, images):
    preprocess = get_preprocess_transforms(load_config(root / "configs/config.yaml", "full"))
    x = F.resize(images, [64, 64], antialias=True)
    expected = F.normalize(
        F.to_dtype(x, torch.float32, scale=True), preprocess.mean, preprocess.std
    )
    assert torch.equal(preprocess(images), expected)


def test_crop_repeats_the_edge_and_flip_mirrors(images):
    shift = torch.tensor([[0, 0], [2, -3], [-2, 1], [0, 0], [1, 1], [-1, -1], [3, 3]])
    flip = torch.tensor([False, False, False, True, True, False, True])
    out = crop_and_flip(images, shift, flip)
    for i in range(len(images)):
        padded = F.pad(images[i], [3, 3, 3, 3], padding_mode="edge")
        top, left = 3 + int(shift[i, 0]), 3 + int(shift[i, 1])
        expected = F.crop(padded, top, left, 12, 10)
        if flip[i]:
            expected = F.horizontal_flip(expected)
        assert torch.equal(out[i], expected)


def test_color_jitter_equals_torchvision_image_by_image(images):
    generator = torch.Generator().manual_seed(0)
    factors = 0.5 + torch.rand(7, 3, generator=generator)
    order = torch.rand(7, 3, generator=generator).argsort(1)
    adjust = {
        BRIGHTNESS: F.adjust_brightness,
        CONTRAST: F.adjust_contrast,
        SATURATION: F.adjust_saturation,
    }
    x = images.float() / 255
    out = jitter_color(x, factors, order)
    for i in range(7):
        expected = x[i]
        for kind in order[i].tolist():
            expected = adjust[kind](expected, float(factors[i, kind]))
        torch.testing.assert_close(out[i], expected, atol=1 / 255 / 100, rtol=0)


def test_augmentation_draws_per_image_and_repeats_with_the_seed(root, images):
    augment = get_augmentation_transforms(load_config(root / "configs/config.yaml", "full"))
    same = images[:1].expand(7, -1, -1, -1)
    a, b, c = (augment(same, augment.draw(7, epoch_generator(42, e))) for e in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a[0], a[1])
    assert a.min() >= 0 and a.max() <= 1


def test_augmentation_statistics(root):
    augment = get_augmentation_transforms(load_config(root / "configs/config.yaml", "full"))
    ramp = torch.arange(64, dtype=torch.uint8).repeat(4000, 3, 8, 1) * 2
    out = augment(ramp, augment.draw(4000, epoch_generator(0, 0)))
    flipped = (out[:, 0, 0, 0] > out[:, 0, 0, -1]).float().mean()
    assert flipped.item() == pytest.approx(0.5, abs=0.03)  # 0.5 ± 4 standard errors


def test_the_draws_are_the_eight_symmetries_of_the_square_in_equal_shares():
    image = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2).expand(4000, -1, -1, -1)
    augment = Augmentation(0, 0.5, 0.0, 0.0, 0.0, symmetries=True)
    out = augment(image, augment.draw(4000, epoch_generator(0, 0)))
    views = symmetric_views(image[:1])
    shares = [(out == view).flatten(1).all(1).float().mean().item() for view in views]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([1 / 8] * 8, abs=0.025)  # 4 standard errors


def test_symmetries_leave_the_other_draws_as_they_are():
    plain, symmetric = (Augmentation(4, 0.5, 0.1, 0.1, 0.1, s) for s in (False, True))
    one, two = (augment.draw(9, epoch_generator(1, 2)) for augment in (plain, symmetric))
    for name in ("shift", "flip", "factors", "order"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert not one.symmetry.any() and two.symmetry.any()


def test_averaged_views_are_invariant_under_the_symmetries():
    torch.manual_seed(0)
    model = SymmetricAverage(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(75, 4)))
    images = torch.randn(2, 3, 5, 5)
    for view in symmetric_views(images):
        torch.testing.assert_close(model(view), model(images))


def test_statistics_are_those_of_the_training_images(on_blobs, blobs):
    mean, std = channel_statistics(blobs.train)
    values = np.asarray(blobs.train.images, np.float64) / 255
    assert mean == pytest.approx(values.mean((0, 2, 3)), abs=6e-5)
    assert std == pytest.approx(values.std((0, 2, 3)), abs=6e-5)
    own = get_preprocess_transforms(override(on_blobs, {"preprocess.statistics": "data"}))
    assert (list(own.mean), list(own.std)) == (mean, std)
