"""Changed images, and the maps of the evidence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eurosat_lib.classifier import Classifier
from eurosat_lib.evaluation import Predictions
from eurosat_lib.explain import CORRUPTIONS, ORDER, VEIL, VIEWS, corrupt, explain, gradcam, measure
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.transforms import get_preprocess_transforms, symmetric_views


def test_corruptions_grow_with_strength_and_are_what_they_say():
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16)).astype(np.uint8)
    smooth = corrupt(images, "blur", 2.0)
    for kind, strengths in CORRUPTIONS.items():
        changed = [corrupt(smooth, kind, strength) for strength in strengths]
        assert all(one.shape == smooth.shape and one.dtype == np.uint8 for one in changed)
        gaps = [np.abs(one.astype(int) - smooth).mean() for one in changed]
        assert 0 < gaps[0] < gaps[1] < gaps[2]
    point = np.zeros((1, 3, 9, 9), np.uint8)
    point[..., 4, 4] = 255
    bell = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    expected = 255 * bell / bell.sum() ** 2  # the middle row
    assert corrupt(point, "blur", 1.0)[0, 0, 4] == pytest.approx(expected, abs=1)
    gray = np.full((4, 3, 64, 64), 128, np.uint8)
    noisy = corrupt(gray, "noise", 8.0)
    assert (noisy.astype(float) - 128).std() == pytest.approx(8, rel=0.03)
    assert np.array_equal(noisy, corrupt(gray, "noise", 8.0))
    mixed = 0.8 * images + 0.2 * VEIL[:, None, None]
    assert np.abs(corrupt(images, "haze", 0.2) - mixed).max() <= 0.5 + 1e-3


def test_views_are_what_their_names_say():
    image = torch.arange(9).reshape(1, 1, 3, 3)
    for place, name in zip(ORDER, VIEWS, strict=True):
        expected = torch.rot90(image, int(name.split("°")[0]) // 90, (2, 3))  # to the left
        expected = expected.flip(3) if "miroir" in name else expected
        assert torch.equal(symmetric_views(image)[place], expected)


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
    prepare, runtime = get_preprocess_transforms(tiny), Runtime.of(tiny)
    found = measure(tiny, data, Classifier(Corner(), prepare, data.classes, runtime))
    assert (found.n, found.correct, found.stable) == (count, count, 0)
    views = [one for one in found.trials if one["kind"] == "view"]
    assert sorted(one["correct"] for one in views) == 4 * [0] + 4 * [count]
    assert all(one["lost"] == count - one["correct"] for one in found.trials)
    assert all(one["gained"] == 0 for one in found.trials)
    faults = [one for one in found.trials if one["kind"] in CORRUPTIONS]
    assert len(faults) == 12 and all(one["correct"] == count for one in faults)
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


def test_the_surest_answers_of_each_class_are_explained(tiny, blobs):
    """Three images of the first class: right, wrong, and right with more confidence."""
    model = DilatedCNN((4, 6, 8), 2, 2, 10).eval()
    logits = np.eye(10, dtype=np.float32)[[0, 3, 0]] * np.float32([[1], [5], [2]])
    found = Predictions(np.array(list("abc")), *2 * (np.zeros(3, np.int64), logits))
    prepare, runtime = get_preprocess_transforms(tiny), Runtime.of(tiny)
    network = Classifier(model, prepare, blobs.classes, runtime)
    cases = explain(tiny, blobs, network, found).cases
    first, other = blobs.classes[0], blobs.classes[3]
    told = [(one["index"], one["truth"], one["prediction"]) for one in cases]
    assert told == [(2, first, first), (1, first, other)]
    assert np.array(cases[0]["heat"]).shape == (tiny.data.image_size // 4,) * 2
