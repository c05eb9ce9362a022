"""The two loops: ours, and the usual one of course projects."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from eurosat_lib.bench.rows import clock
from eurosat_lib.config import Config
from eurosat_lib.data import Split
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime, keep_freed_memory, set_seed
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
    keep_freed_memory(False)  # as in a program that does not ask for it
    model = build_model(config, blocks).to(device).train(train)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    criterion = nn.CrossEntropyLoss()
    dataset = PILDataset(split, usual_transform(config, train))
    loader = DataLoader(dataset, config.data.batch_size, shuffle=train, num_workers=2)
    batches, counts = iter(loader), []

    def run(steps: int) -> None:
        """Go through some batches, as the usual loop does."""
        counts.clear()
        total = 0.0
        for inputs, labels in islice(batches, steps):
            inputs, labels = inputs.to(device), labels.to(device)
            loss = criterion(model(inputs), labels)
            if train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item()
            counts.append(len(labels))

    with torch.set_grad_enabled(train):
        run(WARM_UP)
        seconds = clock(lambda: run(steps), device)
    return seconds / sum(counts)


def our_seconds(config: Config, split: Split, blocks: int, steps: int, train: bool) -> float:
    """Time the project's path on as many batches; seconds per image."""
    set_seed(config.seed)
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config, blocks))
    step = TrainStep(model, make_optimizer(model, LR, 0.0), runtime)
    loader = make_loader(config, split, (WARM_UP + steps) * config.data.batch_size, augment=train)
    images = []

    def run(epoch: int, steps: int) -> None:
        """Go through some batches of an epoch on our path."""
        batches = islice(loader.epoch(epoch), steps)
        done = train_epoch(step, batches) if train else evaluate(model, batches, runtime)
        images.append(done.images)

    run(0, WARM_UP)
    return clock(lambda: run(1, steps), runtime.device) / images[-1]
