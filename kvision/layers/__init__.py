"""Keras layers that `keras.layers` lacks."""

from kvision.layers.grouped_conv2d import GroupedConv2D
from kvision.layers.identity_shortcut import IdentityShortcut
from kvision.layers.local_response_normalization import LocalResponseNormalization
from kvision.layers.partially_connected_conv2d import PartiallyConnectedConv2D
from kvision.layers.radial_basis import RadialBasis
from kvision.layers.random_illumination import RandomIllumination
from kvision.layers.random_lens_distortion import RandomLensDistortion
from kvision.layers.reverse_channels import ReverseChannels
from kvision.layers.trainable_subsampling2d import TrainableSubsampling2D

__all__ = [
    "GroupedConv2D",
    "IdentityShortcut",
    "LocalResponseNormalization",
    "PartiallyConnectedConv2D",
    "RadialBasis",
    "RandomIllumination",
    "RandomLensDistortion",
    "ReverseChannels",
    "TrainableSubsampling2D",
]
