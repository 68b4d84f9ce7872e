"""Networks that say what a picture shows."""

from kvision.models.classification.lenet5 import LeNet5
from kvision.models.classification.mobilenet import MobileNet
from kvision.models.classification.mobilenet_v2 import MobileNetV2

__all__ = ["LeNet5", "MobileNet", "MobileNetV2"]
