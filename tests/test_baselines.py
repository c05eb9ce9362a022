import numpy as np
import pytest

from eurosat_lib.baselines import color_statistics, compute_baselines, thumbnails
from eurosat_lib.config import override


def test_color_statistics_by_hand():
    image = np.zeros((1, 3, 8, 8), dtype=np.uint8)
    image[0, 0, :4] = 100  # half of the red channel
    features = color_statistics(image)
    assert features.shape == (1, 6)
    assert features[0].tolist() == pytest.approx([50, 0, 0, 50, 0, 0])


def test_color_statistics_do_not_depend_on_blocks(monkeypatch, blobs):
    whole = color_statistics(blobs.train.images)
    monkeypatch.setattr("eurosat_lib.baselines.BLOCK", 7)
    assert np.allclose(color_statistics(blobs.train.images), whole)


def test_thumbnails_average_blocks():
    ramp = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8).repeat(3, axis=1)
    small = thumbnails(ramp)
    assert small.shape == (1, 48)
    assert small[0, 0] == pytest.approx(np.mean([0, 1, 8, 9]))


def test_majority_class_by_hand(tiny, blobs):
    result = compute_baselines(tiny, blobs)
    assert result.majority_class == "AnnualCrop"  # 10 of 96, first of the largest
    assert result.majority_count == 10
    assert result.majority_validation == 0.1
    assert result.majority_share == pytest.approx(10 / 96)
    assert result.uniform_validation_sd == pytest.approx(np.sqrt(0.09 / 40))


def test_linear_models_learn_colours_and_respect_the_limit(tiny, blobs):
    assert compute_baselines(tiny, blobs).color_validation > 0.9
    limited = compute_baselines(override(tiny, {"data.train_limit": 30}), blobs)
    assert limited.linear_train_images == 30
