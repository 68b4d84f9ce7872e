"""Pictures for people. Each function returns a matplotlib `Figure`; none opens a window."""

from kvision.visualize.classification import confusion_matrix, predictions
from kvision.visualize.curves import learning_curves

__all__ = ["confusion_matrix", "learning_curves", "predictions"]
