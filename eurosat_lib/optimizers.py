"""The optimisers of a configuration, and the learning rate over a training."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eurosat_lib.schema import Train

# Adam's part beside Muon, for all that is no kernel, as in Muon's report (Jordan et al., 2024).
BESIDE_MUON = {"betas": (0.9, 0.95)}


def rate_factor(schedule: str, warmup: float, done: int, total: int) -> float:
    """Return what the highest learning rate is multiplied by after ``done`` of ``total`` steps.

    In [0, 1]: rises linearly in the warm-up (a share of all steps), then stays (constant), falls
    in half a cosine (Loshchilov and Hutter, 2017) or linearly, to zero after the last step.
    """
    rising = warmup * total
    if done < rising:
        return (done + 1) / (math.floor(rising) + 1)
    share = (done - rising) / max(1.0, total - rising)
    if schedule == "constant":
        return 1.0
    return 1 - share if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * share))


def make_optimizer(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Adam:
    """Build the protocol's optimiser: Adam, its weight decay added to the gradient."""
    return torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Change the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class ScheduledOptimizer:
    """The optimiser of a configuration and its schedule; with Muon two that are one to the user.

    Muon takes the kernels of all convolutions but the first, which sees colours, as matrices.
    """

    def __init__(self, model: nn.Module, settings: Train, total_steps: int) -> None:
        """Sort the parameters: kernels for Muon, the decayed and the others for the rest.

        Raises:
            ValueError: the kernels that Muon is to update are not in channels-last memory.
        """
        self.settings, self.total, self.done = settings, total_steps, 0
        convolutions = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
        self.kernels = convolutions[1:] if settings.optimizer == "muon" else []
        self.matrices = [nn.Parameter(_matrix(kernel.data)) for kernel in self.kernels]
        pairs = zip(self.kernels, self.matrices, strict=True)
        if any(kernel.data_ptr() != matrix.data_ptr() for kernel, matrix in pairs):
            raise ValueError("Muon's kernels must lie channels last: it updates views of them")
        taken = {id(kernel) for kernel in self.kernels}
        rest = [p for p in model.parameters() if id(p) not in taken]
        self.all = [_elementwise(rest, settings)]
        if self.kernels:  # updates as large as AdamW's (arXiv:2502.16982): one rate serves both
            self.all.append(
                torch.optim.Muon(
                    self.matrices,
                    lr=settings.lr,
                    weight_decay=settings.weight_decay,
                    momentum=settings.momentum,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    @property
    def lr(self) -> float:
        """Learning rate of the step before the next one."""
        own, done = self.settings, max(0, self.done - 1)
        return own.lr * rate_factor(own.schedule, own.warmup, done, self.total)

    def step(self) -> None:
        """Update all parameters from their gradients, at the rate of the schedule."""
        self.done += 1
        for kernel, matrix in zip(self.kernels, self.matrices, strict=True):
            matrix.grad = _matrix(kernel.grad)
        for optimizer in self.all:
            set_lr(optimizer, self.lr)
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, those of the kernels too."""
        for optimizer in self.all:
            optimizer.zero_grad(set_to_none=set_to_none)
        for kernel in self.kernels:
            kernel.grad = None

    def state(self) -> list[dict[str, Any]]:
        """Return the moments of each optimiser."""
        return [optimizer.state_dict()["state"] for optimizer in self.all]

    def restore(self, states: list[Mapping[str, Any]], done: int) -> None:
        """Take moments back, after so many steps.

        Raises:
            ValueError: they are those of another network or optimiser.
        """
        for optimizer, state in zip(self.all, states, strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            shapes = [p.shape for p in parameters]
            found = [next(m.shape for m in s.values() if m.ndim) for s in state.values()]
            if sorted(map(tuple, found)) != sorted(tuple(s) for s in shapes):
                raise ValueError("its optimiser is that of another network")
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        self.done = done


def _elementwise(parameters: list[nn.Parameter], own: Train) -> torch.optim.Optimizer:
    """Build Adam or AdamW for parameters; biases and BatchNorms decay if ``decay_all``."""
    narrow = own.weight_decay if own.decay_all else 0.0  # biases and BatchNorms
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": own.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": narrow},
    ]
    if own.optimizer == "adam":
        return torch.optim.Adam(groups, lr=own.lr, fused=True)
    extra = BESIDE_MUON if own.optimizer == "muon" else {}
    return torch.optim.AdamW(groups, lr=own.lr, fused=True, **extra)


def _matrix(kernel: Tensor) -> Tensor:
    """See a kernel (O, I, H, W) as a matrix (O, H W I); no copy where it lies channels last."""
    return kernel.permute(0, 2, 3, 1).flatten(1)
