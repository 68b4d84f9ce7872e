"""Inception v3: factorised convolutions.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture for computer vision,
CVPR 2016.
"""

import keras
from keras import layers

from kvision.models.classification.inception import Convolutions, average_pool, least_size
from kvision.models.classification.parts import check_auxiliary, classifier, stem_plan
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, zero_centre
from kvision.models.weights import load_weights, official
from kvision.registry import register


@register(
    "classification",
    paper="Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture for "
    "computer vision",
    url="https://arxiv.org/abs/1512.00567",
    year=2015,
    parameters=23_834_568,
    multiply_adds=5_713_216_096,
    levels=("stem_3", "stem_5", "mixed2", "mixed7", "mixed10"),
    tiny={
        "alpha": 0.125,
        "input_shape": (32, 32, 3),
        "classes": 4,
        "stem_strides": 2,
        "blocks": (1, 1, 1),
    },
    skip={"tiny_is_shallow": "one module of each kind and two reductions are 140 layers"},
)
@documented
def InceptionV3(
    include_top=True,
    weights=None,
    input_shape=(299, 299, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    blocks=(3, 4, 2),
    auxiliary_head=False,
    alpha=1.0,
    dropout=0.2,
    stem_strides=8,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="inceptionv3",
):
    """Inception v3: 5x5 as two 3x3, 7x7 as 1x7 and 7x1, side by side.

    Modules are named as in keras.applications, whose weights fit. With `auxiliary_head=True` the
    output is a dict of `predictions` and `auxiliary_mixed7`.

    Args:
        input_shape: `(height, width, channels)`, at least 75 on each side (with
            `stem_strides=1` 17).
        blocks: number of modules A, B and C, at most the paper's, the default: the first of a kind
            are left out, so that levels keep their names.
        auxiliary_head: whether module mixed7 gets a classifier of its own, for training. It needs
            17 positions there, 299 pixels, and a known size.
        dropout: fraction dropped before the classifier in training.
        stem_strides: 8 as in the paper; 4, 2 or 1 for small pictures: first the first convolution,
            then the two poolings lose their stride. The weights stay the same.
        include_preprocessing: whether pixels 0..255 go in and the model maps them to -1..1 itself.

    Differs from the paper: where its text leaves filters open they are those of the authors' code.
    As there, pixels go to -1..1.

    Reference:
        Szegedy et al., 2015, https://arxiv.org/abs/1512.00567, Table 1

    Example:

    >>> InceptionV3(alpha=0.25, classes=5).get_layer("mixed7").output.shape
    (None, 17, 17, 192)
    """
    check_alpha("InceptionV3", alpha)
    check_auxiliary("auxiliary_head", auxiliary_head, include_top)
    strides = stem_plan("InceptionV3", (2, 2, 2), stem_strides)
    if len(blocks) != 3 or any(
        not 1 <= n <= most for n, most in zip(blocks, (3, 4, 2), strict=True)
    ):
        raise ValueError(
            "`blocks` must be three numbers from 1 to 3, 4 and 2 in `InceptionV3`. "
            f"Received: {blocks}"
        )
    conv = Convolutions(alpha, batch_norm_momentum)
    minimum = least_size((strides[0], 1, strides[1], 1, strides[2]), last=7)
    inputs = image_input(input_shape, "InceptionV3", minimum)
    x = zero_centre(inputs) if include_preprocessing else inputs
    x = _stem(conv, x, strides)
    for index, projection in list(enumerate((32, 64, 64)))[-blocks[0] :]:
        x = _module_a(conv, x, projection, f"mixed{index}")
    x = _reduction_a(conv, x, "mixed3")
    for index, filters in list(enumerate((128, 160, 160, 192), 4))[-blocks[1] :]:
        x = _module_b(conv, x, filters, f"mixed{index}")
    heads = {}
    if auxiliary_head:
        heads["auxiliary_mixed7"] = _head(conv, x, classes, classifier_activation)
    x = _reduction_b(conv, x, "mixed8")
    for index in (9, 10)[-blocks[2] :]:
        x = _module_c(conv, x, f"mixed{index}")
    x = classifier(x, include_top, pooling, classes, classifier_activation, dropout)
    outputs = {"predictions": x, **heads} if heads else x
    model = keras.Model(inputs, outputs, name=name)
    return load_weights(model, weights, official("InceptionV3"))


def _stem(conv, x, strides):
    x = conv(x, 32, 3, "stem_1", strides[0], "valid")
    x = conv(x, 32, 3, "stem_2", padding="valid")
    x = conv(x, 64, 3, "stem_3")
    x = layers.MaxPooling2D(3, strides[1], name="pool1")(x)
    x = conv(x, 80, 1, "stem_4")
    x = conv(x, 192, 3, "stem_5", padding="valid")
    return layers.MaxPooling2D(3, strides[2], name="pool2")(x)


def _module_a(conv, x, projection, name):
    """Fig. 5, at 35x35."""
    return layers.Concatenate(name=name)(
        [
            conv(x, 64, 1, f"{name}_1x1"),
            conv.chain(x, f"{name}_5x5", (48, 1), (64, 5)),
            conv.chain(x, f"{name}_double3x3", (64, 1), (96, 3), (96, 3)),
            conv(average_pool(x, f"{name}_pool"), projection, 1, f"{name}_pool_proj"),
        ]
    )


def _reduction_a(conv, x, name):
    """Fig. 10, from 35x35 to 17x17."""
    return layers.Concatenate(name=name)(
        [
            conv.chain(x, f"{name}_3x3", (384, 3, 2)),
            conv.chain(x, f"{name}_double3x3", (64, 1), (96, 3), (96, 3, 2)),
            layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x),
        ]
    )


