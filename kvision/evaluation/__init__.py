"""Protocols over a model and a data set, both of which come in as arguments."""

from kvision.evaluation.boundaries import boundary_scores
from kvision.evaluation.classification import evaluate_classifier, wilson_interval
from kvision.evaluation.protocols import dense_evaluation, multi_crop_evaluation
from kvision.evaluation.rand import foreground_rand_score
from kvision.evaluation.segmentation import evaluate_segmenter, segmentation_scores

__all__ = [
    "boundary_scores",
    "dense_evaluation",
    "evaluate_classifier",
    "evaluate_segmenter",
    "foreground_rand_score",
    "multi_crop_evaluation",
    "segmentation_scores",
    "wilson_interval",
]
