"""Builders: functions that return a plain `keras.Model`."""

from kvision.models import classification, detection, edges, segmentation
from kvision.models.activation_maps import class_activation_maps
from kvision.models.classification import *  # noqa: F403
from kvision.models.convolutionalize import convolutionalize
from kvision.models.counting import multiply_adds
from kvision.models.detection import *  # noqa: F403
from kvision.models.edges import *  # noqa: F403
from kvision.models.features import feature_extractor, levels
from kvision.models.segmentation import *  # noqa: F403
from kvision.models.weights import copy_weights

__all__ = [
    *classification.__all__,
    *detection.__all__,
    *edges.__all__,
    *segmentation.__all__,
    "class_activation_maps",
    "convolutionalize",
    "copy_weights",
    "feature_extractor",
    "levels",
    "multiply_adds",
]
