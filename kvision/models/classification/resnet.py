"""ResNet, and the plain networks it was compared with, for ImageNet.

He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016.
"""

import keras
from keras import layers

from kvision.models.classification.parts import classifier, stem_plan
from kvision.models.classification.residual import (
    SHORTCUTS,
    basic_block,
    bottleneck_block,
    check_choice,
    conv_norm,
    padded,
)
from kvision.models.documented import variant_of
from kvision.models.parts import (
    check_alpha,
    check_output_stride,
    dilate,
    image_input,
    scaled,
    subtract_mean,
)
from kvision.models.weights import load_weights, official
from kvision.registry import register

FACTS = {
    "task": "classification",
    "paper": "He, Zhang, Ren, Sun: Deep residual learning for image recognition",
    "url": "https://arxiv.org/abs/1512.03385",
    "year": 2015,
    "levels": ("conv1_relu", "conv2_x", "conv3_x", "conv4_x", "conv5_x"),
}
TINY = {
    "alpha": 0.125,
    "input_shape": (32, 32, 3),
    "classes": 4,
    "stem_strides": 1,
    "blocks": (1, 1, 1, 1),
}
TINY_DEEP = {**TINY, "blocks": (1, 2, 1, 1)}  # the second of a stage has nothing to project
DEEP = {"tiny_is_shallow": "five bottlenecks, each of ten layers or more, are 69 layers"}


def resnet(
    network,
    include_top=True,
    weights=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    blocks=None,
    shortcut="B",
    stride_on="1x1",
    alpha=1.0,
    output_stride=32,
    stem_strides=4,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name=None,
):
    """The network of Table 1.

    Args:
        input_shape: `(height, width, channels)`, any size.
        blocks: number of blocks in each of the four stages; by default the paper's.
        shortcut: where a block changes size or width, `"A"` keeps every second pixel and appends
            zeros, `"B"` projects; `"C"` projects in every block.
        stride_on: `"1x1"`, the paper's and keras.applications' place of a bottleneck's stride, or
            `"3x3"`, known as v1.5, which costs 6 % more.
        output_stride: 8, 16 or 32: strides beyond it become dilation.
        stem_strides: 4 as in the paper; 2 or 1 for small pictures: first conv1, then also pool1
            lose their stride. The weights stay the same.
        include_preprocessing: whether pixels 0..255 go in and the model turns them to blue, green,
            red less ImageNet's mean itself.

    Differs from the paper: pool1 is padded by one on each side, as in keras.applications and
    PyTorch; the authors' Caffe network pads below and on the right. Pixels lose the mean of each
    channel, not of each pixel.

    Reference:
        He et al., 2015, https://arxiv.org/abs/1512.03385
    """
    builder, block, depths = network
    depths = depths if blocks is None else tuple(blocks)
    check_alpha(builder, alpha)
    check_output_stride(builder, output_stride)
    check_choice(builder, "shortcut", shortcut, SHORTCUTS)
    check_choice(builder, "stride_on", stride_on, ("1x1", "3x3"))
    if len(depths) != 4 or min(depths) < 1:
        raise ValueError(
            f"`blocks` must be four numbers from 1 in `{builder}`, one a stage. Received: {blocks}"
        )
    stem = stem_plan(builder, (2, 2), stem_strides)
    # Two entries a stage: the layer that holds the stride, and what comes after it.
    plan = dilate((*stem, 1, 1, 2, 1, 2, 1, 2, 1), output_stride)[2:]

    inputs = image_input(input_shape, builder)
    x = subtract_mean(inputs, bgr=True) if include_preprocessing else inputs
    x = _stem(x, scaled(64, alpha), stem, batch_norm_momentum)
    for stage, depth in enumerate(depths):
        (stride, rate), (_, later_rate) = plan[2 * stage : 2 * stage + 2]
        for index in range(depth):
            x = block(
                x,
                scaled(64 * 2**stage, alpha),
                f"conv{stage + 2}_block{index + 1}",
                strides=1 if index else stride,
                rates=(later_rate if index else rate, later_rate),
                shortcut=None if builder.startswith("Plain") else shortcut,
                stride_on=stride_on,
                momentum=batch_norm_momentum,
                out=f"conv{stage + 2}_x" if index == depth - 1 else None,
            )
    x = classifier(x, include_top, pooling, classes, classifier_activation)
    return load_weights(keras.Model(inputs, x, name=name), weights, official(builder))


def _stem(x, filters, strides, momentum):
    x = padded(x, 3, "conv1")
    x = conv_norm(x, filters, 7, "conv1", momentum, strides=strides[0])
    x = layers.ReLU(name="conv1_relu")(x)
    x = padded(x, 1, "pool1")
    return layers.MaxPooling2D(3, strides=strides[1], name="pool1_pool")(x)


