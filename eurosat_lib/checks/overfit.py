"""A network that cannot learn 32 images by heart cannot learn anything."""

from __future__ import annotations

from typing import ClassVar

from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.errors import UserError
from eurosat_lib.model import build_model, count_parameters
from eurosat_lib.progress import progress
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.training.steps import Divergence, TrainStep, make_optimizer, train_epoch


class Overfit(Record):
    """Training loss and accuracy of each epoch over the same few images."""

    stage: ClassVar[str] = "overfit_small"

    size: int  # images
    lr: float
    weight_decay: float
    blocks_per_stage: int
    dilation_stage3: int
    parameters: int
    target_loss: float
    max_epochs: int
    losses: tuple[float, ...]  # nats, before the epoch's last update
    accuracies: tuple[float, ...]

    @property
    def reached(self) -> bool:
        """Tell whether the loss fell below the target."""
        return self.losses[-1] < self.target_loss

    def facts(self) -> dict:
        """Return the fields, the curve reduced to its ends."""
        return self.model_dump(exclude={"losses", "accuracies"}) | {
            "epochs": len(self.losses),
            "first_loss": self.losses[0],
            "last_loss": self.losses[-1],
            "first_accuracy": self.accuracies[0],
            "last_accuracy": self.accuracies[-1],
            "reached": self.reached,
        }


def overfit_small(config: Config, dataset: EuroSAT) -> Overfit:
    """Train on a few images of the train split, without augmentation, until they are known.

    Raises:
        UserError: the loss stopped being finite.
    """
    settings, runtime = config.overfit, Runtime.of(config)
    set_seed(config.seed)
    model = runtime.place(build_model(config))
    optimizer = make_optimizer(model, settings.lr, settings.weight_decay)
    step = TrainStep(model, optimizer, runtime)
    loader = make_loader(config, dataset.train, settings.size)  # fixed images, fixed order
    batches = list(loader.epoch(0))
    losses, accuracies = [], []
    with progress("Overfit", total=settings.epochs, unit="epoch") as bar:
        for _ in range(settings.epochs):
            try:
                means = train_epoch(step, batches)
            except Divergence as error:
                raise UserError(f"overfit_small diverged ({error}); lower overfit.lr") from None
            losses.append(means.loss)
            accuracies.append(means.accuracy)
            bar.advance(note=f"loss {means.loss:.4f}")
            if means.loss < settings.target_loss:
                break
    return Overfit(
        **settings.model_dump(include={"size", "lr", "weight_decay", "target_loss"}),
        max_epochs=settings.epochs,
        blocks_per_stage=config.model.blocks_per_stage,
        dilation_stage3=config.model.dilation_stage3,
        parameters=count_parameters(model),
        losses=tuple(losses),
        accuracies=tuple(accuracies),
    )
