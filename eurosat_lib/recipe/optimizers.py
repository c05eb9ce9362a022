"""Optimisers of a recipe, and its learning rate over the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eurosat_lib.config.recipes import Optimizer, Schedule
from eurosat_lib.training.steps import set_lr

# Adam's part beside Muon, for all that is no kernel, as in Muon's report (Jordan et al., 2024).
BESIDE_MUON = {"betas": (0.9, 0.95)}


def rate_factor(schedule: Schedule, done: int, total: int) -> float:
    """Return what the highest learning rate is multiplied by at a step.

    Args:
        schedule: its kind and warm-up.
        done: steps done before this one.
        total: steps of the whole training.

    Returns:
        In [0, 1]: rises linearly in the warm-up, then stays (constant), falls in half a cosine
        (Loshchilov and Hutter, 2017) or linearly, to zero after the last step.
    """
    warmup = schedule.warmup * total
    if done < warmup:
        return (done + 1) / (math.floor(warmup) + 1)
    share = (done - warmup) / max(1.0, total - warmup)
    if schedule.kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * share))
    return 1 - share if schedule.kind == "linear" else 1.0


class Optimizers:
    """One or two optimisers that share the parameters of a network, handled as one."""

    def __init__(self, model: nn.Module, settings: Optimizer) -> None:
        """Sort the parameters: kernels for Muon, the decayed and the others for the rest.

        Raises:
            ValueError: the kernels that Muon is to update are not in channels-last memory.
        """
        self.settings = settings
        self.kernels = _kernels(model) if settings.kind == "muon" else []
        taken = {id(kernel) for kernel in self.kernels}
        rest = [p for p in model.parameters() if id(p) not in taken]
        self.all = [_elementwise(rest, settings)]
        if self.kernels:
            self.matrices = [nn.Parameter(_matrix(kernel.data)) for kernel in self.kernels]
            pairs = zip(self.kernels, self.matrices, strict=True)
            if any(kernel.data_ptr() != matrix.data_ptr() for kernel, matrix in pairs):
                raise ValueError("Muon's kernels must lie channels last: it updates views of them")
            self.all.append(_muon(self.matrices, settings))

    def step(self, factor: float) -> None:
        """Update all parameters from their gradients.

        Args:
            factor: multiplies the highest learning rate, in [0, 1].
        """
        if self.kernels:
            for kernel, matrix in zip(self.kernels, self.matrices, strict=True):
                matrix.grad = _matrix(kernel.grad)
        for optimizer in self.all:
            set_lr(optimizer, factor * self.settings.lr)
            optimizer.step()

    def zero_grad(self) -> None:
        """Forget the gradients, those of the kernels too."""
        for optimizer in self.all:
            optimizer.zero_grad(set_to_none=True)
        for kernel in self.kernels:
            kernel.grad = None

    def state(self) -> list[dict[str, Any]]:
        """Return the moments of each optimiser."""
        return [optimizer.state_dict()["state"] for optimizer in self.all]

    def restore(self, states: list[Mapping[str, Any]]) -> None:
        """Take moments back.

        Raises:
            ValueError: they are those of other optimisers.
        """
        for optimizer, state in zip(self.all, states, strict=True):
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def _elementwise(parameters: list[nn.Parameter], settings: Optimizer) -> torch.optim.Optimizer:
    lr, decay = settings.lr, settings.weight_decay
    wide = [p for p in parameters if p.ndim > 1]
    narrow = [p for p in parameters if p.ndim <= 1]  # biases and BatchNorms
    groups = [
        {"params": wide, "weight_decay": decay},
        {"params": narrow, "weight_decay": decay if settings.decay_all else 0.0},
    ]
    match settings.kind:
        case "adam":
            return torch.optim.Adam(groups, lr=lr, fused=True)
        case "sgd":
            return torch.optim.SGD(
                groups, lr=lr, momentum=settings.momentum, nesterov=True, fused=True
            )
        case "muon":
            return torch.optim.AdamW(groups, lr=lr, fused=True, **BESIDE_MUON)
        case _:
            return torch.optim.AdamW(groups, lr=lr, fused=True)


def _muon(matrices: list[nn.Parameter], settings: Optimizer) -> torch.optim.Optimizer:
    """Build Muon with updates of the size of AdamW's, so that one learning rate serves both."""
    return torch.optim.Muon(
        matrices,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
        nesterov=True,
        adjust_lr_fn="match_rms_adamw",
    )


def _kernels(model: nn.Module) -> list[nn.Parameter]:
    """List the kernels that Muon takes: of all convolutions but the first, which sees colours."""
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    return [convolution.weight for convolution in convolutions[1:]]


def _matrix(kernel: Tensor) -> Tensor:
    """See a kernel (O, I, H, W) as a matrix (O, H W I); no copy where it lies channels last."""
    return kernel.permute(0, 2, 3, 1).flatten(1)
