"""Train one network: steps, records, checkpoints, the loop."""

from eurosat_lib.training.fit import Plan, fit
from eurosat_lib.training.records import EpochRecord, Fit, Hyperparameters
from eurosat_lib.training.steps import (
    Divergence,
    evaluate,
    make_optimizer,
    predict,
    train_epoch,
    train_step,
)

__all__ = [
    "Divergence",
    "EpochRecord",
    "Fit",
    "Hyperparameters",
    "Plan",
    "evaluate",
    "fit",
    "make_optimizer",
    "predict",
    "train_epoch",
    "train_step",
]
