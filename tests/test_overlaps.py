"""Tiles that share ground: found on a scene drawn for it, told from others."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from eurosat_lib import overlaps as room
from eurosat_lib.audit import Tiles
from eurosat_lib.data import EuroSAT, Split
from eurosat_lib.overlaps import Keypoints, find_overlaps, match_keypoints, shared


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A piece of ground of many scales, uint8 (3, 1024, 1024)."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(4, 1024, 1024)).astype(np.float32)
    scales = zip(noise, (1, 2, 5, 15), strict=True)
    grey = sum(40 * s * gaussian_filter(layer, s) for layer, s in scales)
    return (128 + np.multiply.outer((1.0, 0.8, 0.6), grey)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def ground(blobs, scene) -> EuroSAT:
    """Tiles cut from one scene, on a grid with gaps: no ground is shared, no edge is."""
    grid = [scene[:, r : r + 64, c : c + 64] for r in range(0, 960, 80) for c in range(0, 960, 80)]
    images, labels = np.stack(grid), np.arange(144) % 10

    def split(name: str, start: int, stop: int) -> Split:
        names = tuple(f"{name}_{i}.jpg" for i in range(start, stop))
        return Split(images[start:stop].copy(), labels[start:stop], names)

    splits = {"train": (0, 84), "validation": (84, 114), "test": (114, 144)}
    return replace(blobs, **{name: split(name, *ends) for name, ends in splits.items()})


def put(dataset: EuroSAT, split: str, index: int, image: np.ndarray) -> EuroSAT:
    old = getattr(dataset, split)
    images = old.images.copy()
    images[index] = image
    return replace(dataset, **{split: replace(old, images=images)})


def test_tiles_know_their_split(blobs):
    tiles = Tiles(blobs)
    assert len(tiles) == 176 and tiles[0].name == "train_0.jpg"
    last = tiles[175]
    assert (last.split, last.index, last.label) == ("test", 39, 9)
    assert np.array_equal(tiles.images(np.array([96]))[0], blobs.validation.images[0])


def test_matches_equal_the_slow_way():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**63, 40, dtype=np.uint64)
    flips = np.uint64(1) << rng.integers(0, 63, (40, 3), dtype=np.uint64)
    near = base ^ flips[:, 0] ^ flips[:, 1] ^ flips[:, 2]
    hashes = np.r_[base, near, base[:5]]
    points = Keypoints(
        np.r_[np.arange(80), np.arange(5)], np.zeros((85, 2), int), np.ones(85), hashes
    )
    slow = np.bitwise_count(hashes[:, None] ^ hashes) <= 3
    slow &= points.tile[:, None] < points.tile
    found = match_keypoints(points, 3)
    assert {tuple(p) for p in found.tolist()} == set(map(tuple, np.argwhere(slow).tolist()))
    with pytest.raises(ValueError, match="at most 3"):
        match_keypoints(points, 4)


def test_shared_rectangle_by_hand():
    big = np.random.default_rng(0).normal(size=(20, 20))
    first, second = big[:10, 5:15], big[3:13, 1:11]  # second lies 3 down, 4 to the left
    assert shared(first, second, 3, -4) == (pytest.approx(1), pytest.approx(7 * 6 / 100))
    assert shared(first, second, 0, 0)[0] < 0.5
    assert shared(first, first * 0, 0, 0)[0] == 0 and shared(first, first, 10, 0) == (0, 0)


def test_overlapping_tiles_are_found_with_their_shift(ground, scene):
    assert find_overlaps(ground).pairs == ()
    leaked = put(ground, "test", 5, scene[:, 80 + 20 : 80 + 84, 160 - 12 : 160 + 52])
    (pair,) = find_overlaps(leaked).pairs  # train tile 14 is row 1, column 2 of the grid
    assert (pair.first.index, pair.second.index, pair.second.split) == (14, 5, "test")
    assert (pair.down, pair.right) == (20, -12) and pair.correlation > 0.97
    assert pair.share == pytest.approx(44 * 52 / 64**2)
    facts = find_overlaps(leaked).facts()
    assert (facts["across"], facts["test_images"]) == (1, 1)
    assert facts["between"] == {"test/train": 1}
    assert facts["relabelled"] == (14 % 10 != 119 % 10)


def test_too_many_proposals_are_cut_by_strength_and_that_is_said(monkeypatch):
    tile = np.array([0, 1, 2, 3])
    place = np.array([[0, 0], [5, 5], [9, 9], [1, 1]])
    points = Keypoints(tile, place, np.array([1.0, 1.0, 7.0, 8.0]), np.zeros(4, np.uint64))
    monkeypatch.setattr(room, "MOST", 1)
    kept, capped = room._proposals(points, np.array([[0, 1], [2, 3]]))
    assert kept.tolist() == [[2, 3, 8, 8]] and capped
    monkeypatch.setattr(room, "MOST", 2)
    assert not room._proposals(points, np.array([[0, 1], [2, 3]]))[1]
