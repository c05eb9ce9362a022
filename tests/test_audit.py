"""The audit on images made for it: faults that were put there, ground that was put there twice."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from eurosat_lib import audit as room
from eurosat_lib.audit import explore_dataset, find_overlaps, match_keypoints
from eurosat_lib.data import SPLITS, EuroSAT, Split


def put(dataset: EuroSAT, split: str, index, image) -> EuroSAT:
    """Replace an image, or a part of the images."""
    old = getattr(dataset, split)
    images = old.images.copy()
    images[index] = image
    return replace(dataset, **{split: replace(old, images=images)})


def test_counts_and_colours(blobs):
    result = explore_dataset(blobs)
    facts = result.facts()
    assert result.sizes == {"train": 96, "validation": 40, "test": 40} and facts["total"] == 176
    assert result.balance["p_value"] > 0.99  # classes take turns in the three splits
    assert result.counts["train"] == (10, 10, 10, 10, 10, 10, 9, 9, 9, 9)
    assert facts["imbalance"] == pytest.approx(10 / 9) and not facts["published_lists"]
    assert (result.black, result.flat, result.duplicates, result.duplicates_across) == (0, 0, 0, 0)
    values = blobs.train.images / 255
    assert result.channel_mean == pytest.approx(values.mean((0, 2, 3)))
    assert result.channel_sd == pytest.approx(values.std((0, 2, 3)), rel=1e-5)


def test_faults_are_counted(blobs):
    changed = blobs
    for name in SPLITS:
        changed = put(changed, name, np.s_[:], getattr(blobs, name).images.clip(40, 200))
    for index, image in (
        (0, 0),  # black, without data, of one colour
        (1, 77),  # one colour
        (2, changed.train.images[3]),  # a copy within the split
        (np.s_[4, :, :8, :8], 8),  # what JPEG makes of a black corner
        (np.s_[6, :, :8, :8], 9),
        (np.s_[5, 0, :2], 255),  # 128 of 12288 values: 1.04 %
    ):
        changed = put(changed, "train", index, image)
    changed = put(changed, "test", 0, changed.validation.images[0])  # a copy across splits
    result = explore_dataset(changed)
    assert (result.black, result.flat, result.nodata, result.saturated) == (1, 2, 2, 1)
    assert result.faint == sum(result.faint_by_class) == 2
    assert (result.duplicates, result.duplicates_across) == (2, 1)
    assert result.facts()["faint_classes"] == [*blobs.classes[:2]]


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A piece of ground of many scales, uint8 (3, 1024, 1024)."""
    noise = np.random.default_rng(1).normal(size=(4, 1024, 1024)).astype(np.float32)
    scales = zip(noise, (1, 2, 5, 15), strict=True)
    grey = sum(40 * s * gaussian_filter(layer, s) for layer, s in scales)
    return (128 + np.multiply.outer((1.0, 0.8, 0.6), grey)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def ground(blobs, scene) -> EuroSAT:
    """Tiles cut from one scene, on a grid with gaps: no ground is shared."""
    grid = [scene[:, r : r + 64, c : c + 64] for r in range(0, 960, 80) for c in range(0, 960, 80)]
    images, labels, splits = np.stack(grid), np.arange(144) % 10, {}
    for name, rows in zip(SPLITS, (range(84), range(84, 114), range(114, 144)), strict=True):
        names = tuple(f"{name}_{i}.jpg" for i in rows)
        splits[name] = Split(images[rows], labels[rows], names)
    return replace(blobs, **splits)


def test_overlapping_tiles_are_found_with_their_shift(ground, scene):
    alone = find_overlaps(ground)
    assert alone.files() == {"overlaps.csv": []}
    found = find_overlaps(put(ground, "test", 5, scene[:, 100:164, 148:212]))
    (pair,) = found.pairs  # train tile 14 is row 1, column 2 of the grid: at (80, 160)
    assert (pair.first.index, pair.second.index, pair.second.split) == (14, 5, "test")
    assert (pair.down, pair.right) == (20, -12) and pair.correlation > 0.97
    assert pair.share == pytest.approx(44 * 52 / 64**2)
    assert room.shared(*np.zeros((2, 9, 9)), 0, 0) == (0, 1)  # nothing varies
    assert found.facts() == {"found": 1, "across": 1, "test_images": 1, "relabelled": 1}
    (row,) = found.files()["overlaps.csv"]
    names = (row["first_name"], row["second_name"])
    assert (names, row["down"]) == (("train_14.jpg", "test_119.jpg"), 20)


def test_matches_equal_the_slow_way():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**63, 40, dtype=np.uint64)
    flips = np.uint64(1) << rng.integers(0, 63, (40, 3), dtype=np.uint64)
    hashes = np.r_[base, base ^ flips[:, 0] ^ flips[:, 1] ^ flips[:, 2], base[:5]]
    tile = np.r_[np.arange(80), np.arange(79, 84)]  # the first of the last five is in tile 79
    slow = np.bitwise_count(hashes[:, None] ^ hashes) <= 3
    slow &= tile[:, None] < tile
    found = match_keypoints(tile, hashes)
    assert {tuple(p) for p in found.tolist()} == set(map(tuple, np.argwhere(slow).tolist()))
