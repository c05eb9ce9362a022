import numpy as np
import pytest
import torch

from eurosat_lib.config import override
from eurosat_lib.data import Split
from eurosat_lib.loaders import get_dataloaders, make_loader, subset
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms


def test_the_three_loaders_and_what_they_tell(on_blobs, blobs):
    *three, meta = get_dataloaders(override(on_blobs, {"data.train_limit": 50}))
    assert [loader.num_images for loader in three] == [50, 40, 40]
    assert [len(loader) for loader in three] == [4, 3, 3]
    assert meta == {"num_classes": 10, "input_shape": (3, 16, 16)}
    images, labels = next(iter(three[0]))
    assert images.shape == (16, 3, 16, 16) and images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64
    for loader, split in zip(three[1:], (blobs.validation, blobs.test), strict=True):
        assert torch.equal(loader.images, make_loader(on_blobs, split).images)


@pytest.mark.parametrize("size", [16, 64])
def test_batches_without_augmentation_are_the_preprocessed_images_in_order(tiny, blobs, size):
    config = override(tiny, {"data.image_size": size})
    images, labels = map(torch.cat, zip(*make_loader(config, blobs.validation), strict=True))
    expected = get_preprocess_transforms(config)(torch.from_numpy(blobs.validation.images))
    assert torch.equal(images, expected)
    assert labels.tolist() == blobs.validation.labels.tolist()


def test_a_training_epoch_is_the_augmented_draw_of_seed_and_number(tiny, blobs):
    config = override(tiny, {"data.image_size": 64})
    loader = make_loader(config, blobs.train, augment=True)
    list(loader), list(loader)
    generator = epoch_generator(tiny.seed, 2)  # the third loop is epoch 2
    order = torch.randperm(96, generator=generator)
    augment = get_augmentation_transforms(tiny)
    draws = augment.draw(96, generator)
    images = augment(torch.from_numpy(blobs.train.images)[order], draws)
    assert torch.equal(torch.cat([x for x, _ in loader]), loader.preprocess(images))
    other = make_loader(config, blobs.train, augment=True, seed=tiny.seed + 1)
    for _, labels in (next(loader.epoch(3)), next(other.epoch(2))):
        assert not torch.equal(labels, next(loader.epoch(2))[1])


def test_a_subset_is_fixed_and_mapped_images_are_used_or_resized_once(tiny, blobs, tmp_path):
    assert subset(10, None).tolist() == subset(10, 12).tolist() == list(range(10))
    kept = np.sort(np.random.default_rng(0).permutation(1000)[:50])
    assert np.array_equal(subset(1000, 50), kept)
    np.save(tmp_path / "images.npy", blobs.train.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    split = Split(mapped, blobs.train.labels, blobs.train.names)
    full = make_loader(override(tiny, {"data.image_size": 64}), split)
    assert full.images.data_ptr() == mapped.ctypes.data
    small = make_loader(tiny, split)
    assert small.images.shape == (96, 3, 16, 16)
    few, rows = make_loader(tiny, split, 50), subset(96, 50)
    assert torch.equal(few.images, small.images[rows])
    assert few.labels.tolist() == split.labels[rows].tolist()
    assert make_loader(tiny, split, augment=True).images is small.images
