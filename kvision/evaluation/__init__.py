"""Protocols over a model and a data set, both of which come in as arguments."""

from kvision.evaluation.classification import evaluate_classifier, wilson_interval
from kvision.evaluation.protocols import dense_evaluation, multi_crop_evaluation

__all__ = [
    "dense_evaluation",
    "evaluate_classifier",
    "multi_crop_evaluation",
    "wilson_interval",
]
