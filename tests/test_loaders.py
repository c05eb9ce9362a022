import numpy as np
import pytest
import torch

from eurosat_lib import loaders
from eurosat_lib.config import override
from eurosat_lib.data import Split
from eurosat_lib.loaders import get_dataloaders, make_loader, subset
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms


def test_the_three_loaders_and_what_they_tell(tiny, blobs, monkeypatch):
    monkeypatch.setattr(loaders, "load_dataset", lambda config: blobs)
    train, validation, test, meta = get_dataloaders(override(tiny, {"data.train_limit": 50}))
    assert [loader.num_images for loader in (train, validation, test)] == [50, 40, 40]
    assert [len(loader) for loader in (train, validation, test)] == [4, 3, 3]
    assert meta == {"num_classes": 10, "input_shape": (3, 16, 16)}
    images, labels = next(iter(train))
    assert images.shape == (16, 3, 16, 16) and images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


@pytest.mark.parametrize("size", [16, 64])
def test_batches_without_augmentation_are_the_preprocessed_images_in_order(tiny, blobs, size):
    config = override(tiny, {"data.image_size": size})
    batches = list(make_loader(config, blobs.validation))
    expected = get_preprocess_transforms(config)(torch.from_numpy(blobs.validation.images))
    assert torch.equal(torch.cat([images for images, _ in batches]), expected)
    assert (
        torch.cat([labels for _, labels in batches]).tolist() == blobs.validation.labels.tolist()
    )


def test_an_epoch_depends_on_seed_and_number_only(tiny, blobs):
    first, second = (make_loader(tiny, blobs.train, 40, augment=True) for _ in range(2))
    list(first), list(first)
    pairs = zip(first, second.epoch(2), strict=True)  # the third loop is epoch 2
    assert all(torch.equal(x, y) and torch.equal(a, b) for (x, a), (y, b) in pairs)
    other = make_loader(tiny, blobs.train, 40, augment=True, seed=tiny.seed + 1)
    for images, labels in (next(second.epoch(3)), next(other.epoch(2))):
        assert not torch.equal(images, next(second.epoch(2))[0])
        assert not torch.equal(labels, next(second.epoch(2))[1])


def test_a_training_batch_is_the_augmented_draw_of_its_epoch(tiny, blobs):
    loader = make_loader(override(tiny, {"data.image_size": 64}), blobs.train, augment=True)
    generator = epoch_generator(tiny.seed, 5)
    order = torch.randperm(96, generator=generator)
    augment = get_augmentation_transforms(tiny)
    draws = augment.draw(96, generator)
    images = augment(torch.from_numpy(blobs.train.images)[order], draws)
    assert torch.equal(torch.cat([x for x, _ in loader.epoch(5)]), loader.preprocess(images))


def test_a_subset_is_fixed_sorted_and_nested_in_none():
    assert subset(10, None).tolist() == subset(10, 12).tolist() == list(range(10))
    kept = subset(1000, 50)
    assert kept.tolist() == sorted(set(kept.tolist())) and len(kept) == 50
    assert np.array_equal(kept, np.sort(np.random.default_rng(0).permutation(1000)[:50]))


def test_images_are_mapped_at_full_size_and_resized_once(tiny, blobs, tmp_path):
    np.save(tmp_path / "images.npy", blobs.train.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    split = Split(mapped, blobs.train.labels, blobs.train.names)
    full = make_loader(override(tiny, {"data.image_size": 64}), split)
    assert full.images.data_ptr() == mapped.ctypes.data
    small = make_loader(tiny, split)
    assert small.images.shape == (96, 3, 16, 16) and small.images.dtype == torch.uint8
    assert make_loader(tiny, split, augment=True).images is small.images
    half = Split(mapped[48:], blobs.train.labels[48:], blobs.train.names[48:])
    assert torch.equal(make_loader(tiny, half).images, small.images[48:])
