"""The drawn images: deterministic, balanced like EuroSAT, neither trivial nor hopeless."""

import hashlib

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eurosat_lib.synthetic import CLASSES, generate


@pytest.fixture(scope="module")
def train():
    return generate("train", 1080)


def test_shape_type_shares_and_bits(train):
    images, labels = train
    assert images.shape == (1080, 3, 64, 64) and images.dtype == np.uint8
    assert labels.dtype == np.int64 and list(CLASSES) == sorted(CLASSES)
    eurosat = np.array([3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000])
    assert np.array_equal(np.bincount(labels), eurosat * 1080 // 27000)
    assert hashlib.sha256(images[:108]).hexdigest().startswith("e0a964de88653613")


@pytest.mark.parametrize("count", [0, 1, 109])
def test_a_shorter_set_starts_a_longer_one(train, count):
    images, labels = generate("train", count)
    assert np.array_equal(images, train[0][:count]) and np.array_equal(labels, train[1][:count])


def test_no_image_is_drawn_twice(train):
    parts = [train[0], generate("test", 108)[0], generate("validation", 108)[0]]
    assert len({image.tobytes() for images in parts for image in images}) == 1080 + 216


def test_colour_is_not_enough_and_texture_helps(train):
    def texture(images):
        grey = images.astype(np.float32).mean(axis=1)
        steps = [np.abs(grey[:, :, k:] - grey[:, :, :-k]).mean(axis=(1, 2)) for k in (1, 2, 4, 8)]
        return np.column_stack([images.mean(axis=(2, 3)), *steps])

    images, labels = generate("test", 324)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    model.fit(train[0].mean(axis=(2, 3)), train[1])
    colour = model.score(images.mean(axis=(2, 3)), labels)
    both = model.fit(texture(train[0]), train[1]).score(texture(images), labels)
    assert 0.3 < colour < 0.6 and colour + 0.15 < both < 0.9
