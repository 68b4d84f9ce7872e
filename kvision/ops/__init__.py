"""Pure functions of tensors, on any Keras backend."""

from kvision.ops.activations import scaled_tanh
from kvision.ops.masks import VOID, centre_crop
from kvision.ops.warp import distort_radius, resample, undistort_radius

__all__ = ["VOID", "centre_crop", "distort_radius", "resample", "scaled_tanh", "undistort_radius"]
