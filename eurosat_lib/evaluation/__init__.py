"""Evaluation on the test split: scores, intervals, calibration, errors, robustness."""

from eurosat_lib.evaluation.checkpoint import evaluate_checkpoint, load_model, open_checkpoint
from eurosat_lib.evaluation.errors import ErrorCase, Errors, analyse
from eurosat_lib.evaluation.gradcam import Explanation, Explanations, explain
from eurosat_lib.evaluation.intervals import mcnemar, newcombe, paired_difference, wilson
from eurosat_lib.evaluation.predictions import Predictions
from eurosat_lib.evaluation.repeats import FinalistScore, FinalistsOnTest, Seeds, discordant
from eurosat_lib.evaluation.result import Evaluation
from eurosat_lib.evaluation.robustness import Robustness, measure
from eurosat_lib.evaluation.scores import ClassScore, class_scores

__all__ = [
    "ClassScore",
    "ErrorCase",
    "Errors",
    "Evaluation",
    "Explanation",
    "Explanations",
    "FinalistScore",
    "FinalistsOnTest",
    "Predictions",
    "Robustness",
    "Seeds",
    "analyse",
    "class_scores",
    "discordant",
    "evaluate_checkpoint",
    "explain",
    "load_model",
    "mcnemar",
    "measure",
    "newcombe",
    "open_checkpoint",
    "paired_difference",
    "wilson",
]
