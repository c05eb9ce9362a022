"""The optimisation steps that both protocols share: one rate per step, nothing left behind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import BatchLoader, make_loader
from eurosat_lib.lr_finder.untouched import untouched
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.training.steps import TrainStep, make_optimizer, set_lr


def fresh(
    config: Config, dataset: EuroSAT, seed: int
) -> tuple[nn.Module, torch.optim.Optimizer, BatchLoader]:
    """Make the network, optimiser and training batches of a seed; seeds the generators."""
    set_seed(seed)
    model = Runtime.of(config).place(build_model(config)).train()
    settings = config.lr_finder
    optimizer = make_optimizer(model, settings.min_lr, settings.weight_decay)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True, seed=seed)
    return model, optimizer, loader


def losses_at(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: BatchLoader,
    rates: Iterable[float],
    runtime: Runtime,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[float]:
    """Train one step per rate and yield each loss, in nats, before its update.

    Stops after the first loss that is not finite. When the iteration ends, or is closed, the
    network, its optimiser, the generators and the loader are as they were, to the bit.
    """
    with untouched(model, optimizer):
        step = TrainStep(model.train(), optimizer, runtime)
        for lr, (images, labels) in zip(rates, _endless(loader), strict=False):
            set_lr(optimizer, float(lr))
            loss = float(step(images, labels)[0])
            on_step()
            yield loss
            if not math.isfinite(loss):
                return


def _endless(loader: BatchLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of epochs 0, 1, …; the loader's own count of epochs stays."""
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1
