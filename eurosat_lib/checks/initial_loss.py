"""The loss of the untrained network, against ln K, and the gradient of every tensor."""

from __future__ import annotations

import math
import statistics
from typing import ClassVar

import torch
from torch.nn import functional as F

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.model import build_model
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime, set_seed

LIMIT_SD = 3.0  # the configured seed may lie this many standard deviations from the mean
# The mean over seeds may lie this far from ln K, in nats: logits of standard deviation s raise the
# expected loss by about s^2 / 2 (second-order expansion of log-sum-exp), so 0.1 allows s = 0.45.
LIMIT_BIAS = 0.1


class LayerGradient(Record):
    """Gradient of one tensor after the first backward pass."""

    name: str
    norm: float  # L2
    values: int


class InitialLoss(Record):
    """First batch through the untrained network, for the configured seed and others."""

    stage: ClassVar[str] = "check_initial_loss"

    batch_shape: tuple[int, ...]
    batch_dtype: str
    labels_shape: tuple[int, ...]
    logits_shape: tuple[int, ...]
    classes: int
    loss: float  # nats
    grad_norm: float
    gradients: tuple[LayerGradient, ...]
    losses: tuple[float, ...]  # one per initialisation, seeds 0, 1, 2 …

    @property
    def theory(self) -> float:
        """Loss of a network that gives every class the same probability: ln K, in nats."""
        return math.log(self.classes)

    @property
    def coherent(self) -> bool:
        """Tell whether the initialisations agree with ln K, and this one with the others."""
        return self.unbiased and abs(self.loss - self.mean) <= LIMIT_SD * self.sd

    @property
    def unbiased(self) -> bool:
        """Tell whether the mean over initialisations lies within ``LIMIT_BIAS`` of ln K."""
        return abs(self.mean - self.theory) <= LIMIT_BIAS

    @property
    def mean(self) -> float:
        """Mean loss over the initialisations, in nats."""
        return statistics.fmean(self.losses)

    @property
    def sd(self) -> float:
        """Standard deviation of the loss over the initialisations, in nats."""
        return statistics.stdev(self.losses)

    def facts(self) -> dict:
        """Return the fields, without the table of gradients, and what follows from them."""
        return self.model_dump(mode="json", exclude={"gradients", "losses"}) | {
            "theory": self.theory,
            "gap": self.loss - self.theory,
            "coherent": self.coherent,
            "n_seeds": len(self.losses),
            "mean": self.mean,
            "sd": self.sd,
            "unbiased": self.unbiased,
            "limit_sd": LIMIT_SD,
            "limit_bias": LIMIT_BIAS,
            "reached": sum(g.norm > 0 and math.isfinite(g.norm) for g in self.gradients),
            "tensors": len(self.gradients),
        }


def check_initial_loss(config: Config, dataset: EuroSAT) -> InitialLoss:
    """Send the first training batch through untrained networks.

    The batch is that of epoch 0 under ``config.seed``, augmented as for training; the network is
    in training mode, as at the first step.
    """
    runtime = Runtime.of(config)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True)
    images, labels = next(iter(loader.epoch(0)))

    def first_loss(seed: int) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
        set_seed(seed)
        model = runtime.place(build_model(config)).train()
        with runtime.autocast():
            logits = model(images)
        return model, logits, F.cross_entropy(logits.float(), labels)

    model, logits, loss = first_loss(config.seed)
    loss.backward()
    gradients = [(name, p.grad) for name, p in model.named_parameters()]
    with torch.no_grad():
        losses = tuple(float(first_loss(seed)[2]) for seed in range(config.initial_loss.n_seeds))
    return InitialLoss(
        batch_shape=tuple(images.shape),
        batch_dtype=str(images.dtype).removeprefix("torch."),
        labels_shape=tuple(labels.shape),
        logits_shape=tuple(logits.shape),
        classes=len(dataset.classes),
        loss=float(loss.detach()),
        grad_norm=float(torch.nn.utils.get_total_norm([g for _, g in gradients])),
        gradients=tuple(
            LayerGradient(name=name, norm=float(g.norm()), values=g.numel())
            for name, g in gradients
        ),
        losses=losses,
    )