def _module_b(conv, x, filters, name):
    """Fig. 6, at 17x17."""
    row, column = (1, 7), (7, 1)
    double = [(filters, size) for size in (1, column, row, column)]
    return layers.Concatenate(name=name)(
        [
            conv(x, 192, 1, f"{name}_1x1"),
            conv.chain(x, f"{name}_7x7", (filters, 1), (filters, row), (192, column)),
            conv.chain(x, f"{name}_double7x7", *double, (192, row)),
            conv(average_pool(x, f"{name}_pool"), 192, 1, f"{name}_pool_proj"),
        ]
    )


def _reduction_b(conv, x, name):
    """From 17x17 to 8x8."""
    seven = ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2))
    return layers.Concatenate(name=name)(
        [
            conv.chain(x, f"{name}_3x3", (192, 1), (320, 3, 2)),
            conv.chain(x, f"{name}_7x7", *seven),
            layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x),
        ]
    )


def _module_c(conv, x, name):
    """Fig. 7, at 8x8: rows and columns side by side, as in keras.applications."""

    def expanded(x, name):
        row = conv(x, 384, (1, 3), f"{name}_row")
        column = conv(x, 384, (3, 1), f"{name}_column")
        return layers.Concatenate(name=name)([row, column])

    one = conv(x, 320, 1, f"{name}_1x1")
    three = expanded(conv(x, 384, 1, f"{name}_3x3_reduce"), f"{name}_3x3")
    double = conv.chain(x, f"{name}_double3x3_reduce", (448, 1), (384, 3))
    double = expanded(double, f"{name}_double3x3")
    pooled = conv(average_pool(x, f"{name}_pool"), 192, 1, f"{name}_pool_proj")
    return layers.Concatenate(name=name)([one, three, double, pooled])


def _head(conv, x, classes, activation):
    """Fig. 8: 5x5 average pooling with stride 3, 1x1, 5x5, dense."""
    name = "auxiliary_mixed7"
    if x.shape[1:3] != (17, 17):
        raise ValueError(
            "`input_shape` must be such that mixed7 has 17x17 positions with "
            f"`auxiliary_head=True` in `InceptionV3`, e.g. (299, 299, 3); it has {x.shape[1:3]}."
        )
    x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = conv(x, 128, 1, f"{name}_1x1")
    x = conv(x, 768, 5, f"{name}_5x5", padding="valid")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    return layers.Dense(classes, activation, dtype="float32", name=name)(x)
