"""Metrics inside `fit` that Keras lacks."""

from kvision.metrics.boundary import BoundaryF1
from kvision.metrics.segmentation import (
    FrequencyWeightedIoU,
    MeanAccuracy,
    MeanIoU,
    PerClassIoU,
    PixelAccuracy,
)

__all__ = [
    "BoundaryF1",
    "FrequencyWeightedIoU",
    "MeanAccuracy",
    "MeanIoU",
    "PerClassIoU",
    "PixelAccuracy",
]
