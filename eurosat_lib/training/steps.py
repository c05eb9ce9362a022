"""One optimisation step, one epoch, one evaluation: the path shared by every training here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib.runtime import Runtime

Batches = Iterable[tuple[Tensor, Tensor]]


class Divergence(Exception):
    """The training loss stopped being finite."""

    def __init__(self, step: int, lr: float) -> None:
        """Say at which step, counted from 1 within its epoch, and learning rate."""
        super().__init__(f"loss not finite at step {step} of the epoch, learning rate {lr:g}")


@dataclass(frozen=True)
class EpochMeans:
    """Means over the images of an epoch: each image counts once, whatever its batch."""

    loss: float  # nats
    accuracy: float  # in [0, 1]
    grad_norm: float  # mean over steps of the gradient's L2 norm; 0 in evaluation
    steps: int
    images: int


def make_optimizer(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Adam:
    """Build the protocol's optimiser: Adam, its weight decay added to the gradient."""
    return torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    runtime: Runtime,
) -> tuple[Tensor, Tensor, Tensor]:
    """Do one forward, backward and update.

    Args:
        model: in training mode.
        optimizer: of its parameters.
        images: float32 (B, 3, S, S), normalised.
        labels: int64 (B,).
        runtime: device and precision.

    Returns:
        loss (), float32, before the update; number of right answers (), int64; gradient norm ().
        All stay on the device.
    """
    with runtime.autocast():
        logits = model(images)
    loss = F.cross_entropy(logits.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
    optimizer.step()
    return loss.detach(), (logits.detach().argmax(1) == labels).sum(), norm


def train_epoch(
    model: nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    runtime: Runtime,
    on_batch: Callable[[int], None] = lambda images: None,
    max_steps: int | None = None,
) -> EpochMeans:
    """Train for one pass over the batches, or ``max_steps`` of them.

    Args:
        model: trained in place.
        batches: normalised images and labels, on the device.
        optimizer: of its parameters.
        runtime: device and precision.
        on_batch: called after each step with the number of its images.
        max_steps: stop after this many steps.

    Raises:
        Divergence: a loss was not finite.
    """
    model.train()
    losses, rights, norms, sizes = [], [], [], []
    for images, labels in batches:
        loss, right, norm = train_step(model, optimizer, images, labels, runtime)
        losses.append(loss)
        rights.append(right)
        norms.append(norm)
        sizes.append(len(labels))
        on_batch(len(labels))
        if max_steps is not None and len(sizes) >= max_steps:
            break
    lr = optimizer.param_groups[0]["lr"]
    return _means(torch.stack(losses), torch.stack(rights), torch.stack(norms), sizes, lr)


def _means(
    losses: Tensor, rights: Tensor, norms: Tensor, sizes: list[int], lr: float
) -> EpochMeans:
    losses = losses.double().cpu()  # the only wait for the device in the epoch
    if not losses.isfinite().all():
        raise Divergence(int((~losses.isfinite()).nonzero()[0, 0]) + 1, lr)
    total = sum(sizes)
    weights = torch.tensor(sizes, dtype=torch.float64) / total
    return EpochMeans(
        loss=float((losses * weights).sum()),
        accuracy=int(rights.sum()) / total,
        grad_norm=float(norms.mean()),
        steps=len(sizes),
        images=total,
    )


def predict(model: nn.Module, batches: Batches, runtime: Runtime) -> tuple[Tensor, Tensor]:
    """Run the network over all batches.

    Returns:
        logits float32 (N, K) and labels int64 (N,), on the CPU.
    """
    model.eval()
    logits, truth = [], []
    with torch.inference_mode():
        for images, labels in batches:
            with runtime.autocast():
                logits.append(model(images).float())
            truth.append(labels)
    return torch.cat(logits).cpu(), torch.cat(truth).cpu()


def evaluate(model: nn.Module, batches: Batches, runtime: Runtime) -> EpochMeans:
    """Measure mean loss and accuracy over all images of the batches."""
    logits, labels = predict(model, batches, runtime)
    return EpochMeans(
        loss=float(F.cross_entropy(logits.double(), labels)),
        accuracy=float((logits.argmax(1) == labels).double().mean()),
        grad_norm=0.0,
        steps=0,
        images=len(labels),
    )
