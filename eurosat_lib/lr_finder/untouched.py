"""Give back a network, its optimiser and the random generators as they were, to the bit."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Restore the generators of Python, NumPy and PyTorch (all devices) at the end."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def untouched(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Restore weights, buffers, gradients, modes, optimiser and generators at the end.

    Args:
        model: may be trained inside, at any learning rate.
        optimizer: of its parameters; its moments, steps and learning rates come back too.
    """
    weights = copy.deepcopy(model.state_dict())
    moments = copy.deepcopy(optimizer.state_dict())
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    with kept_random_state():
        try:
            yield
        finally:
            model.load_state_dict(weights)
            optimizer.load_state_dict(moments)
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.grad = gradient
            for module, mode in zip(model.modules(), modes, strict=True):
                module.training = mode
