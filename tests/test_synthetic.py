"""The drawn images: deterministic, and balanced like EuroSAT."""

import hashlib

import numpy as np

from eurosat_lib.synthetic import CLASSES, generate


def test_shares_and_bits_and_a_shorter_set_starts_a_longer_one():
    images, labels = generate("train", 1080)
    assert images.shape == (1080, 3, 64, 64) and images.dtype == np.uint8
    assert labels.dtype == np.int64 and list(CLASSES) == sorted(CLASSES)
    eurosat = np.array([3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000])
    assert np.array_equal(np.bincount(labels), eurosat * 1080 // 27000)
    assert hashlib.sha256(images[:108]).hexdigest().startswith("d169e8fb1a8bc635")
    for count in (0, 1, 109):
        shorter, own = generate("train", count)
        assert np.array_equal(shorter, images[:count]) and np.array_equal(own, labels[:count])
    parts = [images, generate("test", 108)[0], generate("validation", 108)[0]]
    assert len({image.tobytes() for part in parts for image in part}) == 1080 + 216
