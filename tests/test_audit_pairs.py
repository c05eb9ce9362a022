from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from eurosat_lib.data import EuroSAT, Split
from eurosat_lib.data.audit import find_duplicates, find_overlaps, find_seams
from eurosat_lib.data.audit.alignment import details, overlay
from eurosat_lib.data.audit.landscape import describe, draw, draw_landscape
from eurosat_lib.data.audit.overlaps import shared
from eurosat_lib.data.audit.perceptual import compare, perceptual_hashes, view
from eurosat_lib.data.audit.points import Points, matches
from eurosat_lib.data.audit.seams import excess
from eurosat_lib.data.audit.tiles import Tiles


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


@pytest.mark.parametrize("number", range(8))
def test_the_hash_of_a_turned_image_is_the_view(number):
    grey = np.random.default_rng(0).uniform(0, 255, (3, 64, 64)).astype(np.float32)
    turned = perceptual_hashes(np.ascontiguousarray(view(grey, number)))
    assert np.array_equal(turned[0], perceptual_hashes(grey)[number])


def test_views_are_the_eight_of_the_square():
    square = np.arange(9).reshape(3, 3)
    seen = {view(square, number).tobytes() for number in range(8)}
    turns = [np.rot90(square, k) for k in range(4)]
    assert seen == {t.tobytes() for t in turns} | {t.T.tobytes() for t in turns}


def test_compare_equals_the_slow_way():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**12, (8, 300), dtype=np.uint64)
    hashes[1:] = hashes[0]  # one view is enough to count
    slow = np.bitwise_count(hashes[0][:, None] ^ hashes[0])
    nearest, pairs = compare(hashes, 1, 10**6)
    np.fill_diagonal(slow, 255)
    assert np.array_equal(nearest, slow.min(1))
    a, b = np.nonzero(np.triu(slow <= 1, 1))
    assert {tuple(p) for p in pairs[:, :2].tolist()} == set(
        zip(a.tolist(), b.tolist(), strict=True)
    )
    assert len(compare(hashes, 1, 5)[1]) == 5


def test_overlay_finds_a_shift_and_nothing_else():
    rng = np.random.default_rng(0)
    big = gaussian_filter(rng.normal(0, 40, (80, 80)), 1)
    first, second, other = big[8:72, 8:72], big[5:69, 10:74], rng.normal(size=(64, 64))
    fine = details(np.stack([first, second, other]).astype(np.float32))
    assert overlay(fine[:1], fine[:1])[0] == pytest.approx(1, abs=1e-5)
    assert overlay(fine[:1], fine[1:2])[0] > 0.8 > 0.4 > overlay(fine[:1], fine[2:])[0]


def test_a_turned_copy_is_found_and_told_from_others(ground):
    clean = find_duplicates(ground)
    assert not clean.pairs and clean.hashed == 144 and sum(clean.nearest) == 144
    copy = np.rot90(ground.train.images[7], axes=(1, 2))
    noise = np.random.default_rng(0).integers(-4, 5, copy.shape)
    found = find_duplicates(put(ground, "test", 3, (copy + noise).clip(0, 255)))
    (pair,) = found.pairs
    assert (pair.first.name, pair.second.index, pair.second.split) == ("train_7.jpg", 3, "test")
    assert pair.view != 0 and pair.distance <= 4 and pair.correlation > 0.9
    facts = found.facts()
    assert (facts["near"], facts["across"], facts["turned"]) == (1, 1, 1)


def test_flat_images_are_not_compared(ground):
    flat = put(put(ground, "train", 0, 90), "validation", 0, 90)
    found = find_duplicates(flat)
    assert found.hashed == 142 and not found.pairs


def test_matches_equal_the_slow_way():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**63, 40, dtype=np.uint64)
    flips = np.uint64(1) << rng.integers(0, 63, (40, 3), dtype=np.uint64)
    near = base ^ flips[:, 0] ^ flips[:, 1] ^ flips[:, 2]
    hashes = np.r_[base, near, base[:5]]
    points = Points(np.r_[np.arange(80), np.arange(5)], np.zeros((85, 2), int), hashes)
    slow = np.bitwise_count(hashes[:, None] ^ hashes) <= 3
    slow &= points.tile[:, None] < points.tile
    found = matches(points, 3)
    assert {tuple(p) for p in found.tolist()} == set(map(tuple, np.argwhere(slow).tolist()))
    with pytest.raises(ValueError, match="at most 3"):
        matches(points, 4)


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


def test_a_tile_that_continues_another_is_seen(ground, scene):
    alone = find_seams(ground)
    neighbour = scene[:, 80:144, 160 + 64 : 160 + 128]  # right of train tile 14
    found = find_seams(put(ground, "validation", 9, neighbour))
    best = found.best[0]
    assert (best.validation.index, best.train.index, best.side) == (9, 14, "left")
    assert best.agreement > max(alone.agreements) and found.compared == 30
    assert len(found.controls) == 30 and max(found.controls) < best.agreement


def test_excess_by_hand():
    seams = np.repeat([1.0, 1.0, 0.0, 0.0], [20, 10, 4, 66])
    controls = np.repeat([1.0, 0.0, 1.0, 0.0], [20, 10, 4, 66])
    result = excess(seams, controls, 0.9)
    assert (result.seams, result.controls, result.share) == (30, 24, 0.06)
    half = 1.959964 * (15 - 36 / 102) ** 0.5 / 102  # Agresti & Min: 10.5 and 4.5 of 102
    assert (result.low, result.high) == pytest.approx((6 / 102 - half, 6 / 102 + half))


def test_excess_covers_the_truth():
    rng = np.random.default_rng(0)
    both, only, other = 0.05, 0.06, 0.03
    draws = rng.multinomial(300, [both, only, other, 1 - both - only - other], size=2000)
    held = 0
    for cells in draws:
        seams, controls = np.repeat([1, 1, 0, 0], cells), np.repeat([1, 0, 1, 0], cells)
        result = excess(seams, controls, 0.5)
        held += result.low <= only - other <= result.high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_descriptors_do_not_see_turns(blobs):
    images = blobs.train.images[:4]
    for number in range(1, 8):
        turned = np.ascontiguousarray(view(images, number))
        assert describe(turned) == pytest.approx(describe(images), abs=1e-4)
    values = images[0, 1] / 255
    assert describe(images)[0, 1] == pytest.approx(values.mean())
    assert describe(images)[0, 4] == pytest.approx(np.log(values.std() + 1e-3))


def test_the_draw_is_balanced_and_fixed(blobs):
    index = draw(blobs.train.labels, 3)
    assert np.bincount(blobs.train.labels[index]).tolist() == [3] * 10
    assert np.array_equal(index, draw(blobs.train.labels, 3))


def test_landscape_of_ten_colours(blobs):
    found = draw_landscape(blobs)
    assert found == draw_landscape(blobs)
    facts = found.facts()
    assert facts["points"] == 96 and facts["accuracy"] > 0.5 > facts["chance"] == 0.1
    assert sum(map(sum, found.confusion)) == 96


def test_landscape_names_what_is_mixed(blobs):
    found = draw_landscape(blobs)
    table = np.diag([9] * 10)
    table[2, 7], table[7, 2], table[4, 5] = 3, 2, 4
    facts = found.model_copy(update={"confusion": tuple(map(tuple, table.tolist()))}).facts()
    assert facts["mixed"] == [blobs.classes[2], blobs.classes[7]]
    assert facts["hardest"][0] == blobs.classes[4]
