"""A checkpoint by itself classifies images."""

from base64 import b64decode

import numpy as np
import pytest
import torch
from PIL import Image

from eurosat_lib import protocol
from eurosat_lib.classifier import Classifier
from eurosat_lib.data import CLASSES
from eurosat_lib.errors import UserError
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.transforms import Preprocessing


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    runtime = Runtime(torch.device("cpu"), "fp32")
    model = runtime.place(DilatedCNN((4, 6, 8), 2, 2, len(CLASSES))).eval()
    return Classifier(model, Preprocessing(16, (0.4,) * 3, (0.2,) * 3), CLASSES, runtime)


def test_it_says_what_the_evaluation_said_and_refuses_what_lacks_a_part(on_blobs, blobs, tmp_path):
    protocol.train(on_blobs)
    path, result = on_blobs.paths.artifacts / "best.ckpt", protocol.evaluate(on_blobs)
    scores = Classifier.load(path, "cpu").logits(blobs.test.images)
    assert scores.shape == (40, 10) and scores.dtype == np.float32
    assert int((scores.argmax(1) == blobs.test.labels).sum()) == result.correct
    kept = np.load(on_blobs.paths.stages / result.stored / "predictions.npz")["logits"]
    np.testing.assert_allclose(scores, kept, atol=1e-5)
    content = torch.load(path, weights_only=True)
    for key in ("task", "hyperparameters", "model"):
        cut = {k: v for k, v in content.items() if k not in ("sha256", key)}
        torch.save(cut, tmp_path / "cut.ckpt")
        with pytest.raises(UserError, match=rf"cut\.ckpt: not a whole checkpoint.*{key}"):
            Classifier.load(tmp_path / "cut.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        Classifier.load(tmp_path / "none.ckpt")


def test_a_picture_gets_a_probability_per_class(classifier, blobs, tmp_path):
    image = blobs.test.images[0].transpose(1, 2, 0)
    picture = Image.fromarray(image)
    picture.save(tmp_path / "tile.png")
    said = classifier.classify(image)
    for same in (picture, image / 255, tmp_path / "tile.png", picture.convert("RGBA")):
        assert classifier.classify(same) == said
    assert sum(said.values()) == pytest.approx(1)
    assert list(said.values()) == sorted(said.values(), reverse=True)
    best = int(classifier.logits(image.transpose(2, 0, 1)[None]).argmax())
    assert next(iter(said)) == classifier.classes[best]
    assert len(classifier.classify(picture.convert("L"))) == 10


# A PNG file of one pixel with 16 bits per channel, which Pillow cuts without a word.
DEEP = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAIAAADA54+dAAAAC0lEQVR4nGNgAAMAAAcAAbKGrPQAAAAASUVORK5CYII="
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no picture", "tile.png: cannot be read as a picture"),
        (None, "tile.png: cannot be read as a picture"),
        (DEEP, "tile.png: of mode RGB and more than 8 bits"),
    ],
)
def test_files_of_another_kind_are_refused_in_a_line(classifier, tmp_path, content, words):
    if content:
        (tmp_path / "tile.png").write_bytes(content)
    with pytest.raises(UserError, match=words):
        classifier.classify(str(tmp_path / "tile.png"))


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((64, 64, 3), 200.0), "outside"),
        (np.zeros((64, 64), np.uint8), "shape"),
        (np.zeros((64, 64, 4), np.uint8), "shape"),
        (np.full((64, 64, 3), np.nan), "outside"),
        (np.zeros((64, 64, 3), np.int64), "int64"),
        (Image.fromarray(np.zeros((64, 64), np.uint16)), "mode I"),
    ],
)
def test_pixels_of_another_kind_are_refused_in_a_line(classifier, pixels, words):
    with pytest.raises(UserError, match=words):
        classifier.classify(pixels)
