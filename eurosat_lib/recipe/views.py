"""Predictions averaged over the symmetries of the square."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.evaluation import Evaluation, evaluate_checkpoint
from eurosat_lib.recipe.augment import symmetric_views


class SymmetricAverage(nn.Module):
    """A network that looks at each image in its 8 symmetries and averages the logits."""

    def __init__(self, model: nn.Module) -> None:
        """Wrap a network."""
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return mean logits float32 (B, K) of images (B, 3, S, S)."""
        views = (v.contiguous(memory_format=torch.channels_last) for v in symmetric_views(images))
        return torch.stack([self.model(view).float() for view in views]).mean(0)


def evaluate_views(
    config: Config, dataset: EuroSAT, path: Path, digest: str, folder: Path | None = None
) -> Evaluation:
    """Score a checkpoint as :func:`evaluate_checkpoint` does, each image seen in 8 symmetries."""
    return evaluate_checkpoint(config, dataset, path, digest, folder, see=SymmetricAverage)
