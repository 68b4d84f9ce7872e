"""Pictures for people. Each function returns a matplotlib `Figure`; none opens a window."""

from kvision.visualize.classification import confusion_matrix, predictions
from kvision.visualize.curves import error_curves, learning_curves
from kvision.visualize.filters import filters
from kvision.visualize.heatmaps import heatmaps

__all__ = [
    "confusion_matrix",
    "error_curves",
    "filters",
    "heatmaps",
    "learning_curves",
    "predictions",
]
