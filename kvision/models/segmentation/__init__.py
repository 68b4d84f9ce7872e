"""Segmentation networks: a class for every pixel."""

from kvision.models.segmentation.crf_rnn import CRFRNN
from kvision.models.segmentation.deconvnet import DeconvNet
from kvision.models.segmentation.deeplab import DeepLabLargeFOV, DeepLabV2
from kvision.models.segmentation.deeplab_v3_plus import DeepLabV3Plus
from kvision.models.segmentation.fcn import FCN8s, FCN16s, FCN32s
from kvision.models.segmentation.segnet import SegNet, SegNetBasic
from kvision.models.segmentation.unet import UNet

__all__ = [
    "CRFRNN",
    "DeconvNet",
    "DeepLabLargeFOV",
    "DeepLabV2",
    "DeepLabV3Plus",
    "FCN16s",
    "FCN32s",
    "FCN8s",
    "SegNet",
    "SegNetBasic",
    "UNet",
]
