"""Keras layers that `keras.layers` lacks."""

from kvision.layers.augmentation.random_box_crop import RandomBoxCrop
from kvision.layers.augmentation.random_elastic_deformation import RandomElasticDeformation
from kvision.layers.augmentation.random_illumination import RandomIllumination
from kvision.layers.augmentation.random_lens_distortion import RandomLensDistortion
from kvision.layers.augmentation.random_scale_jitter import RandomScaleJitter
from kvision.layers.augmentation.random_zoom_out import RandomZoomOut
from kvision.layers.crop_like import CropLike
from kvision.layers.dense_with_kernel import DenseWithKernel
from kvision.layers.fully_connected_crf import FullyConnectedCRF
from kvision.layers.grouped_conv2d import GroupedConv2D
from kvision.layers.identity_shortcut import IdentityShortcut
from kvision.layers.l2_normalization import L2Normalization
from kvision.layers.local_response_normalization import LocalResponseNormalization
from kvision.layers.max_pooling_with_switches import MaxPooling2DWithSwitches
from kvision.layers.max_unpooling import MaxUnpooling2D
from kvision.layers.partially_connected_conv2d import PartiallyConnectedConv2D
from kvision.layers.radial_basis import RadialBasis
from kvision.layers.regions.anchors import Anchors
from kvision.layers.regions.box_decoder import BoxDecoder
from kvision.layers.regions.detections import Detections
from kvision.layers.regions.masks_of_classes import MasksOfClasses
from kvision.layers.regions.merge_regions import MergeRegions
from kvision.layers.regions.proposals import Proposals
from kvision.layers.regions.region_boxes import RegionBoxes
from kvision.layers.regions.roi_align import RoIAlign
from kvision.layers.regions.roi_pool import RoIPool
from kvision.layers.regions.spatial_pyramid_pooling import SpatialPyramidPooling
from kvision.layers.regions.split_regions import SplitRegions
from kvision.layers.resize_like import ResizeLike
from kvision.layers.reverse_channels import ReverseChannels
from kvision.layers.trainable_subsampling2d import TrainableSubsampling2D
from kvision.layers.transferred_conv2d import TransferredConv2D

__all__ = [
    "Anchors",
    "BoxDecoder",
    "CropLike",
    "DenseWithKernel",
    "Detections",
    "FullyConnectedCRF",
    "GroupedConv2D",
    "IdentityShortcut",
    "L2Normalization",
    "LocalResponseNormalization",
    "MasksOfClasses",
    "MaxPooling2DWithSwitches",
    "MaxUnpooling2D",
    "MergeRegions",
    "PartiallyConnectedConv2D",
    "Proposals",
    "RadialBasis",
    "RandomBoxCrop",
    "RandomElasticDeformation",
    "RandomIllumination",
    "RandomLensDistortion",
    "RandomScaleJitter",
    "RandomZoomOut",
    "RegionBoxes",
    "ResizeLike",
    "ReverseChannels",
    "RoIAlign",
    "RoIPool",
    "SpatialPyramidPooling",
    "SplitRegions",
    "TrainableSubsampling2D",
    "TransferredConv2D",
]
