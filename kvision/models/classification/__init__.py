"""Networks that say what a picture shows."""

from kvision.models.classification.lenet5 import LeNet5
from kvision.models.classification.mobilenet import MobileNet
from kvision.models.classification.mobilenet_v2 import MobileNetV2
from kvision.models.classification.resnet import (
    PlainNet18,
    PlainNet34,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
)
from kvision.models.classification.resnet_cifar import PlainNetCIFAR, ResNetCIFAR

__all__ = [
    "LeNet5",
    "MobileNet",
    "MobileNetV2",
    "PlainNet18",
    "PlainNet34",
    "PlainNetCIFAR",
    "ResNet101",
    "ResNet152",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNetCIFAR",
]
