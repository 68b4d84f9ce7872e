"""Builders: functions that return a plain `keras.Model`."""

from kvision.models.classification import LeNet5, MobileNet, MobileNetV2
from kvision.models.features import feature_extractor, levels
from kvision.models.weights import copy_weights

__all__ = ["LeNet5", "MobileNet", "MobileNetV2", "copy_weights", "feature_extractor", "levels"]
