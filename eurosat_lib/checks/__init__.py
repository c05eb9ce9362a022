"""Checks of the network before any real training."""

from eurosat_lib.checks.architecture import Architecture, test_model
from eurosat_lib.checks.initial_loss import InitialLoss, check_initial_loss
from eurosat_lib.checks.overfit import Overfit, overfit_small

__all__ = [
    "Architecture",
    "InitialLoss",
    "Overfit",
    "check_initial_loss",
    "overfit_small",
    "test_model",
]
