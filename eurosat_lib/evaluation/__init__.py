"""Evaluation on the test split: scores, intervals, predictions."""

from eurosat_lib.evaluation.checkpoint import (
    Evaluation,
    Prediction,
    evaluate_checkpoint,
    load_model,
)
from eurosat_lib.evaluation.intervals import newcombe, wilson
from eurosat_lib.evaluation.scores import ClassScore, class_scores

__all__ = [
    "ClassScore",
    "Evaluation",
    "Prediction",
    "class_scores",
    "evaluate_checkpoint",
    "load_model",
    "newcombe",
    "wilson",
]
