"""MobileNet: depthwise separable convolutions for phones.

Howard et al.: MobileNets: efficient convolutional neural networks for mobile vision applications,
2017.
"""

import keras
from keras import layers

from kvision.models.classification.parts import check_options, classifier
from kvision.models.documented import documented
from kvision.models.parts import dilate, image_input, zero_centre
from kvision.models.weights import load_weights, official
from kvision.registry import register

# Table 1: filters and stride of each pair of depthwise and pointwise convolution.
PAIRS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


@register(
    "classification",
    paper="Howard et al.: MobileNets: efficient convolutional neural networks for mobile vision",
    url="https://arxiv.org/abs/1704.04861",
    year=2017,
    parameters=4_231_976,
    multiply_adds=568_740_352,
    published={"top1": 29.4},
    protocol="given as accuracy, 70.6 %",
    levels=(
        "conv_pw_1_relu",
        "conv_pw_3_relu",
        "conv_pw_5_relu",
        "conv_pw_11_relu",
        "conv_pw_13_relu",
    ),
    mobile=True,
    tiny={"alpha": 0.25, "input_shape": (32, 32, 3), "classes": 4, "stem_strides": 1},
    skip={"tiny_is_shallow": "13 separable convolutions, each of six layers, are 80 layers"},
)
@documented
def MobileNet(
    include_top=True,
    weights=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    depth_multiplier=1,
    output_stride=32,
    stem_strides=2,
    dropout=0.001,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="mobilenet",
):
    """MobileNet, for classifying photographs on a phone.

    Layers are named as in keras.applications, whose weights fit.

    Args:
        input_shape: `(height, width, channels)`, any size; the paper's resolution multiplier is
            the size 224, 192, 160 or 128.
        alpha: width multiplier: the paper has 1, 0.75, 0.5 and 0.25.
        depth_multiplier: depthwise outputs for each input channel.
        output_stride: 8, 16 or 32: strides beyond it become dilation.
        stem_strides: stride of the first convolution: 1 keeps small pictures (32x32) from being
            crushed, and halves the stride of all that follows.
        dropout: fraction dropped before the classifier in training.
        include_preprocessing: whether pixels 0..255 go in and the model maps them to -1..1 itself.

    Differs from the paper: the last pair has stride 1 where Table 1 prints 2 (its output size is
    the one printed); ReLU6 for ReLU, as in the authors' code. Odd feature sizes are padded evenly
    as in the authors' code, where keras.applications pads right and below.

    Reference:
        Howard et al., 2017, https://arxiv.org/abs/1704.04861

    Example:

    >>> MobileNet(alpha=0.25, input_shape=(128, 128, 3), classes=5).output_shape
    (None, 5)
    """
    check_options("MobileNet", alpha, output_stride, stem_strides)
    plan = dilate([stem_strides, *(stride for _, stride in PAIRS)], output_stride)

    def normalized(x, name):
        x = layers.BatchNormalization(momentum=batch_norm_momentum, name=f"{name}_bn")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x)

    def separable(x, filters, stride, rate, index):
        x = layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            depth_multiplier=depth_multiplier,
            dilation_rate=rate,
            use_bias=False,
            name=f"conv_dw_{index}",
        )(x)
        x = normalized(x, f"conv_dw_{index}")
        x = layers.Conv2D(int(filters * alpha), 1, use_bias=False, name=f"conv_pw_{index}")(x)
        return normalized(x, f"conv_pw_{index}")

    inputs = image_input(input_shape, "MobileNet")
    x = zero_centre(inputs) if include_preprocessing else inputs
    x = layers.Conv2D(
        int(32 * alpha), 3, strides=plan[0][0], padding="same", use_bias=False, name="conv1"
    )(x)
    x = normalized(x, "conv1")
    for index, ((filters, _), (stride, rate)) in enumerate(zip(PAIRS, plan[1:], strict=True), 1):
        x = separable(x, filters, stride, rate, index)
    x = classifier(x, include_top, pooling, classes, classifier_activation, dropout)
    model = keras.Model(inputs, x, name=name)
    theirs = official("MobileNet", alpha=alpha, depth_multiplier=depth_multiplier)
    return load_weights(model, weights, theirs)
