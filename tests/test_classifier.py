"""A checkpoint by itself classifies images."""

import numpy as np
import pytest
import torch
from PIL import Image

from eurosat_lib import stages
from eurosat_lib.classifier import Classifier
from eurosat_lib.errors import UserError


@pytest.fixture
def path(on_blobs):
    stages.train(on_blobs)
    return on_blobs.paths.artifacts / "best.ckpt"


def test_it_says_what_the_evaluation_said(on_blobs, path, blobs):
    evaluation = stages.evaluate(on_blobs)
    scores = Classifier.load(path, "cpu").logits(blobs.test.images)
    assert scores.shape == (40, 10) and scores.dtype == np.float32
    assert int((scores.argmax(1) == blobs.test.labels).sum()) == evaluation.correct
    kept = np.load(on_blobs.paths.stages / evaluation.stored / "predictions.npz")["logits"]
    np.testing.assert_allclose(scores, kept, atol=1e-5)


def test_a_picture_gets_a_probability_per_class(path, blobs):
    classifier, image = Classifier.load(path), blobs.test.images[0]
    said = classifier.classify(Image.fromarray(image.transpose(1, 2, 0)))
    assert said == classifier.classify(image.transpose(1, 2, 0))
    assert sum(said.values()) == pytest.approx(1)
    assert list(said.values()) == sorted(said.values(), reverse=True)
    best = classifier.classes[int(classifier.logits(image[None]).argmax())]
    assert next(iter(said)) == best


def test_a_file_is_opened_or_refused_in_a_line(path, blobs, tmp_path):
    classifier, image = Classifier.load(path), blobs.test.images[0].transpose(1, 2, 0)
    Image.fromarray(image).save(tmp_path / "tile.png")
    assert classifier.classify(tmp_path / "tile.png") == classifier.classify(image)
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(UserError, match=f"{name}: cannot be read as a picture"):
            classifier.classify(str(tmp_path / name))


def test_checkpoints_that_lack_something_are_refused(path, tmp_path):
    content = torch.load(path, weights_only=True)
    for key in ("task", "hyperparameters", "model"):
        torch.save({k: v for k, v in content.items() if k != key}, tmp_path / "cut.ckpt")
        with pytest.raises(UserError, match=rf"cut\.ckpt: not a whole checkpoint.*{key}"):
            Classifier.load(tmp_path / "cut.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        Classifier.load(tmp_path / "none.ckpt")
