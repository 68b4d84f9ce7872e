"""ResNet and plain networks of 6n + 2 layers for small pictures.

He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016, section 4.2.
"""

import keras
from keras import layers

from kvision.models.classification.parts import classifier
from kvision.models.classification.residual import basic_block, check_choice, conv3x3
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, scaled, zero_centre
from kvision.models.weights import load_weights
from kvision.registry import register

FACTS = {
    "task": "classification",
    "paper": "He, Zhang, Ren, Sun: Deep residual learning for image recognition, section 4.2",
    "url": "https://arxiv.org/abs/1512.03385",
    "year": 2015,
    "parameters": 269_722,
    "multiply_adds": 40_551_040,
    "levels": ("stage_1", "stage_2", "stage_3"),
    "tiny": {"depth": 8, "alpha": 0.5, "input_shape": (16, 16, 3), "classes": 4},
}


@register(**FACTS, published={"top1": 8.75}, protocol="CIFAR-10, single view")
@documented
def ResNetCIFAR(
    include_top=True,
    weights=None,
    input_shape=(32, 32, 3),
    pooling=None,
    classes=10,
    classifier_activation="softmax",
    *,
    depth=20,
    shortcut="A",
    alpha=1.0,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="resnetcifar",
):
    """ResNet for small pictures: three stages of 16, 32 and 64 filters.

    Args:
        input_shape: `(height, width, channels)`, any size.
        depth: number of layers: 6n + 2 for n blocks a stage. The paper has 20, 32, 44, 56, 110
            and 1202; Keras builds the last only after `sys.setrecursionlimit(20000)`.
        shortcut: `"A"`, the paper's: every second pixel and zeros behind; or `"B"`: projections.
        include_preprocessing: whether pixels 0..255 go in and the model maps them to -1..1 itself.

    Differs from the paper: pixels go to -1..1, where the paper subtracts the mean of each pixel.

    Reference:
        He et al., 2015, https://arxiv.org/abs/1512.03385, Table 6

    Example:

    >>> ResNetCIFAR(depth=56).output_shape
    (None, 10)
    """
    check_choice("ResNetCIFAR", "shortcut", shortcut, ("A", "B"))
    return _network(**locals())


@register(**FACTS, twin="ResNetCIFAR")
@documented
def PlainNetCIFAR(
    include_top=True,
    weights=None,
    input_shape=(32, 32, 3),
    pooling=None,
    classes=10,
    classifier_activation="softmax",
    *,
    depth=20,
    alpha=1.0,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="plainnetcifar",
):
    """ResNetCIFAR without its shortcuts, to see what they are for.

    Args:
        input_shape: `(height, width, channels)`, any size.
        depth: number of layers, 6n + 2 for n pairs of convolutions a stage.
        include_preprocessing: whether pixels 0..255 go in and the model maps them to -1..1 itself.

    Differs from the paper: pixels go to -1..1, where the paper subtracts the mean of each pixel.

    Reference:
        He et al., 2015, https://arxiv.org/abs/1512.03385, section 4.2

    Example:

    >>> PlainNetCIFAR(depth=56).count_params() == ResNetCIFAR(depth=56).count_params()
    True
    """
    return _network(**locals(), shortcut=None)


def _network(
    include_top,
    weights,
    input_shape,
    pooling,
    classes,
    classifier_activation,
    depth,
    shortcut,
    alpha,
    batch_norm_momentum,
    include_preprocessing,
    name,
):
    check_alpha(name, alpha)
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(
            f"`depth` must be 6n + 2, e.g. 20, 32, 44, 56 or 110, in `{name}`. Received: {depth}"
        )
    inputs = image_input(input_shape, name)
    x = zero_centre(inputs) if include_preprocessing else inputs
    x = conv3x3(x, scaled(16, alpha), "conv1", batch_norm_momentum)
    x = layers.ReLU(name="conv1_relu")(x)
    for stage in range(3):
        for index in range(blocks):
            x = basic_block(
                x,
                scaled(16 * 2**stage, alpha),
                f"stage_{stage + 1}_block{index + 1}",
                strides=2 if stage and not index else 1,
                rates=(1, 1),
                shortcut=shortcut,
                momentum=batch_norm_momentum,
                out=f"stage_{stage + 1}" if index == blocks - 1 else None,
            )
    x = classifier(x, include_top, pooling, classes, classifier_activation)
    return load_weights(keras.Model(inputs, x, name=name), weights)
