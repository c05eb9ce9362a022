"""Checks of the network before any real training."""

from eurosat_lib.checks.architecture import Architecture, test_model
from eurosat_lib.checks.initial_loss import InitialLoss, check_initial_loss
from eurosat_lib.checks.overfit import Overfit, overfit_small
from eurosat_lib.checks.sanity import Sanity, check_training
from eurosat_lib.checks.shuffled import Pair, ShuffledLabels, learn_shuffled_labels
from eurosat_lib.checks.summary import Summary, summarise_checks

__all__ = [
    "Architecture",
    "InitialLoss",
    "Overfit",
    "Pair",
    "Sanity",
    "ShuffledLabels",
    "Summary",
    "check_initial_loss",
    "check_training",
    "learn_shuffled_labels",
    "overfit_small",
    "summarise_checks",
    "test_model",
]
