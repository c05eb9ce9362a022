"""The untrained network: its loss against theory, the signal of every layer, every gradient."""

from __future__ import annotations

import math
import statistics
from typing import ClassVar

import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib.checks.signal import LayerSignal, Seen, summarise, watch
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
CONFIDENCE = 0.99  # level of the tests of a mean against theory
SAME = 1e-9  # nats: losses that differ by less have no spread to test with


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
    excesses: tuple[float, ...]  # nats: half the variance of the logits, of the same
    signals: tuple[LayerSignal, ...]  # layer by layer, over the configured seed and these

    @property
    def theory(self) -> float:
        """Loss of a network that gives every class the same probability: ln K, in nats."""
        return math.log(self.classes)

    @property
    def excess(self) -> float:
        """Mean over the initialisations of s² / 2, with s² the variance of an image's logits.

        To second order the cross-entropy of logits l is ln K + mean(l) - l_label + s² / 2, and
        the middle vanishes on average over random weights.
        """
        return statistics.fmean(self.excesses)

    @property
    def expected(self) -> float:
        """Loss to expect of this network before training: ln K + s² / 2, in nats."""
        return self.theory + self.excess

    @property
    def agrees(self) -> bool:
        """Tell whether the mean loss is compatible with what is expected (t test, 99 %)."""
        gaps = [a - self.theory - b for a, b in zip(self.losses, self.excesses, strict=True)]
        if statistics.stdev(gaps) < SAME:
            return abs(gaps[0]) < SAME
        return bool(stats.ttest_1samp(gaps, 0).pvalue >= 1 - CONFIDENCE)

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
        """Return the fields, without what there is of each layer, and what follows from them."""
        hidden = {"gradients", "losses", "excesses", "signals"}
        ratios = [layer.ratio for layer in self.signals]
        zeros = [layer.zeros for layer in self.signals if layer.zeros is not None]
        return self.model_dump(mode="json", exclude=hidden) | {
            "theory": self.theory,
            "gap": self.loss - self.theory,
            "excess": self.excess,
            "expected": self.expected,
            "agrees": self.agrees,
            "coherent": self.coherent,
            "n_seeds": len(self.losses),
            "mean": self.mean,
            "sd": self.sd,
            "unbiased": self.unbiased,
            "limit_sd": LIMIT_SD,
            "limit_bias": LIMIT_BIAS,
            "reached": sum(g.norm > 0 and math.isfinite(g.norm) for g in self.gradients),
            "tensors": len(self.gradients),
            "signal_low": min(ratios),
            "signal_high": max(ratios),
            "zeros": statistics.fmean(zeros),
            "dead": sum(layer.dead for layer in self.signals),
        }


def check_initial_loss(config: Config, dataset: EuroSAT) -> InitialLoss:
    """Send the first training batch through untrained networks.

    The batch is that of epoch 0 under ``config.seed``, augmented as for training; the network is
    in training mode, as at the first step.
    """
    runtime = Runtime.of(config)
    loader = make_loader(config, dataset.train, config.data.train_limit, augment=True)
    batch = next(iter(loader.epoch(0)))
    model, logits, loss, seen = _first_pass(config, runtime, config.seed, batch)
    loss.backward()
    gradients = [(name, p.grad) for name, p in model.named_parameters()]
    with torch.no_grad():
        others = [
            _first_pass(config, runtime, seed, batch)[1:]
            for seed in range(config.initial_loss.n_seeds)
        ]
    return InitialLoss(
        batch_shape=tuple(batch[0].shape),
        batch_dtype=str(batch[0].dtype).removeprefix("torch."),
        labels_shape=tuple(batch[1].shape),
        logits_shape=tuple(logits.shape),
        classes=len(dataset.classes),
        loss=float(loss.detach()),
        grad_norm=float(torch.nn.utils.get_total_norm([g for _, g in gradients])),
        gradients=tuple(
            LayerGradient(name=name, norm=float(g.norm()), values=g.numel())
            for name, g in gradients
        ),
        losses=tuple(float(one_loss) for _, one_loss, _ in others),
        excesses=tuple(half_variance(one_logits) for one_logits, _, _ in others),
        signals=summarise([seen, *(one_seen for *_, one_seen in others)]),
    )


def _first_pass(
    config: Config, runtime: Runtime, seed: int, batch: tuple[Tensor, Tensor]
) -> tuple[nn.Module, Tensor, Tensor, dict[str, Seen]]:
    """Send a batch through the network that a seed gives."""
    set_seed(seed)
    model = runtime.place(build_model(config)).train()
    with watch(model) as seen, runtime.autocast():
        logits = model(batch[0])
    return model, logits, F.cross_entropy(logits.float(), batch[1]), seen


def half_variance(logits: Tensor) -> float:
    """Return half the variance over classes of logits (B, K), mean over the images, in nats."""
    return float(logits.detach().float().var(1, unbiased=False).mean()) / 2
