"""The built-in data set: deterministic, balanced like EuroSAT, neither trivial nor hopeless."""

import hashlib

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eurosat_lib import synthetic
from eurosat_lib.synthetic import CLASSES, generate
from eurosat_lib.synthetic.noise import generator, patches, terrain, wave
from eurosat_lib.synthetic.palette import WATERS
from eurosat_lib.synthetic.shapes import axes, cloverleaf, parcels, stripe

# sha256 of the labels and pixels of generate("train", 108), version 1: seen with NumPy 2.0.2,
# 2.4.0 and 2.4.6, with and without the vector units of the processor.
FINGERPRINT = "3ece314e575fcd96711fa89fb64f6341921c6efc596bbe7e42c966c144279fc7"


@pytest.fixture(scope="module")
def train():
    return generate("train", 1080)


@pytest.fixture(scope="module")
def test_set():
    return generate("test", 540)


def test_shape_type_and_range(train):
    images, labels = train
    assert images.shape == (1080, 3, 64, 64) and images.dtype == np.uint8
    assert labels.shape == (1080,) and labels.dtype == np.int64
    assert images.min() < 30 and images.max() == 255
    assert images.flags.c_contiguous


def test_the_ten_names_of_eurosat_in_alphabetical_order():
    assert len(CLASSES) == 10 and list(CLASSES) == sorted(CLASSES)
    assert CLASSES[0] == "AnnualCrop" and CLASSES[9] == "SeaLake"


def test_classes_are_unbalanced_as_in_eurosat(train):
    expected = np.array([3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000])
    assert np.array_equal(np.bincount(train[1]), expected * 1080 // 27000)


def test_the_first_54_images_hold_every_class_in_mixed_order(train):
    first = train[1][:54]
    assert set(first) == set(range(10))
    assert (np.diff(first) == 0).mean() < 0.35  # sorted labels would give 0.83


@pytest.mark.parametrize("count", [0, 1, 77])
def test_a_shorter_set_is_a_prefix_and_a_second_call_gives_the_same(train, count):
    images, labels = generate("train", count)
    assert np.array_equal(images, train[0][:count])
    assert np.array_equal(labels, train[1][:count])


def test_the_bits_are_those_of_version_1():
    images, labels = generate("train", 108)
    found = hashlib.sha256(labels.astype("<i8").tobytes() + images.tobytes()).hexdigest()
    assert synthetic.VERSION == 1
    assert found == FINGERPRINT, "the drawings changed: raise VERSION and renew FINGERPRINT"


def test_splits_share_no_image(train, test_set):
    drawn = [train[0], test_set[0], generate("validation", 54)[0]]
    seen = {image.tobytes() for images in drawn for image in images}
    assert len(seen) == 1080 + 540 + 54


def test_images_of_a_class_differ_in_colour_and_in_structure(train):
    images, labels = train
    for number in range(10):
        grey = images[labels == number].mean(axis=1)
        assert grey.mean(axis=(1, 2)).std() > 4, CLASSES[number]
        flat = grey.reshape(len(grey), -1)
        likeness = np.corrcoef(flat)[np.triu_indices(len(flat), 1)]
        assert np.abs(likeness).mean() < 0.35, CLASSES[number]


def test_orientation_is_free(train):
    images, labels = train
    grey = images[labels == CLASSES.index("Highway")].mean(axis=1)
    horizontal = np.abs(np.diff(grey, axis=2)).mean()
    vertical = np.abs(np.diff(grey, axis=1)).mean()
    assert 0.8 < horizontal / vertical < 1.25


def test_land_covers_look_like_their_names(train):
    images, labels = train
    grey = images.mean(axis=1)
    rough = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    texture = {name: np.median(rough[labels == i]) for i, name in enumerate(CLASSES)}
    light = {name: np.median(grey[labels == i]) for i, name in enumerate(CLASSES)}
    assert min(texture, key=texture.get) == "SeaLake"
    assert max(texture, key=texture.get) == "Residential"
    assert texture["Pasture"] < texture["AnnualCrop"] < texture["PermanentCrop"]
    assert min(light, key=light.get) == "Forest" and max(light, key=light.get) == "Industrial"
    water = images[labels == CLASSES.index("SeaLake")].mean(axis=(0, 2, 3))
    assert water[2] > water[1] > water[0]


def _colour(images):
    return images.mean(axis=(2, 3))


def _texture(images):
    grey = images.astype(np.float32).mean(axis=1)
    steps = [np.abs(grey[:, :, k:] - grey[:, :, :-k]).mean(axis=(1, 2)) for k in (1, 2, 4, 8)]
    extremes = np.percentile(grey, (2, 98), axis=(1, 2))
    return np.column_stack([_colour(images), *steps, *extremes])


def _accuracy(feature, train, test):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return model.fit(feature(train[0]), train[1]).score(feature(test[0]), test[1])


def test_colour_is_not_enough_and_texture_helps(train, test_set):
    colour = _accuracy(_colour, train, test_set)
    texture = _accuracy(_texture, train, test_set)
    assert 0.3 < colour < 0.6
    assert colour + 0.15 < texture < 0.9


def test_unknown_split_and_negative_count_are_refused():
    with pytest.raises(ValueError, match="did you mean train"):
        generate("trian", 3)
    with pytest.raises(ValueError, match="-1"):
        generate("test", -1)


def test_wave_is_periodic_between_minus_one_and_one():
    turns = np.array([0, 0.5, 1, -2.5, 7], dtype=np.float32)
    assert np.array_equal(wave(turns), [1, -1, 1, -1, 1])


def test_terrain_stays_within_its_amplitudes_and_varies():
    field = terrain(generator(1), 8, (1.0, 0.5))
    assert field.shape == (8, 64, 64) and field.dtype == np.float32
    assert np.abs(field).max() <= 1.5 and field.std() > 0.2
    assert np.abs(np.diff(field, axis=2)).max() < 0.1  # only blobs of 32 pixels and more


def test_patches_cover_less_when_the_threshold_rises():
    many, few = patches(generator(2), 64, -0.8, -0.7), patches(generator(2), 64, 0.7, 0.8)
    assert many.mean() > 0.85 and few.mean() < 0.15


def test_parcels_have_borders_at_the_distance_they_say():
    rng = generator(3)
    size = np.full((4, 1, 1), 20, dtype=np.float32)
    plots = parcels(rng, axes(rng, 4), size, size)
    same = plots.key[:, :, 1:] == plots.key[:, :, :-1]
    assert 0.01 < (~same).mean() < 0.12
    assert plots.edge.min() >= 0 and plots.edge[:, :, 1:][~same].max() < 1.5
    assert len(np.unique(plots.table(rng)[0])) == len(np.unique(plots.key[0]))


def test_stripe_covers_its_width():
    distance = np.arange(-10, 11, dtype=np.float32)
    assert stripe(distance, 2.5).sum() == 5
    assert cloverleaf(np.float32(0), np.float32(4), np.float32(4)) == 0


def test_waters_are_blue_or_green():
    assert (WATERS[:, 0] < WATERS[:, 2]).all()
