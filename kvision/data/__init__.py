"""Data in: sources by name or path, and the batches that `fit` takes."""

from kvision.data import scenes
from kvision.data.augmentation.objects import detection_augmentation
from kvision.data.augmentation.planning import default_augmentation
from kvision.data.fingerprint import fingerprint
from kvision.data.loading import load
from kvision.data.mask_weights import median_frequency_weights, with_border_weights
from kvision.data.pipeline import batches
from kvision.data.shares import balanced_class_weight, three_splits
from kvision.data.single import read_image, relabel, resize_image
from kvision.data.three_sets import three_sets

__all__ = [
    "balanced_class_weight",
    "batches",
    "default_augmentation",
    "detection_augmentation",
    "fingerprint",
    "load",
    "median_frequency_weights",
    "read_image",
    "relabel",
    "resize_image",
    "scenes",
    "three_sets",
    "three_splits",
    "with_border_weights",
]
