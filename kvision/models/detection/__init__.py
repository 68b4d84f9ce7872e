"""Detection networks: which objects there are, and where."""

from kvision.models.detection.fast_rcnn import FastRCNN
from kvision.models.detection.faster_rcnn import FasterRCNN
from kvision.models.detection.mask_rcnn import MaskDetector, MaskRCNN
from kvision.models.detection.mask_x_rcnn import MaskXRCNN, TransferredMaskDetector
from kvision.models.detection.single_shot import SingleShotDetector
from kvision.models.detection.spp_net import SPPNet
from kvision.models.detection.ssd import SSD300
from kvision.models.detection.ssdlite import SSDLite
from kvision.models.detection.two_stage import RegionDetector, TwoStageDetector

__all__ = [
    "SSD300",
    "SSDLite",
    "SingleShotDetector",
    "FastRCNN",
    "FasterRCNN",
    "MaskDetector",
    "MaskRCNN",
    "MaskXRCNN",
    "RegionDetector",
    "SPPNet",
    "TransferredMaskDetector",
    "TwoStageDetector",
]
