"""Changed images, and the maps of the evidence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eurosat_lib.explain import CORRUPTIONS, ORDER, VEIL, VIEWS, gradcam, measure
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.transforms import symmetric_views


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16)).astype(np.uint8)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruptions_keep_shape_and_grow_with_strength(images, kind):
    change, strengths, _ = CORRUPTIONS[kind]
    smooth = CORRUPTIONS["blur"][0](images, 2.0)
    changed = np.stack([change(smooth, strength) for strength in strengths])
    assert changed.shape == (3, *smooth.shape) and changed.dtype == np.uint8
    gaps = np.abs(changed.astype(int) - smooth).mean((1, 2, 3, 4))
    assert 0 < gaps[0] < gaps[1] < gaps[2]


def test_blur_of_a_point_is_a_gaussian():
    point = np.zeros((1, 3, 9, 9), np.uint8)
    point[..., 4, 4] = 255
    row = CORRUPTIONS["blur"][0](point, 1.0)[0, 0, 4]
    expected = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    centre = 1 / expected.sum()  # weight of the middle row
    assert row == pytest.approx(255 * centre * expected / expected.sum(), abs=1)


def test_noise_has_its_standard_deviation_and_is_repeatable():
    gray, noise = np.full((4, 3, 64, 64), 128, np.uint8), CORRUPTIONS["noise"][0]
    assert (noise(gray, 8.0).astype(float) - 128).std() == pytest.approx(8, rel=0.03)
    assert np.array_equal(noise(gray, 8.0), noise(gray, 8.0))


def test_haze_by_hand_and_jpeg_of_a_flat_image(images):
    expected = 0.8 * images + 0.2 * VEIL[:, None, None]
    assert np.abs(CORRUPTIONS["haze"][0](images, 0.2) - expected).max() <= 0.5 + 1e-3
    flat = np.full((2, 3, 16, 16), 90, np.uint8)
    assert np.array_equal(CORRUPTIONS["jpeg"][0](flat, 50), flat)


@pytest.mark.parametrize(("place", "name"), enumerate(VIEWS))
def test_views_are_what_their_names_say(place, name):
    image = torch.arange(9).reshape(1, 1, 3, 3)
    expected = torch.rot90(image, int(name.split("°")[0]) // 90, (2, 3))  # to the left
    expected = expected.flip(3) if "miroir" in name else expected
    assert torch.equal(symmetric_views(image)[ORDER[place]], expected)


class Corner(torch.nn.Module):
    """Answers class 1 if the upper left corner is bright, class 0 otherwise."""

    def forward(self, batch):
        corner = batch[:, :, :4, :4].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(corner), corner], 1)


def test_answers_that_change_are_counted(tiny, blobs):
    """White on the left of a black image: the corner is white in four of the eight views."""
    count = 6
    half = np.zeros((count, 3, 64, 64), np.uint8)
    half[:, :, :, :32] = 255
    labels, names = np.ones(count, np.int64), blobs.validation.names[:count]
    split = replace(blobs.validation, images=half, labels=labels, names=names)
    data = replace(blobs, validation=split, classes=("dark", "bright"))
    found = measure(tiny, data, Corner(), Runtime.of(tiny), "d" * 64)
    assert (found.n, found.correct, found.stable) == (count, count, 0)
    by_view = [trial.correct for trial in found.of("view")]
    assert sorted(by_view) == [0, 0, 0, 0, count, count, count, count]
    (lost,) = {trial.lost for trial in found.of("view") if not trial.correct}
    assert lost == count and all(t.gained == 0 for t in found.trials)
    assert all(t.correct == count for kind in CORRUPTIONS for t in found.of(kind))
    assert found.facts()["worst_view_change"][0] == -1


def test_gradcam_is_the_class_activation_map():
    """After a global mean the gradient is the head's weight (Zhou et al. 2016): the same map."""
    torch.manual_seed(0)
    model = DilatedCNN((4, 6, 8), 2, 2, 5).eval()
    images, targets = torch.randn(3, 3, 16, 16), torch.tensor([0, 3, 4])
    found = gradcam(model, images, targets)
    with torch.inference_mode():
        features = model.stages(images)  # (3, 8, 4, 4)
        expected = torch.einsum("nc,nchw->nhw", model.head.weight[targets], features).relu()
    expected = expected / expected.amax((1, 2), keepdim=True).clamp(min=1e-12)
    assert found.shape == (3, 4, 4) and torch.allclose(found, expected, atol=1e-5)
    assert not model.stages._forward_hooks
