"""Pictures for people. Each function returns a matplotlib `Figure`; none opens a window."""

from kvision.visualize.boxes import class_colors, draw_boxes
from kvision.visualize.classification import confusion_matrix, predictions
from kvision.visualize.curves import error_curves, learning_curves
from kvision.visualize.detection import detection_errors, per_class_ap, precision_recall
from kvision.visualize.detection_gallery import detections
from kvision.visualize.edges import edge_curve
from kvision.visualize.filters import filters
from kvision.visualize.heatmaps import heatmaps
from kvision.visualize.mask_colors import overlay, palette
from kvision.visualize.segmentation import (
    compared_segmentations,
    edges,
    overlays,
    per_class_iou,
    segmentations,
)

__all__ = [
    "class_colors",
    "compared_segmentations",
    "confusion_matrix",
    "detection_errors",
    "detections",
    "draw_boxes",
    "edge_curve",
    "edges",
    "error_curves",
    "filters",
    "heatmaps",
    "learning_curves",
    "overlay",
    "overlays",
    "palette",
    "per_class_ap",
    "per_class_iou",
    "precision_recall",
    "predictions",
    "segmentations",
]
