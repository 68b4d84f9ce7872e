"""Keras layers that `keras.layers` lacks."""

from kvision.layers.partially_connected_conv2d import PartiallyConnectedConv2D
from kvision.layers.radial_basis import RadialBasis
from kvision.layers.random_illumination import RandomIllumination
from kvision.layers.random_lens_distortion import RandomLensDistortion
from kvision.layers.trainable_subsampling2d import TrainableSubsampling2D

__all__ = [
    "PartiallyConnectedConv2D",
    "RadialBasis",
    "RandomIllumination",
    "RandomLensDistortion",
    "TrainableSubsampling2D",
]
