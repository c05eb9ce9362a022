"""Give back a network, its optimiser and the random generators as they were, to the bit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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

    Values come back to the tensors they were in, so that a step recorded before stays good.

    Args:
        model: may be trained inside, at any learning rate.
        optimizer: of its parameters; its moments, steps and learning rates come back too.
    """
    weights = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]
    moments = {p: {k: _copy(v) for k, v in s.items()} for p, s in optimizer.state.items()}
    groups = [{k: _copy(v) for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    with kept_random_state():
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in weights:
                    tensor.copy_(value)
                _restore_optimizer(optimizer, moments, groups)
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.grad = gradient
            for module, mode in zip(model.modules(), modes, strict=True):
                module.training = mode


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, moments: Mapping, groups: Sequence[Mapping]
) -> None:
    for parameter in [p for p in optimizer.state if p not in moments]:
        del optimizer.state[parameter]  # made inside
    for parameter, values in moments.items():
        _put(optimizer.state[parameter], values)
    for group, values in zip(optimizer.param_groups, groups, strict=True):
        _put(group, values)


def _put(place: dict, values: Mapping) -> None:
    for name, value in values.items():
        if torch.is_tensor(place.get(name)):
            place[name].copy_(value)
        else:
            place[name] = value


def _copy(value: Any) -> Any:
    return value.detach().clone() if torch.is_tensor(value) else value
