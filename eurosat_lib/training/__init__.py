"""Train one network: steps, records, checkpoints, the loop."""

from eurosat_lib.training.fit import Plan, fit
from eurosat_lib.training.records import EpochRecord, Fit, Hyperparameters
from eurosat_lib.training.steps import (
    Divergence,
    TrainStep,
    evaluate,
    make_optimizer,
    predict,
    set_lr,
    train_epoch,
)

__all__ = [
    "Divergence",
    "EpochRecord",
    "Fit",
    "Hyperparameters",
    "Plan",
    "TrainStep",
    "evaluate",
    "fit",
    "make_optimizer",
    "predict",
    "set_lr",
    "train_epoch",
]
