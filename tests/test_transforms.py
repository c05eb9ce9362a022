import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from eurosat_lib import transforms as room
from eurosat_lib.config import load_config, override
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import Augmentation, get_preprocess_transforms, symmetric_views


@pytest.fixture
def images():
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (7, 3, 12, 10), dtype=np.uint8))


@pytest.mark.parametrize(("profile", "side"), [("full", 64), ("quick", 32)])
def test_preprocessing_is_torchvisions_within_imagenets_bounds_and_inverts(
    profile, side, root, images
):
    preprocess = get_preprocess_transforms(load_config(root / "configs/config.yaml", profile))
    scaled = F.to_dtype(F.resize(images, [side, side], antialias=True), torch.float32, scale=True)
    batch = preprocess(images)
    assert torch.equal(batch, F.normalize(scaled, preprocess.mean, preprocess.std))
    torch.testing.assert_close(preprocess.invert(batch), scaled)
    ends = [preprocess(torch.full((1, 3, 64, 64), value, dtype=torch.uint8)) for value in (0, 255)]
    bounds = pytest.approx((-2.118, 2.640), abs=5e-4)
    assert (ends[0].min().item(), ends[1].max().item()) == bounds


def test_crop_repeats_the_edge_and_flip_mirrors(images):
    shift = torch.tensor([[0, 0], [2, -3], [-2, 1], [0, 0], [1, 1], [-1, -1], [3, 3]])
    flip = torch.tensor([False, False, False, True, True, False, True])
    found = room.crop_and_flip(images, shift, flip)
    for image, out, (down, right), mirrored in zip(images, found, shift, flip, strict=True):
        padded = F.pad(image, [3, 3, 3, 3], padding_mode="edge")
        expected = F.crop(padded, 3 + int(down), 3 + int(right), 12, 10)
        assert torch.equal(out, F.horizontal_flip(expected) if mirrored else expected)


def test_color_jitter_equals_torchvision_image_by_image(images):
    generator = torch.Generator().manual_seed(0)
    factors = 0.5 + torch.rand(7, 3, generator=generator)
    order = torch.rand(7, 3, generator=generator).argsort(1)
    adjust = {room.BRIGHTNESS: F.adjust_brightness, room.CONTRAST: F.adjust_contrast}
    adjust[room.SATURATION] = F.adjust_saturation
    x = images.float() / 255
    out = room.jitter_color(x, factors, order)
    for i, expected in enumerate(x):
        for kind in order[i].tolist():
            expected = adjust[kind](expected, float(factors[i, kind]))
        torch.testing.assert_close(out[i], expected, atol=1 / 255 / 100, rtol=0)


def test_augmentation_draws_per_image_and_repeats_with_the_seed(root, images):
    augment = room.get_augmentation_transforms(load_config(root / "configs/config.yaml", "full"))
    same = images[:1].expand(7, -1, -1, -1)
    a, b, c = (augment(same, augment.draw(7, epoch_generator(42, e))) for e in (3, 3, 4))
    assert torch.equal(a, b) and not torch.equal(a, c) and not torch.equal(a[0], a[1])
    assert a.min() >= 0 and a.max() <= 1
    ramp = torch.arange(64, dtype=torch.uint8).repeat(4000, 3, 8, 1) * 2
    out = augment(ramp, augment.draw(4000, epoch_generator(0, 0)))
    flipped = (out[:, 0, 0, 0] > out[:, 0, 0, -1]).float().mean()
    assert flipped.item() == pytest.approx(0.5, abs=0.03)  # 0.5 ± 4 standard errors


def test_shifts_and_factors_fill_their_ranges():
    draws = Augmentation(4, 0.5, 0.1, 0.2, 0.3).draw(4000, epoch_generator(0, 0))
    assert draws.shift[:, 0].unique().tolist() == draws.shift[:, 1].unique().tolist()
    assert draws.shift.unique().tolist() == list(range(-4, 5))
    ends = torch.stack([draws.factors.amin(0), draws.factors.amax(0)])
    widths = torch.tensor([0.1, 0.2, 0.3])  # of brightness, contrast, saturation
    torch.testing.assert_close(ends, torch.stack([1 - widths, 1 + widths]), atol=1e-3, rtol=0)


def test_the_draws_are_the_eight_symmetries_of_the_square_in_equal_shares():
    image = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2).expand(4000, -1, -1, -1)
    augment = Augmentation(0, 0.5, 0.0, 0.0, 0.0, symmetries=True)
    out = augment(image, augment.draw(4000, epoch_generator(0, 0)))
    views = symmetric_views(image[:1])
    shares = [(out == view).flatten(1).all(1).float().mean() for view in views]
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
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(75, 4))
    model, images = room.SymmetricAverage(layers), torch.randn(2, 3, 5, 5)
    for view in symmetric_views(images):
        torch.testing.assert_close(model(view), model(images))


def test_statistics_are_those_of_the_training_images(on_blobs, blobs):
    mean, std = room.channel_statistics(blobs.train)
    values = np.asarray(blobs.train.images, np.float64) / 255
    assert mean == pytest.approx(values.mean((0, 2, 3)), abs=6e-5)
    assert std == pytest.approx(values.std((0, 2, 3)), abs=6e-5)
    own = get_preprocess_transforms(override(on_blobs, {"preprocess.statistics": "data"}))
    assert (list(own.mean), list(own.std)) == (mean, std)
