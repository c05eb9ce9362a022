import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from eurosat_lib.baselines import color_statistics, compute_baselines, thumbnails


def test_features_by_hand():
    image = np.zeros((1, 3, 8, 8), dtype=np.uint8)
    image[0, 0, :4] = 100  # half of the red channel
    assert color_statistics(image).tolist() == [pytest.approx([50, 0, 0, 50, 0, 0])]
    ramp = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8).repeat(3, axis=1)
    small = thumbnails(ramp)
    assert small.shape == (1, 48) and small[0, 0] == pytest.approx(np.mean([0, 1, 8, 9]))


def test_majority_class_and_linear_models(tiny, blobs):
    result = compute_baselines(tiny, blobs)
    nothing = np.zeros((96, 1))
    dummy = DummyClassifier(strategy="most_frequent").fit(nothing, blobs.train.labels)
    assert result.majority_class == blobs.classes[dummy.predict(nothing)[0]]  # 10 of 96
    assert result.majority_validation == dummy.score(nothing[:40], blobs.validation.labels) == 0.1
    assert (result.majority_count, result.validation_images) == (10, 40)
    assert result.facts()["majority_share"] == pytest.approx(10 / 96)
    assert result.uniform == 0.1
    best = max(result.color_validation, result.thumbnail_validation)
    assert result.facts()["best_linear"] == best > 0.9
