"""One optimisation step, one epoch, one evaluation: the path shared by every training here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib.model import fold_batchnorm
from eurosat_lib.runtime import Runtime
from eurosat_lib.training.graph import GraphedStep

Batches = Iterable[tuple[Tensor, Tensor]]
WATCHED = 64  # losses under watch; a GPU runs fewer steps behind the CPU than that


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
    """Build the protocol's optimiser: Adam, its weight decay added to the gradient.

    On CUDA its learning rate is a tensor, which a recorded step reads anew: see :func:`set_lr`.
    """
    device = next(model.parameters()).device
    cuda = device.type == "cuda"
    rate = torch.tensor(lr, device=device) if cuda else lr
    return torch.optim.Adam(
        model.parameters(), lr=rate, weight_decay=weight_decay, fused=True, capturable=cuda
    )


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Change the learning rate of all parameters."""
    for group in optimizer.param_groups:
        if torch.is_tensor(group["lr"]):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


class TrainStep:
    """One forward, backward and update; on CUDA recorded once, then replayed."""

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, runtime: Runtime
    ) -> None:
        """Take a network, the optimiser of its parameters, device and precision."""
        self.model, self.optimizer, self.runtime = model, optimizer, runtime
        self._graph: GraphedStep | None = None

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Do one step; nothing waits for the device.

        Args:
            images: float32 (B, 3, S, S), normalised; the network is in training mode.
            labels: int64 (B,).

        Returns:
            float32 (3,), on the device: loss before the update, in nats; number of right answers;
            L2 norm of the gradient.
        """
        if images.device.type != "cuda":
            return self._step(images, labels)
        if self._graph is None:
            self._graph = GraphedStep(self._step, self.model, self.optimizer, images, labels)
        step = self._graph if self._graph.fits(images) else self._step  # the odd last batch
        return step(images, labels)

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        with self.runtime.autocast():
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters()])
        self.optimizer.step()
        right = (logits.detach().argmax(1) == labels).sum()
        return torch.stack([loss.detach(), right.float(), norm])


def train_epoch(
    step: TrainStep,
    batches: Batches,
    on_batch: Callable[[int], None] = lambda images: None,
    max_steps: int | None = None,
) -> EpochMeans:
    """Train for one pass over the batches, or ``max_steps`` of them.

    Args:
        step: of the network, which is trained in place.
        batches: normalised images and labels, on the device.
        on_batch: called after each step with the number of its images.
        max_steps: stop after this many steps.

    Raises:
        Divergence: a loss was not finite; on a GPU it is seen a few steps late.
    """
    step.model.train()
    measures, sizes, watch = [], [], _Watch(step.runtime.device)
    for images, labels in islice(batches, max_steps):
        measures.append(step(images, labels))
        sizes.append(len(labels))
        on_batch(len(labels))
        if watch.broken(measures[-1]):
            break
    return _means(torch.stack(measures).double().cpu(), sizes, step.lr)


class _Watch:
    """Look at the loss of each step without waiting for the device."""

    def __init__(self, device: torch.device) -> None:
        self.losses = torch.zeros(WATCHED, pin_memory=device.type == "cuda")
        self.steps = 0

    def broken(self, measures: Tensor) -> bool:
        """Ask for a step's loss; tell whether one of those that have come is not finite."""
        self.losses[self.steps % WATCHED].copy_(measures[0], non_blocking=True)
        self.steps += 1
        return not self.losses.isfinite().all()


def _means(measures: Tensor, sizes: list[int], lr: float) -> EpochMeans:
    losses, rights, norms = measures.unbind(1)  # each (steps,), float64
    if not losses.isfinite().all():
        raise Divergence(int((~losses.isfinite()).nonzero()[0, 0]) + 1, lr)
    total = sum(sizes)
    weights = torch.tensor(sizes, dtype=torch.float64) / total
    return EpochMeans(
        loss=float((losses * weights).sum()),
        accuracy=float(rights.sum()) / total,
        grad_norm=float(norms.mean()),
        steps=len(sizes),
        images=total,
    )


def predict(model: nn.Module, batches: Batches, runtime: Runtime) -> tuple[Tensor, Tensor]:
    """Run the network over all batches, its BatchNorms folded into the convolutions.

    Returns:
        logits float32 (N, K) and labels int64 (N,), on the CPU.
    """
    model.eval()
    folded = runtime.place(fold_batchnorm(model))
    logits, truth = [], []
    with torch.inference_mode():
        for images, labels in batches:
            with runtime.autocast():
                logits.append(folded(images).float())
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
