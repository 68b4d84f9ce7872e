"""Keras initializers that `keras.initializers` lacks."""

from kvision.initializers.bilinear_kernel import BilinearKernel
from kvision.initializers.prior_probability import PriorProbability

__all__ = ["BilinearKernel", "PriorProbability"]
