"""Time the training path against the usual loop, pairwise, on this machine: ``make bench``."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from eurosat_lib.config import Config, load_config
from eurosat_lib.data import Split, load_dataset
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.errors import UserError
from eurosat_lib.model import build_model, layer_table
from eurosat_lib.runtime import Runtime, describe_device, describe_environment, set_seed
from eurosat_lib.stages.files import write_json
from eurosat_lib.training.steps import evaluate, make_optimizer, train_epoch

WARM_UP = 2  # batches before the clock starts
MATRIX = 2048  # side of the matrices of the peak measurement
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
    optimizer = make_optimizer(model, LR, 0.0)
    loader = make_loader(config, split, (WARM_UP + steps) * config.data.batch_size, augment=train)

    def run(batches: Iterator[tuple[Tensor, Tensor]]) -> int:
        if train:
            return train_epoch(model, batches, optimizer, runtime).images
        return evaluate(model, batches, runtime).images

    run(batch for _, batch in zip(range(WARM_UP), loader.epoch(0), strict=False))
    start = time.perf_counter()
    images = run(batch for _, batch in zip(range(steps), loader.epoch(1), strict=False))
    return (time.perf_counter() - start) / images


def peak_flops(config: Config) -> float:
    """Measure the machine's matrix product, in the precision of the training: operations/s."""
    runtime = Runtime.of(config)
    dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    a = torch.randn(MATRIX, MATRIX, device=runtime.device, dtype=dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        float((a @ a)[0, 0])  # waits for the device
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / statistics.median(times[1:])


def measure(config: Config, steps: int, rounds: int) -> dict[str, Any]:
    """Run all comparisons; within a round the two loops follow each other.

    Args:
        config: network, batch size, device.
        steps: timed batches of each run.
        rounds: repetitions, over which medians are taken.

    Returns:
        Machine, versions, and one row per comparison: microseconds per image (medians), their
        ratio, and our share of the machine's matrix-product peak.
    """
    dataset, runtime, peak = load_dataset(config), Runtime.of(config), peak_flops(config)
    size, rows = config.data.image_size, []
    for blocks in sorted(set(config.grid.blocks_per_stage)):
        macs = sum(row.macs for row in layer_table(build_model(config, blocks), (3, size, size)))
        for train in (True, False):
            pairs = [
                (
                    usual_seconds(config, dataset.train, blocks, steps, train),
                    our_seconds(config, dataset.train, blocks, steps, train),
                )
                for _ in range(rounds)
            ]
            usual, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
            flops = 2 * macs * (3 if train else 1)
            row = {
                "what": "train" if train else "evaluate",
                "blocks": blocks,
                "usual_us": usual * 1e6,
                "ours_us": ours * 1e6,
                "speedup": statistics.median(a / b for a, b in pairs),
                "peak_share": flops / ours / peak,
            }
            rows.append(row)
            print(format_row(row), flush=True)
    return {
        "device": describe_device(runtime),
        "precision": runtime.precision,
        "environment": describe_environment(),
        "profile": config.profile,
        "batch_size": config.data.batch_size,
        "steps": steps,
        "rounds": rounds,
        "peak_gflops": peak / 1e9,
        "rows": rows,
    }


def format_row(row: dict[str, Any]) -> str:
    """Write one comparison as a line of the console's table."""
    return (
        f"{row['what']:<9} {row['blocks']} blocks   usual {row['usual_us']:9.1f} us/image   "
        f"ours {row['ours_us']:9.1f} us/image   x {row['speedup']:5.2f}   "
        f"{row['peak_share']:6.1%} of the matmul peak"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark, write ``artifacts/bench.json``; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.bench", description=__doc__)
    parser.add_argument("--config", default="configs/config.yaml", help="YAML file")
    parser.add_argument("--profile", default="full", help="quick or full")
    parser.add_argument("--data", default="synthetic", help="source of the images")
    parser.add_argument("--steps", type=int, default=6, help="timed batches of each run")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions")
    options = parser.parse_args(arguments)
    try:
        if min(options.steps, options.rounds) < 1:
            raise UserError("--steps and --rounds must be at least 1")
        config = load_config(options.config, options.profile, {"data.source": options.data})
        result = measure(config, options.steps, options.rounds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    path = config.paths.artifacts / "bench.json"
    write_json(path, result)
    print(f"{result['device']}, {result['precision']}, medians of {options.rounds}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
