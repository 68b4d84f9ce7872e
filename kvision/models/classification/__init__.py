"""Networks that say what a picture shows."""

from kvision.models.classification.alexnet import AlexNet
from kvision.models.classification.googlenet import GoogLeNet
from kvision.models.classification.inception_v2 import InceptionV2
from kvision.models.classification.inception_v3 import InceptionV3
from kvision.models.classification.inception_v4 import InceptionV4
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
from kvision.models.classification.vgg import VGG11, VGG11LRN, VGG13, VGG16, VGG16C, VGG19

__all__ = [
    "AlexNet",
    "GoogLeNet",
    "InceptionV2",
    "InceptionV3",
    "InceptionV4",
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
    "VGG11",
    "VGG11LRN",
    "VGG13",
    "VGG16",
    "VGG16C",
    "VGG19",
]
