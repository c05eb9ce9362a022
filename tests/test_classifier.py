"""A checkpoint by itself classifies images; changed images, and the maps of the evidence."""

from dataclasses import replace

import fake_eurosat as fake
import numpy as np
import pytest
import torch
from handmade import ROBUSTNESS
from PIL import Image

from eurosat_lib import explain
from eurosat_lib.classifier import Classifier
from eurosat_lib.config import override
from eurosat_lib.data import CLASSES
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import subset
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.stats import paired_difference
from eurosat_lib.transforms import Preprocessing, get_preprocess_transforms

LABELS = np.zeros(3, np.int64)
CPU = Runtime(torch.device("cpu"), "fp32")


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    model = CPU.place(DilatedCNN((4, 6, 8), 2, 2, len(CLASSES))).eval()
    return Classifier(model, Preprocessing(16, (0.4,) * 3, (0.2,) * 3), CLASSES, CPU)


def test_a_picture_gets_a_probability_per_class(untrained, blobs, tmp_path):
    image = blobs.test.images[0].transpose(1, 2, 0)
    picture = Image.fromarray(image)
    picture.save(tmp_path / "tile.png")
    said = untrained.classify(image)
    flipped = np.ascontiguousarray(image[..., ::-1])[..., ::-1]  # as from BGR: a negative stride
    assert untrained.classify(flipped) == said
    picture.convert("RGBA").save(tmp_path / "clear.png")
    for same in (picture, tmp_path / "tile.png", str(tmp_path / "clear.png")):
        assert untrained.classify(same) == said
    assert sum(said.values()) == pytest.approx(1) and len(said) == 10
    assert list(said.values()) == sorted(said.values(), reverse=True)
    best = int(untrained.logits(image.transpose(2, 0, 1)[None]).argmax())
    assert next(iter(said)) == untrained.classes[best]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"no picture", "tile.png: cannot be read as a picture"),
        (None, "tile.png: cannot be read as a picture"),
        (fake.jpeg(1, form="EPS"), "tile.png: .* cannot identify"),
        (fake.DEEP, "tile.png: .* of mode RGB, more than 8 bits"),
        (np.zeros((64, 64), np.uint8), "shape"),
        (np.zeros((64, 64, 4), np.uint8), "shape"),
        (np.full((64, 64, 3), 0.5), "float64"),
        (Image.fromarray(np.zeros((64, 64), np.uint16)), "uint16"),
    ],
)
def test_anything_else_is_refused_in_a_line(untrained, tmp_path, given, words):
    if isinstance(given, bytes):
        (tmp_path / "tile.png").write_bytes(given)
    if isinstance(given, bytes | None):
        given = str(tmp_path / "tile.png")
    with pytest.raises(UserError, match=words):
        untrained.classify(given)


def test_corruptions_grow_with_strength_and_are_what_they_say():
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16)).astype(np.uint8)
    smooth = explain.corrupt(images, "blur", 2.0)
    for kind, strengths in explain.CORRUPTIONS.items():
        changed = [explain.corrupt(smooth, kind, strength) for strength in strengths]
        assert all(one.shape == smooth.shape and one.dtype == np.uint8 for one in changed)
        gaps = [np.abs(one.astype(int) - smooth).mean() for one in changed]
        assert 0 < gaps[0] < gaps[1] < gaps[2]
    noisy = explain.corrupt(np.full((4, 3, 64, 64), 128, np.uint8), "noise", 8.0)
    assert (noisy.astype(float) - 128).std() == pytest.approx(8, rel=0.03)
    dot = np.zeros((2, 3, 9, 9), np.uint8)
    dot[0, 0, 4, 4] = 255
    out = explain.corrupt(dot, "blur", 1.0)  # of this width, within a channel of an image
    assert out[0, 0, 4, 4] == pytest.approx(255 / (2 * np.pi), abs=1)
    assert np.argwhere(out.any((2, 3))).tolist() == [[0, 0]]
    mixed = 0.8 * images + 0.2 * explain.VEIL[:, None, None]
    assert np.abs(explain.corrupt(images, "haze", 0.2) - mixed).max() <= 0.5 + 1e-3


class Corner(torch.nn.Module):
    """Answers class 1 if the upper left corner is bright, class 0 otherwise."""

    def forward(self, batch):
        corner = batch[:, :, :4, :4].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(corner), corner], 1)


def test_answers_that_change_are_counted(tiny, blobs):
    """White on the left of a black image, which is turned to the left, then mirrored."""
    half = np.zeros((6, 3, 64, 64), np.uint8)
    half[:, :, :, :32] = 255
    names = blobs.validation.names[:6]
    split = replace(blobs.validation, images=half, labels=np.ones(6, np.int64), names=names)
    data = replace(blobs, validation=split, classes=("dark", "bright"))
    network = Classifier(Corner(), get_preprocess_transforms(tiny), data.classes, CPU)
    found = explain.measure(tiny, data, network)
    assert (found.n, found.correct, found.stable) == (6, 6, 0)
    right = [one["correct"] for one in found.trials]
    assert right == [6, 0, 0, 6, 0, 0, 6, 6] + 12 * [6]
    assert all((one["lost"], one["gained"]) == (6 - one["correct"], 0) for one in found.trials)
    assert found.facts()["worst_view_change"][0] == -1
    assert found.facts()["worst_view"] == "90°"


def test_gradcam_is_the_class_activation_map():
    """After a global mean the gradient is the head's weight (Zhou et al. 2016): the same map."""
    torch.manual_seed(0)
    model = DilatedCNN((4, 6, 8), 2, 2, 5).eval()
    images, targets = torch.randn(3, 3, 16, 16), torch.tensor([0, 3, 4])
    found = explain.gradcam(model, images, targets)
    with torch.inference_mode():
        features = model.stages(images)  # (3, 8, 4, 4)
        expected = torch.einsum("nc,nchw->nhw", model.head.weight[targets], features).relu()
    expected = expected / expected.amax((1, 2), keepdim=True).clamp(min=1e-12)
    assert found.shape == (3, 4, 4) and torch.allclose(found, expected, atol=1e-5)


def test_the_surest_answers_of_each_class_are_explained(tiny, blobs):
    """Three images of the first class: right, wrong, and right with more confidence."""
    model = DilatedCNN((4, 6, 8), 2, 2, 10).eval()
    logits = np.eye(10, dtype=np.float32)[[0, 3, 0]] * np.float32([[1], [5], [2]])
    network = Classifier(model, get_preprocess_transforms(tiny), blobs.classes, CPU)
    cases = explain.explain(tiny, blobs, network, LABELS, logits).cases
    first, other = blobs.classes[0], blobs.classes[3]
    told = [(one["index"], one["truth"], one["prediction"]) for one in cases]
    assert told == [(2, first, first), (1, first, other)]
    assert np.array(cases[0]["heat"]).shape == (tiny.data.image_size // 4,) * 2
    few = override(tiny, {"data.validation_limit": 3})  # the images that were scored
    places = [case["index"] for case in explain.explain(few, blobs, network, LABELS, logits).cases]
    assert places == [subset(40, 3)[2], subset(40, 3)[1]]
    light = ROBUSTNESS.trials[8]  # the first corruption: ten lost, one won of a hundred
    assert ROBUSTNESS.change(light, 12)[1:] == paired_difference(1, 10, 100, 1 - 0.05 / 12)
