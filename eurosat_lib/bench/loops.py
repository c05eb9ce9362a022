"""The two loops: ours, and the usual one of course projects."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from eurosat_lib.config import Config
from eurosat_lib.data import Split
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.training.steps import TrainStep, evaluate, make_optimizer, train_epoch

WARM_UP = 2  # batches before the clock starts
LR = 1e-4


class PILDataset(Dataset):
    """Images one by one through PIL, as most course projects do it."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]) -> None:
        """Keep a split and the transformation of one image."""
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one transformed image, float32 (3, S, S), and its label."""
        image = Image.fromarray(self.split.images[index].transpose(1, 2, 0))
        return self.transform(image), int(self.split.labels[index])


def usual_transform(config: Config, train: bool) -> transforms.Compose:
    """Build the same operations as ours from torchvision's transforms of one PIL image."""
    size, augment = config.data.image_size, config.augment
    colors = (augment.brightness, augment.contrast, augment.saturation)
    random = [
        transforms.RandomCrop(size, padding=augment.crop_padding, padding_mode="edge"),
        transforms.RandomHorizontalFlip(augment.flip_probability),
        transforms.ColorJitter(*colors),
    ]
    last = [
        transforms.ToTensor(),
        transforms.Normalize(config.preprocess.mean, config.preprocess.std),
    ]
    return transforms.Compose([transforms.Resize(size), *(random if train else []), *last])


def usual_seconds(config: Config, split: Split, blocks: int, steps: int, train: bool) -> float:
    """Time the usual loop: per-image transforms, two workers, float32, NCHW, ``.item()``.

    Returns:
        Seconds per image, without the start of the workers and the first batches.
    """
    set_seed(config.seed)
    device = Runtime.of(config).device
    model = build_model(config, blocks).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    criterion = nn.CrossEntropyLoss()
    dataset = PILDataset(split, usual_transform(config, train))
    loader = DataLoader(dataset, config.data.batch_size, shuffle=train, num_workers=2)
    model.train(train)
    batches, images, total, start = iter(loader), 0, 0.0, 0.0
    with torch.set_grad_enabled(train):
        for step in range(WARM_UP + steps):
            if step == WARM_UP:
                images, start = 0, time.perf_counter()
            inputs, labels = (t.to(device) for t in next(batches))
            loss = criterion(model(inputs), labels)
            if train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item()
            images += len(labels)
        seconds = time.perf_counter() - start
    del batches
    return seconds / images


def our_seconds(config: Config, split: Split, blocks: int, steps: int, train: bool) -> float:
    """Time the project's path on as many batches; seconds per image."""
    set_seed(config.seed)
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config, blocks))
    step_once = TrainStep(model, make_optimizer(model, LR, 0.0), runtime)
    loader = make_loader(config, split, (WARM_UP + steps) * config.data.batch_size, augment=train)

    seconds = 0.0
    for epoch, count in enumerate((WARM_UP, steps)):
        batches, start = islice(loader.epoch(epoch), count), time.perf_counter()
        if train:
            images = train_epoch(step_once, batches).images
        else:
            images = evaluate(model, batches, runtime).images
        seconds = time.perf_counter() - start
    return seconds / images
