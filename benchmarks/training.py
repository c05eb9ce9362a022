"""Our training and evaluation against the usual loop of course projects.

The usual loop takes one image at a time through PIL and torchvision's transforms, a
``DataLoader`` with two workers, plain Adam, float32, channels first, ``.item()`` at each step.
Both do the same work: the same network, batches of the same size, the same random operations.
Within a round they follow each other, so that other work on the machine strikes both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from eurosat_lib.config import Config, load_config
from eurosat_lib.data import EuroSAT, Split, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import make_loader
from eurosat_lib.model import build_model
from eurosat_lib.optimizers import make_optimizer
from eurosat_lib.runtime import Runtime, keep_freed_memory, set_seed
from eurosat_lib.train import TrainStep, predict, train_epoch

WARM_UP = 2  # batches before the clock starts
WORKERS = 2
LR = 1e-4
LONGER = 4  # evaluation is so much quicker: as many times the batches


class PILDataset(Dataset):
    """Images one by one through PIL, as most course projects do it."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]) -> None:
        """Keep a split and the transformation of one image."""
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.split.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one transformed image, float32 (3, S, S), and its label."""
        image = Image.fromarray(self.split.images[index].transpose(1, 2, 0))
        return self.transform(image), int(self.split.labels[index])


def usual_transform(config: Config, train: bool) -> transforms.Compose:
    """Build the same operations as ours from torchvision's transforms of one PIL image."""
    size, augment = config.data.image_size, config.augment
    random = [
        transforms.RandomCrop(size, padding=augment.crop_padding, padding_mode="edge"),
        transforms.RandomHorizontalFlip(augment.flip_probability),
        transforms.ColorJitter(augment.brightness, augment.contrast, augment.saturation),
    ]
    last = [
        transforms.ToTensor(),
        transforms.Normalize(config.preprocess.mean, config.preprocess.std),
    ]
    return transforms.Compose([transforms.Resize(size), *(random if train else []), *last])


def usual_seconds(config: Config, split: Split, blocks: int, steps: int, train: bool) -> float:
    """Time the usual loop.

    Args:
        config: sizes, transformations, device.
        split: decoded images.
        blocks: of the network, per stage.
        steps: timed batches.
        train: with forward, backward and update; else forward alone.

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
    loader = DataLoader(dataset, config.data.batch_size, shuffle=train, num_workers=WORKERS)
    batches = iter(loader)

    def run(steps: int) -> int:
        """Go through some batches, as the usual loop does; return their images."""
        images, total = 0, 0.0
        for inputs, labels in islice(batches, steps):
            inputs, labels = inputs.to(device), labels.to(device)
            loss = criterion(model(inputs), labels)
            if train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item()
            images += len(labels)
        return images

    with torch.set_grad_enabled(train):
        run(WARM_UP)
        return seconds_per_image(lambda: run(steps), device)


def our_seconds(config: Config, split: Split, blocks: int, steps: int, train: bool) -> float:
    """Time the project's path on as many batches; arguments and result as of the usual loop."""
    set_seed(config.seed)
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config, blocks))
    step = TrainStep(model, make_optimizer(model, LR, 0.0), runtime)
    loader = make_loader(config, split, (WARM_UP + steps) * config.data.batch_size, augment=train)

    def run(epoch: int, steps: int) -> int:
        """Go through some batches of an epoch on our path; return their images."""
        batches = islice(loader.epoch(epoch), steps)
        if train:
            return train_epoch(step, batches).images
        return len(predict(model, batches, runtime)[1])

    run(0, WARM_UP)
    return seconds_per_image(lambda: run(1, steps), runtime.device)


def seconds_per_image(work: Callable[[], int], device: torch.device) -> float:
    """Time some work that returns its number of images, the device's part included."""
    _wait(device)
    start = time.perf_counter()
    images = work()
    _wait(device)
    return (time.perf_counter() - start) / images


def compare(
    config: Config, dataset: EuroSAT, blocks: int, train: bool, steps: int, rounds: int
) -> list[tuple[float, float]]:
    """Time both loops in turn; return seconds per image (usual, ours), one pair per round."""
    split, count = (dataset.train, steps) if train else (dataset.validation, LONGER * steps)
    return [
        (
            usual_seconds(config, split, blocks, count, train),
            our_seconds(config, split, blocks, count, train),
        )
        for _ in range(rounds)
    ]


def line(what: str, pairs: list[tuple[float, float]]) -> str:
    """Write the medians of both loops, and median and lowest of the rounds' ratios."""
    usual, ours = (1e6 * statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = [a / b for a, b in pairs]
    return (
        f"{what:<22} {ours:9,.0f} µs/image   usual loop {usual:9,.0f}   "
        f"ratio {statistics.median(ratios):5.2f} (lowest {min(ratios):5.2f}, n = {len(pairs)})"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks/training.py", description=__doc__)
    add = parser.add_argument
    add("--config", default="configs/config.yaml", help="YAML file")
    add("--profile", default="full", help="quick, standard or full")
    add("--data", help="source of the images; the configuration's without it")
    add("--precision", help="auto, fp32 or bf16; the configuration's without it")
    add("--threads", type=int, default=2, help="of the CPU")
    add("--steps", type=int, default=6, help="timed batches of each training run")
    add("--rounds", type=int, default=5, help="repetitions")
    options = parser.parse_args(arguments)
    given = {"data.source": options.data, "compute.precision": options.precision}
    given |= {"compute.threads": options.threads}
    try:
        if min(options.steps, options.rounds) < 1:
            raise UserError("--steps and --rounds must be at least 1")
        values = {key: value for key, value in given.items() if value}
        config = load_config(options.config, options.profile, values)
        dataset = load_dataset(config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    runtime = Runtime.of(config)
    device = runtime.describe()["device"]
    print(f"{device}, {runtime.precision}, {torch.get_num_threads()} threads")
    for blocks in sorted(set(config.grid.blocks_per_stage)):
        for verb, train in (("training", True), ("evaluation", False)):
            pairs = compare(config, dataset, blocks, train, options.steps, options.rounds)
            print(line(f"{verb}, {blocks} blocks", pairs), flush=True)
    return 0


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
