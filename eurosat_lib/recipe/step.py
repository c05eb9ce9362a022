"""One optimisation step of a recipe."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from eurosat_lib.config.recipes import Settings
from eurosat_lib.model import DilatedCNN
from eurosat_lib.recipe.optimizers import Optimizers, rate_factor
from eurosat_lib.runtime import Runtime


class RecipeStep:
    """One forward, backward and update of a recipe."""

    def __init__(
        self, model: DilatedCNN, settings: Settings, runtime: Runtime, total_steps: int
    ) -> None:
        """Take a network on its device, and the steps of the whole training."""
        self.model, self.settings, self.runtime = model, settings, runtime
        self.optimizers = Optimizers(model, settings.optimizer)
        self.total, self.done = total_steps, 0
        self.average = None
        if settings.average:
            mean = get_ema_multi_avg_fn(settings.average)
            self.average = AveragedModel(model, multi_avg_fn=mean, use_buffers=True)

    @property
    def lr(self) -> float:
        """Learning rate of the step before the next one."""
        done = max(0, self.done - 1)
        return self.settings.optimizer.lr * rate_factor(self.settings.schedule, done, self.total)

    @property
    def trained(self) -> DilatedCNN:
        """Network to judge: the averaged one, if the recipe averages."""
        return self.average.module if self.average else self.model

    def __call__(self, images: Tensor, shares: Tensor) -> Tensor:
        """Do one step; nothing waits for the device.

        Args:
            images: float32 (B, 3, S, S), normalised; the network is in training mode.
            shares: float32 (B, K), share of each class.

        Returns:
            float32 (3,), on the device: loss before the update, in nats; number of images whose
            heaviest class was found; L2 norm of the gradient.
        """
        with self.runtime.autocast():
            logits = self.model(images)
        smoothing = self.settings.label_smoothing
        loss = F.cross_entropy(logits.float(), shares, label_smoothing=smoothing)
        self.optimizers.zero_grad()
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters()])
        self.optimizers.step(rate_factor(self.settings.schedule, self.done, self.total))
        self.done += 1
        if self.average:
            self.average.update_parameters(self.model)
        right = (logits.detach().argmax(1) == shares.argmax(1)).sum()
        return torch.stack([loss.detach(), right.float(), norm])
