"""Losses that Keras lacks."""

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
]
