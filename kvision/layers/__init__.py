"""Keras layers that `keras.layers` lacks."""

from kvision.layers.bilinear_kernel import BilinearKernel
from kvision.layers.crop_like import CropLike
from kvision.layers.fully_connected_crf import FullyConnectedCRF
from kvision.layers.grouped_conv2d import GroupedConv2D
from kvision.layers.identity_shortcut import IdentityShortcut
from kvision.layers.local_response_normalization import LocalResponseNormalization
from kvision.layers.max_pooling_with_switches import MaxPooling2DWithSwitches
from kvision.layers.max_unpooling import MaxUnpooling2D
from kvision.layers.partially_connected_conv2d import PartiallyConnectedConv2D
from kvision.layers.radial_basis import RadialBasis
from kvision.layers.random_elastic_deformation import RandomElasticDeformation
from kvision.layers.random_illumination import RandomIllumination
from kvision.layers.random_lens_distortion import RandomLensDistortion
from kvision.layers.resize_like import ResizeLike
from kvision.layers.reverse_channels import ReverseChannels
from kvision.layers.trainable_subsampling2d import TrainableSubsampling2D

__all__ = [
    "BilinearKernel",
    "CropLike",
    "FullyConnectedCRF",
    "GroupedConv2D",
    "IdentityShortcut",
    "LocalResponseNormalization",
    "MaxPooling2DWithSwitches",
    "MaxUnpooling2D",
    "PartiallyConnectedConv2D",
    "RadialBasis",
    "RandomElasticDeformation",
    "RandomIllumination",
    "RandomLensDistortion",
    "ResizeLike",
    "ReverseChannels",
    "TrainableSubsampling2D",
]
