"""MobileNetV2: inverted residuals and linear bottlenecks.

Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2, CVPR 2018.
"""

import keras
from keras import layers

from kvision.models.classification.parts import check_options, classifier
from kvision.models.documented import documented
from kvision.models.parts import dilate, image_input, round_channels, zero_centre
from kvision.models.weights import load_weights, official
from kvision.registry import register

# Table 2: expansion t, channels c, repetitions n, stride s of the first of them.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
BLOCKS = tuple((t, c, s if i == 0 else 1) for t, c, n, s in STAGES for i in range(n))


@register(
    "classification",
    paper="Sandler et al.: MobileNetV2: inverted residuals and linear bottlenecks",
    url="https://arxiv.org/abs/1801.04381",
    year=2018,
    parameters=3_504_872,
    multiply_adds=300_774_272,
    published={"top1": 28.0},
    protocol="given as accuracy, 72.0 %",
    levels=(
        "block_1_expand_relu",
        "block_3_expand_relu",
        "block_6_expand_relu",
        "block_13_expand_relu",
        "out_relu",
    ),
    mobile=True,
    tiny={"alpha": 0.35, "input_shape": (32, 32, 3), "classes": 4, "stem_strides": 1},
    skip={"tiny_is_shallow": "17 bottlenecks, each of eight layers or nine, are 150 layers"},
)
@documented
def MobileNetV2(
    include_top=True,
    weights=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    output_stride=32,
    stem_strides=2,
    dropout=0.2,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="mobilenet_v2",
):
    """MobileNetV2, the first choice for classifying photographs on a phone.

    Layers are named as in keras.applications, whose weights fit.

    Args:
        input_shape: `(height, width, channels)`, any size.
        alpha: width multiplier: 1.4, 1.3, 1, 0.75, 0.5 and 0.35 have official weights.
        output_stride: 8, 16 or 32: strides beyond it become dilation.
        stem_strides: stride of the first convolution: 1 keeps small pictures (32x32) from being
            crushed, and halves the stride of all that follows.
        dropout: fraction dropped before the classifier in training.
        batch_norm_momentum: of the moving statistics. keras.applications' 0.999 needs thousands
            of steps before test accuracy follows training accuracy; 0.9 needs tens.
        include_preprocessing: whether pixels 0..255 go in and the model maps them to -1..1 itself.

    Differs from the paper: nothing known. As in the authors' code the first block has no
    expansion, channels are rounded to multiples of 8, and the last 1280 grow only with alpha > 1.

    Reference:
        Sandler et al., 2018, https://arxiv.org/abs/1801.04381

    Example:

    >>> MobileNetV2(alpha=0.35, input_shape=(96, 96, 3), classes=5).output_shape
    (None, 5)
    """
    check_options("MobileNetV2", alpha, output_stride, stem_strides)
    plan = dilate([stem_strides, *(stride for _, _, stride in BLOCKS)], output_stride)

    def normalized(x, name):
        return layers.BatchNormalization(epsilon=1e-3, momentum=batch_norm_momentum, name=name)(x)

    def inverted_residual(x, expansion, filters, stride, rate, residual, prefix):
        shortcut, channels = x, x.shape[-1]
        if expansion > 1:
            x = layers.Conv2D(expansion * channels, 1, use_bias=False, name=f"{prefix}_expand")(x)
            x = normalized(x, f"{prefix}_expand_BN")
            x = layers.ReLU(6.0, name=f"{prefix}_expand_relu")(x)
        x = layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            dilation_rate=rate,
            use_bias=False,
            name=f"{prefix}_depthwise",
        )(x)
        x = normalized(x, f"{prefix}_depthwise_BN")
        x = layers.ReLU(6.0, name=f"{prefix}_depthwise_relu")(x)
        x = layers.Conv2D(filters, 1, use_bias=False, name=f"{prefix}_project")(x)
        x = normalized(x, f"{prefix}_project_BN")
        if residual and channels == filters:
            x = layers.Add(name=f"{prefix}_add")([shortcut, x])
        return x

    inputs = image_input(input_shape, "MobileNetV2")
    x = zero_centre(inputs) if include_preprocessing else inputs
    x = layers.Conv2D(
        round_channels(32 * alpha),
        3,
        strides=plan[0][0],
        padding="same",
        use_bias=False,
        name="Conv1",
    )(x)
    x = normalized(x, "bn_Conv1")
    x = layers.ReLU(6.0, name="Conv1_relu")(x)
    for index, (expansion, filters, table_stride) in enumerate(BLOCKS):
        stride, rate = plan[1 + index]
        prefix = f"block_{index}" if index else "expanded_conv"
        x = inverted_residual(
            x, expansion, round_channels(filters * alpha), stride, rate, table_stride == 1, prefix
        )
    x = layers.Conv2D(round_channels(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
    x = normalized(x, "Conv_1_bn")
    x = layers.ReLU(6.0, name="out_relu")(x)
    x = classifier(x, include_top, pooling, classes, classifier_activation, dropout)
    model = keras.Model(inputs, x, name=name)
    return load_weights(model, weights, official("MobileNetV2", alpha=alpha))
