"""AlexNet: the network that won ImageNet in 2012.

Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks,
NIPS 2012.
"""

import keras
from keras import layers

from kvision.layers import GroupedConv2D, LocalResponseNormalization
from kvision.models.classification.parts import dense_classifier, stem_plan
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, scaled, subtract_mean
from kvision.models.weights import load_weights
from kvision.registry import register


@register(
    "classification",
    paper="Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional "
    "neural networks",
    url="https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-"
    "neural-networks",
    year=2012,
    parameters=60_965_224,
    multiply_adds=724_406_816,
    levels=("norm1", "norm2", "conv5", "pool5"),
    tiny={
        "alpha": 0.125,
        "input_shape": (32, 32, 3),
        "classes": 4,
        "stem_strides": 1,
        "dropout": 0.0,
    },
)
@documented
def AlexNet(
    include_top=True,
    weights=None,
    input_shape=(227, 227, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    groups=2,
    alpha=1.0,
    dropout=0.5,
    stem_strides=4,
    include_preprocessing=True,
    name="alexnet",
):
    """AlexNet, two towers of five convolutions that meet in conv3 and in the dense layers.

    Args:
        input_shape: `(height, width, channels)`, at least 67 on each side (with `stem_strides=1`
            25). With `include_top=True` the size must be known.
        groups: 2 as in the paper, where each half of conv2, conv4 and conv5 sees the maps of its
            own GPU only; 1 lets all maps see all.
        dropout: fraction dropped after fc6 and fc7 in training.
        stem_strides: stride of conv1: 4 as in the paper, or 1 for small pictures.
        include_preprocessing: whether pixels 0..255 go in and the model subtracts ImageNet's mean
            itself.

    Differs from the paper: the input is 227x227, which the paper's layer sizes need, where its
    text says 224. Pixels lose the mean of each channel, not of each pixel.

    Reference:
        Krizhevsky et al., 2012, Fig. 2

    Example:

    >>> AlexNet(classes=5, alpha=0.25).get_layer("pool5").output.shape
    (None, 6, 6, 64)
    """
    check_alpha("AlexNet", alpha)
    (stride,) = stem_plan("AlexNet", (4,), stem_strides)
    if groups not in (1, 2):
        raise ValueError(f"`groups` must be 1 or 2 in `AlexNet`. Received: {groups}")
    small = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01)}
    ones = {"bias_initializer": "ones"}  # gives the ReLUs something to pass on from the start

    def conv(x, filters, kernel_size, name, **options):
        filters = 2 * scaled(filters / 2, alpha)
        options = {"padding": "same", **small, **options}
        kind = GroupedConv2D if "groups" in options else layers.Conv2D
        return kind(filters, kernel_size, activation="relu", name=name, **options)(x)

    # pool1 and pool2 overlap; three of them in a row need 15 positions of conv1.
    inputs = image_input(input_shape, "AlexNet", minimum=11 + 14 * stride)
    x = subtract_mean(inputs) if include_preprocessing else inputs
    x = conv(x, 96, 11, "conv1", strides=stride, padding="valid")
    x = LocalResponseNormalization(name="norm1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = conv(x, 256, 5, "conv2", groups=groups, **ones)
    x = LocalResponseNormalization(name="norm2")(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    x = conv(x, 384, 3, "conv3")
    x = conv(x, 384, 3, "conv4", groups=groups, **ones)
    x = conv(x, 256, 3, "conv5", groups=groups, **ones)
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = dense_classifier(
        x,
        include_top,
        pooling,
        classes,
        classifier_activation,
        scaled(4096, alpha),
        dropout,
        input_shape,
        "AlexNet",
        hidden=ones,
        **small,
    )
    return load_weights(keras.Model(inputs, x, name=name), weights)
