from dataclasses import replace

import numpy as np
import pytest

from eurosat_lib.data import Split, get_dataloaders
from eurosat_lib.data.audit import channel_statistics, explore_dataset
from eurosat_lib.data.pipeline import verify_pipeline


def changed(split: Split, index: int, value) -> Split:
    images = split.images.copy()
    images[index] = value
    return replace(split, images=images)


def test_counts_by_class_and_split(blobs):
    result = explore_dataset(blobs)
    assert result.sizes == {"train": 96, "validation": 40, "test": 40}
    assert result.counts["train"] == (10, 10, 10, 10, 10, 10, 9, 9, 9, 9)
    facts = result.facts()
    assert facts["imbalance"] == pytest.approx(10 / 9)
    assert not facts["published_lists"]


def test_faults_are_counted(blobs):
    splits = {"train": blobs.train, "validation": blobs.validation, "test": blobs.test}
    dull = {n: replace(s, images=np.minimum(s.images, 200)) for n, s in splits.items()}
    blobs = replace(blobs, **dull)
    train = changed(blobs.train, 0, 0)  # black, hence without data and of one colour
    train = changed(train, 1, 77)  # one colour
    train = changed(train, 2, train.images[3])  # duplicate within the split
    images = train.images.copy()
    images[4, :, 0, 0] = 0  # one pixel without data
    images[5, 0, :2] = 255  # 128 of 12288 values saturated: 1.04 %
    test = changed(blobs.test, 0, blobs.validation.images[0])  # across splits
    result = explore_dataset(replace(blobs, train=replace(train, images=images), test=test))
    assert (result.black, result.flat, result.nodata) == (1, 2, 2)
    assert (result.duplicates, result.duplicates_across) == (2, 1)
    assert result.saturated == 1


def test_clean_images_have_no_fault(blobs):
    result = explore_dataset(blobs)
    assert (result.black, result.flat, result.duplicates) == (0, 0, 0)


def test_channel_statistics_equal_numpy(blobs):
    mean, sd = channel_statistics(blobs.train.images)
    values = blobs.train.images / 255
    assert mean == pytest.approx(values.mean((0, 2, 3)))
    assert sd == pytest.approx(values.std((0, 2, 3)))


def test_pipeline_says_what_the_loaders_deliver(on_blobs, monkeypatch):
    result = verify_pipeline(on_blobs)
    assert result.batch_shape == (16, 3, 16, 16) and result.coherent
    assert result.batches == {"train": 6, "validation": 3, "test": 3}
    assert result.reshuffled and result.repeatable and result.fixed_order
    assert -2.118 <= result.value_min < result.value_max <= 2.6401


def test_pipeline_statistics_equal_numpy(on_blobs):
    result = verify_pipeline(on_blobs)
    _, validation, _, meta = get_dataloaders(on_blobs)
    images = np.concatenate([x.numpy() for x, _ in validation])
    assert meta == {"num_classes": 10, "input_shape": (3, 16, 16)}
    assert result.value_mean == pytest.approx(images.mean((0, 2, 3)), abs=1e-5)
    assert result.value_sd == pytest.approx(images.std((0, 2, 3)), abs=1e-5)
