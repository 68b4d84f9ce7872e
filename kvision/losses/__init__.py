"""Losses that Keras lacks."""

from kvision.losses.detection import hard_negatives, smooth_l1, softmax_focal
from kvision.losses.segmentation import (
    BalancedBinaryCrossentropy,
    DiceLoss,
    MaskCrossentropy,
    MaskFocalLoss,
    SoftIoULoss,
)

__all__ = [
    "BalancedBinaryCrossentropy",
    "DiceLoss",
    "MaskCrossentropy",
    "MaskFocalLoss",
    "SoftIoULoss",
    "hard_negatives",
    "smooth_l1",
    "softmax_focal",
]
