"""Pure functions of tensors, on any Keras backend."""

from kvision.ops import anchors, boxes, matching, suppression
from kvision.ops.activations import scaled_tanh
from kvision.ops.masks import VOID, centre_crop
from kvision.ops.warp import distort_radius, resample, undistort_radius

__all__ = [
    "VOID",
    "anchors",
    "boxes",
    "centre_crop",
    "distort_radius",
    "matching",
    "resample",
    "scaled_tanh",
    "suppression",
    "undistort_radius",
]
