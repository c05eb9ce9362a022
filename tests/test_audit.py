from dataclasses import replace

import numpy as np
import pytest

from eurosat_lib.audit import balance, explained, explore_dataset, mean_images, standardised
from eurosat_lib.data import Split


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
    dull = {n: replace(s, images=s.images.clip(40, 200)) for n, s in splits.items()}
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
    assert result.faint == 2 and sum(result.faint_by_class) == 2 and result.darkest == 0
    assert (result.duplicates, result.duplicates_across) == (2, 1)
    assert result.saturated == 1


def test_clean_images_have_no_fault(blobs):
    result = explore_dataset(blobs)
    assert (result.black, result.flat, result.duplicates) == (0, 0, 0)


def test_a_smeared_zero_is_still_no_data(blobs):
    bright = {n: np.maximum(getattr(blobs, n).images, 40) for n in ("train", "validation", "test")}
    bright["train"][0, :, :8, :8] = 8  # what JPEG makes of a black corner
    bright["train"][1, :, :8, :8] = 9
    splits = {n: replace(getattr(blobs, n), images=images) for n, images in bright.items()}
    result = explore_dataset(replace(blobs, **splits))
    assert (result.nodata, result.black, result.darkest) == (1, 0, 8)


def test_colours_equal_numpy(blobs):
    result = explore_dataset(blobs)
    values = blobs.train.images / 255
    assert result.channel_mean == pytest.approx(values.mean((0, 2, 3)))
    assert result.channel_sd == pytest.approx(values.std((0, 2, 3)), rel=1e-5)
    third = values[blobs.train.labels == 3]
    assert result.colours[3].mean == pytest.approx(third.mean((0, 2, 3)))
    assert result.colours[3].sd == pytest.approx(third.std((0, 2, 3)), rel=1e-5)
    means = mean_images(blobs.train, 11)
    assert means[3] == pytest.approx(third.mean(0) * 255, abs=1e-3)
    assert np.isnan(means[10]).all()  # a class without images


def test_explained_variance_by_hand():
    # Class means 1 and 5 about 3; total 0 + 4 + 4 + 36 + ... : (0, 2), (4, 6).
    mean = np.array([[0.0, 1, 7], [2, 1, 7], [4, 1, 7], [6, 2, 7]])
    first, second, constant = explained(mean, np.array([0, 0, 1, 1]))
    assert first == pytest.approx(16 / 20)
    assert second == pytest.approx(0.25 / 0.75) and constant == 0


def test_centring_by_hand(blobs):
    assert standardised(np.array([1.0, 2, 3])) == pytest.approx(2)
    assert standardised(np.array([1.0])) == 0
    images = blobs.train.images.copy()
    rows = np.flatnonzero(blobs.train.labels == 4)
    images[rows, :, 16:48, 16:48] = 255
    result = explore_dataset(replace(blobs, train=replace(blobs.train, images=images)))
    assert result.facts()["centred_classes"].count(blobs.classes[4]) == 1
    assert result.centring[4] > 10


def test_balance_equals_the_formula():
    counts = np.array([[60, 30], [20, 30], [20, 40]])
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    statistic = ((counts - expected) ** 2 / expected).sum()
    result = balance(np.c_[counts, [0, 0, 0]])  # a class that no image has
    assert result.statistic == pytest.approx(statistic) and result.degrees == 2
    assert result.cramers_v == pytest.approx((statistic / 200) ** 0.5)
    assert result.p_value == pytest.approx(np.exp(-statistic / 2))  # two degrees of freedom
    assert balance([[3], [4], [5]]) is None


def test_extremes_leave_the_test_out(blobs):
    test = changed(blobs.test, 0, 77)
    train = changed(blobs.train, 5, 200)
    result = explore_dataset(replace(blobs, test=test, train=train))
    faintest = result.extremes["faint"][0]
    assert (faintest.tile.split, faintest.tile.index, faintest.value) == ("train", 5, 0)
    assert all(e.tile.split != "test" for found in result.extremes.values() for e in found)
