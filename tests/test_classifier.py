"""A checkpoint by itself classifies images."""

import struct
import zlib

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


@pytest.fixture
def path(on_blobs):
    protocol.train(on_blobs)
    return on_blobs.paths.artifacts / "best.ckpt"


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    runtime = Runtime(torch.device("cpu"), "fp32")
    model = runtime.place(DilatedCNN((4, 6, 8), 2, 2, len(CLASSES))).eval()
    return Classifier(model, Preprocessing(16, (0.4,) * 3, (0.2,) * 3), CLASSES, runtime)


def test_it_says_what_the_evaluation_said(on_blobs, path, blobs):
    evaluation = protocol.evaluate(on_blobs)
    scores = Classifier.load(path, "cpu").logits(blobs.test.images)
    assert scores.shape == (40, 10) and scores.dtype == np.float32
    assert int((scores.argmax(1) == blobs.test.labels).sum()) == evaluation.correct
    kept = np.load(on_blobs.paths.stages / evaluation.stored / "predictions.npz")["logits"]
    np.testing.assert_allclose(scores, kept, atol=1e-5)


def test_a_picture_gets_a_probability_per_class(classifier, blobs):
    image = blobs.test.images[0]
    said = classifier.classify(Image.fromarray(image.transpose(1, 2, 0)))
    assert said == classifier.classify(image.transpose(1, 2, 0))
    assert said == classifier.classify(image.transpose(1, 2, 0) / 255)
    assert sum(said.values()) == pytest.approx(1)
    assert list(said.values()) == sorted(said.values(), reverse=True)
    best = classifier.classes[int(classifier.logits(image[None]).argmax())]
    assert next(iter(said)) == best


def test_a_file_is_opened_or_refused_in_a_line(classifier, blobs, tmp_path):
    image = blobs.test.images[0].transpose(1, 2, 0)
    Image.fromarray(image).save(tmp_path / "tile.png")
    assert classifier.classify(tmp_path / "tile.png") == classifier.classify(image)
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(UserError, match=f"{name}: cannot be read as a picture"):
            classifier.classify(str(tmp_path / name))


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


def test_a_picture_of_16_bits_is_refused_by_name(classifier, tmp_path):
    """Pillow would cut the two bytes of a channel to one, whatever the values mean."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)  # side, side, bits, RGB
    pixels = zlib.compress(8 * (b"\0" + bytes(8 * 6)))
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(UserError, match=r"deep\.png: of mode RGB and more than 8 bits"):
        classifier.classify(tmp_path / "deep.png")


def test_greys_and_transparency_of_a_picture_become_rgb(classifier, blobs):
    picture = Image.fromarray(blobs.test.images[0].transpose(1, 2, 0))
    assert classifier.classify(picture.convert("RGBA")) == classifier.classify(picture)
    assert len(classifier.classify(picture.convert("L"))) == 10


def test_checkpoints_that_lack_something_are_refused(path, tmp_path):
    content = torch.load(path, weights_only=True)
    for key in ("task", "hyperparameters", "model"):
        cut = {k: v for k, v in content.items() if k not in ("sha256", key)}
        torch.save(cut, tmp_path / "cut.ckpt")
        with pytest.raises(UserError, match=rf"cut\.ckpt: not a whole checkpoint.*{key}"):
            Classifier.load(tmp_path / "cut.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        Classifier.load(tmp_path / "none.ckpt")
