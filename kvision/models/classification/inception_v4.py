"""Inception v4: a deeper, more regular Inception without residuals.

Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the impact of residual
connections on learning, AAAI 2017.
"""

import keras
from keras import layers

from kvision.models.classification.inception import Convolutions, average_pool, least_size
from kvision.models.classification.parts import classifier, stem_plan
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, zero_centre
from kvision.models.weights import load_weights
from kvision.registry import register


@register(
    "classification",
    paper="Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the impact of "
    "residual connections on learning",
    url="https://arxiv.org/abs/1602.07261",
    year=2016,
    parameters=42_679_816,
    multiply_adds=12_253_974_624,
    levels=("stem_3", "stem_mixed_2", "inception_a", "inception_b", "inception_c"),
    tiny={
        "alpha": 0.125,
        "input_shape": (32, 32, 3),
        "classes": 4,
        "stem_strides": 2,
        "blocks": (1, 1, 1),
        "dropout": 0.0,
    },
    skip={"tiny_is_shallow": "one module of each kind and two reductions are 160 layers"},
)
@documented
def InceptionV4(
    include_top=True,
    weights=None,
    input_shape=(299, 299, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    blocks=(4, 7, 3),
    alpha=1.0,
    dropout=0.2,
    stem_strides=8,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="inceptionv4",
):
    """Inception v4, the largest of the Inception networks.

    Args:
        input_shape: `(height, width, channels)`, at least 75 on each side (with
            `stem_strides=1` 19).
        blocks: number of modules A, B and C; the paper's by default.
        dropout: fraction dropped before the classifier in training.
        stem_strides: 8 as in the paper; 4, 2 or 1 for small pictures: first the first convolution,
            then the two poolings with the convolutions beside them lose their stride. The weights
            stay the same.
        include_preprocessing: whether pixels 0..255 go in and the model maps them to -1..1 itself.

    Differs from the paper: nothing known. As in the authors' code pixels go to -1..1.

    Reference:
        Szegedy et al., 2016, https://arxiv.org/abs/1602.07261, Fig. 3 to 9

    Example:

    >>> InceptionV4(alpha=0.25, classes=5).get_layer("inception_b").output.shape
    (None, 17, 17, 256)
    """
    check_alpha("InceptionV4", alpha)
    strides = stem_plan("InceptionV4", (2, 2, 2), stem_strides)
    if len(blocks) != 3 or min(blocks) < 1:
        raise ValueError(
            f"`blocks` must be three numbers from 1 in `InceptionV4`. Received: {blocks}"
        )
    conv = Convolutions(alpha, batch_norm_momentum)
    minimum = least_size((strides[0], 1, strides[1], 1, strides[2]), last=7)
    inputs = image_input(input_shape, "InceptionV4", minimum)
    x = zero_centre(inputs) if include_preprocessing else inputs
    x = _stem(conv, x, strides)
    for part, (module, count) in enumerate(
        zip((_module_a, _module_b, _module_c), blocks, strict=True)
    ):
        prefix = f"inception_{'abc'[part]}"
        if part:
            x = (_reduction_a, _reduction_b)[part - 1](conv, x)
        for index in range(1, count + 1):
            x = module(conv, x, prefix if index == count else f"{prefix}{index}")
    x = classifier(x, include_top, pooling, classes, classifier_activation, dropout)
    return load_weights(keras.Model(inputs, x, name=name), weights)


def _stem(conv, x, strides):
    """Fig. 3."""
    x = conv(x, 32, 3, "stem_1", strides[0], "valid")
    x = conv(x, 32, 3, "stem_2", padding="valid")
    x = conv(x, 64, 3, "stem_3")
    x = layers.Concatenate(name="stem_mixed_1")(
        [
            layers.MaxPooling2D(3, strides[1], name="stem_pool_1")(x),
            conv(x, 96, 3, "stem_4", strides[1], "valid"),
        ]
    )
    short = conv(x, 64, 1, "stem_5_reduce")
    long = conv.chain(x, "stem_6_reduce", (64, 1), (64, (7, 1)), (64, (1, 7)))
    x = layers.Concatenate(name="stem_mixed_2")(
        [
            conv(short, 96, 3, "stem_5", padding="valid"),
            conv(long, 96, 3, "stem_6", padding="valid"),
        ]
    )
    return layers.Concatenate(name="stem_mixed_3")(
        [
            conv(x, 192, 3, "stem_7", strides[2], "valid"),
            layers.MaxPooling2D(3, strides[2], name="stem_pool_2")(x),
        ]
    )


def _module_a(conv, x, name):
    """Fig. 4, at 35x35."""
    return layers.Concatenate(name=name)(
        [
            conv(average_pool(x, f"{name}_pool"), 96, 1, f"{name}_pool_proj"),
            conv(x, 96, 1, f"{name}_1x1"),
            conv.chain(x, f"{name}_3x3", (64, 1), (96, 3)),
            conv.chain(x, f"{name}_double3x3", (64, 1), (96, 3), (96, 3)),
        ]
    )


def _reduction_a(conv, x, name="reduction_a"):
    """Fig. 7 with k=192, l=224, m=256, n=384, from 35x35 to 17x17."""
    return layers.Concatenate(name=name)(
        [
            layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x),
            conv.chain(x, f"{name}_3x3", (384, 3, 2)),
            conv.chain(x, f"{name}_double3x3", (192, 1), (224, 3), (256, 3, 2)),
        ]
    )


def _module_b(conv, x, name):
    """Fig. 5, at 17x17."""
    row, column = (1, 7), (7, 1)
    double = ((192, 1), (192, row), (224, column), (224, row), (256, column))
    return layers.Concatenate(name=name)(
        [
            conv(average_pool(x, f"{name}_pool"), 128, 1, f"{name}_pool_proj"),
            conv(x, 384, 1, f"{name}_1x1"),
            conv.chain(x, f"{name}_7x7", (192, 1), (224, row), (256, column)),
            conv.chain(x, f"{name}_double7x7", *double),
        ]
    )


def _reduction_b(conv, x, name="reduction_b"):
    """Fig. 8, from 17x17 to 8x8."""
    seven = ((256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2))
    return layers.Concatenate(name=name)(
        [
            layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x),
            conv.chain(x, f"{name}_3x3", (192, 1), (192, 3, 2)),
            conv.chain(x, f"{name}_7x7", *seven),
        ]
    )


def _module_c(conv, x, name):
    """Fig. 6, at 8x8."""
    three = conv(x, 384, 1, f"{name}_3x3_reduce")
    double = conv.chain(x, f"{name}_double3x3", (384, 1), (448, (1, 3)), (512, (3, 1)))
    return layers.Concatenate(name=name)(
        [
            conv(average_pool(x, f"{name}_pool"), 256, 1, f"{name}_pool_proj"),
            conv(x, 256, 1, f"{name}_1x1"),
            conv(three, 256, (1, 3), f"{name}_3x3_row"),
            conv(three, 256, (3, 1), f"{name}_3x3_column"),
            conv(double, 256, (3, 1), f"{name}_double3x3_column"),
            conv(double, 256, (1, 3), f"{name}_double3x3_row"),
        ]
    )
