"""Classical methods around networks, which come in as arguments: R-CNN and its regions."""

from kvision.classical.box_regression import fit_box_regression, move_boxes
from kvision.classical.mining import MinedSVM
from kvision.classical.rcnn import RCNN
from kvision.classical.region_batches import region_batches
from kvision.classical.region_features import RegionFeatures
from kvision.classical.selective_search import selective_search
from kvision.classical.warping import warp_regions

__all__ = [
    "RCNN",
    "MinedSVM",
    "RegionFeatures",
    "fit_box_regression",
    "move_boxes",
    "region_batches",
    "selective_search",
    "warp_regions",
]
