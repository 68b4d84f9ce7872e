"""Protocols over a model and a data set, both of which come in as arguments."""

from kvision.evaluation.boundaries import boundary_scores
from kvision.evaluation.classification import evaluate_classifier, wilson_interval
from kvision.evaluation.crf import crf_refine
from kvision.evaluation.detection import evaluate_detector
from kvision.evaluation.detection_callback import DetectionScores
from kvision.evaluation.edges import edge_scores, evaluate_edges
from kvision.evaluation.protocols import dense_evaluation, multi_crop_evaluation
from kvision.evaluation.rand import foreground_rand_score
from kvision.evaluation.segmentation import evaluate_segmenter, segmentation_scores
from kvision.evaluation.tiles import tiled_prediction

__all__ = [
    "DetectionScores",
    "boundary_scores",
    "crf_refine",
    "dense_evaluation",
    "edge_scores",
    "evaluate_classifier",
    "evaluate_detector",
    "evaluate_edges",
    "evaluate_segmenter",
    "foreground_rand_score",
    "multi_crop_evaluation",
    "segmentation_scores",
    "tiled_prediction",
    "wilson_interval",
]