@register(
    **FACTS,
    parameters=11_515_688,
    multiply_adds=1_794_805_760,
    published={"top1": 27.94},
    protocol="10-crop",
    tiny=TINY,
    twin="ResNet18",
)
@variant_of(resnet, without=("shortcut", "stride_on"))
def PlainNet18(**arguments):
    """ResNet18 without its shortcuts, to see what they are for.

    Example:

    >>> PlainNet18(alpha=0.125, classes=5).output_shape
    (None, 5)
    """
    return resnet(("PlainNet18", basic_block, (2, 2, 2, 2)), **arguments)


@register(
    **FACTS,
    parameters=21_623_848,
    multiply_adds=3_644_493_824,
    published={"top1": 28.54},
    protocol="10-crop",
    tiny=TINY,
    twin="ResNet18",
)
@variant_of(resnet, without=("shortcut", "stride_on"))
def PlainNet34(**arguments):
    """ResNet34 without its shortcuts: deeper than PlainNet18, and worse.

    Example:

    >>> PlainNet34(alpha=0.125, classes=5).output_shape
    (None, 5)
    """
    return resnet(("PlainNet34", basic_block, (3, 4, 6, 3)), **arguments)


@register(
    **FACTS,
    parameters=11_689_512,
    multiply_adds=1_814_073_344,
    published={"top1": 27.88},
    protocol="10-crop, of option A; the default here is B",
    tiny=TINY,
)
@variant_of(resnet, without=("stride_on",))
def ResNet18(**arguments):
    """ResNet of 18 layers, the lightest: basic blocks of two 3x3 convolutions.

    Example:

    >>> ResNet18(input_shape=(32, 32, 3), stem_strides=1, classes=10).output_shape
    (None, 10)
    """
    return resnet(("ResNet18", basic_block, (2, 2, 2, 2)), **arguments)


@register(
    **FACTS,
    parameters=21_797_672,
    multiply_adds=3_663_761_408,
    published={"top1": 24.52, "top5": 7.46},
    protocol="10-crop, option B",
    tiny=TINY,
    twin="ResNet18",
)
@variant_of(resnet, without=("stride_on",))
def ResNet34(**arguments):
    """ResNet of 34 layers: basic blocks of two 3x3 convolutions.

    Example:

    >>> ResNet34(alpha=0.125, shortcut="A", classes=5).output_shape
    (None, 5)
    """
    return resnet(("ResNet34", basic_block, (3, 4, 6, 3)), **arguments)


@register(
    **FACTS,
    parameters=25_557_032,
    multiply_adds=3_857_973_248,
    published={"top1": 22.85, "top5": 6.71},
    protocol="10-crop",
    tiny=TINY_DEEP,
    skip=DEEP,
)
@variant_of(resnet)
def ResNet50(**arguments):
    """ResNet of 50 layers, the backbone most used: bottleneck blocks.

    Layers are named as in keras.applications, whose weights fit, but for the last of each stage.

    Example:

    >>> ResNet50(include_top=False, output_stride=16, alpha=0.25).output_shape
    (None, 14, 14, 512)
    """
    return resnet(("ResNet50", bottleneck_block, (3, 4, 6, 3)), **arguments)


@register(
    **FACTS,
    parameters=44_549_160,
    multiply_adds=7_570_194_432,
    published={"top1": 21.75, "top5": 6.05},
    protocol="10-crop",
    tiny=TINY_DEEP,
    skip=DEEP,
    twin="ResNet50",
)
@variant_of(resnet)
def ResNet101(**arguments):
    """ResNet of 101 layers: bottleneck blocks; keras.applications' weights fit.

    Example:

    >>> ResNet101(alpha=0.125, classes=5).output_shape
    (None, 5)
    """
    return resnet(("ResNet101", bottleneck_block, (3, 4, 23, 3)), **arguments)


@register(
    **FACTS,
    parameters=60_192_808,
    multiply_adds=11_282_415_616,
    published={"top1": 21.43, "top5": 5.71},
    protocol="10-crop",
    tiny=TINY_DEEP,
    skip=DEEP,
    twin="ResNet50",
)
@variant_of(resnet)
def ResNet152(**arguments):
    """ResNet of 152 layers, the paper's deepest for ImageNet; keras.applications' weights fit.

    Example:

    >>> ResNet152(alpha=0.125, classes=5).output_shape
    (None, 5)
    """
    return resnet(("ResNet152", bottleneck_block, (3, 8, 36, 3)), **arguments)
