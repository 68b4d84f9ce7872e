"""VGG: depth out of 3x3 convolutions.

Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition, ICLR 2015.
"""

import keras
from keras import layers

from kvision.layers import LocalResponseNormalization
from kvision.models.classification.parts import dense_classifier
from kvision.models.documented import variant_of
from kvision.models.parts import check_alpha, image_input, scaled, subtract_mean
from kvision.models.weights import load_weights, official
from kvision.registry import register

FILTERS = (64, 128, 256, 512, 512)
# Table 1: the kernel sizes of each of the five stages.
A = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B = ((3, 3),) * 5
C = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E = ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))

FACTS = {
    "task": "classification",
    "paper": "Simonyan, Zisserman: Very deep convolutional networks for large-scale image "
    "recognition",
    "url": "https://arxiv.org/abs/1409.1556",
    "year": 2014,
    "protocol": "dense, one scale of 256",  # Table 3
    "tiny": {"alpha": 0.125, "input_shape": (32, 32, 3), "classes": 4, "dropout": 0.0},
}


def vgg(
    network,
    include_top=True,
    weights=None,
    input_shape=(224, 224, 3),
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    dropout=0.5,
    include_preprocessing=True,
    name=None,
):
    """The networks of Table 1.

    Args:
        input_shape: `(height, width, channels)`, at least 32 on each side. With
            `include_top=True` the size must be known.
        dropout: fraction dropped after fc6 and fc7 in training.
        include_preprocessing: whether pixels 0..255 go in and the model turns them to blue, green,
            red less ImageNet's mean itself.

    Differs from the paper: weights start as Glorot and Bengio's, which the paper found to need no
    pre-training, where it used a normal distribution and pre-training with configuration A.

    Reference:
        Simonyan and Zisserman, 2014, https://arxiv.org/abs/1409.1556
    """
    builder, stages = network
    check_alpha(builder, alpha)
    inputs = image_input(input_shape, builder, minimum=32)
    x = subtract_mean(inputs, bgr=True) if include_preprocessing else inputs
    for stage, (filters, kernel_sizes) in enumerate(zip(FILTERS, stages, strict=True), 1):
        for index, kernel_size in enumerate(kernel_sizes, 1):
            x = layers.Conv2D(
                scaled(filters, alpha),
                kernel_size,
                padding="same",
                activation="relu",
                name=f"conv{stage}_{index}",
            )(x)
            if builder == "VGG11LRN" and stage == 1:
                x = LocalResponseNormalization(name="norm1")(x)
        x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
    units = scaled(4096, alpha)
    top = (include_top, pooling, classes, classifier_activation)
    x = dense_classifier(x, *top, units, dropout, input_shape, builder)
    return load_weights(keras.Model(inputs, x, name=name), weights, official(builder))


def levels(stages, first=None):
    """The last layer of each resolution."""
    last = [f"conv{stage}_{len(sizes)}" for stage, sizes in enumerate(stages, 1)]
    return (first or last[0], *last[1:], "pool5")


@register(
    **FACTS,
    parameters=132_863_336,
    multiply_adds=7_609_090_048,
    published={"top1": 29.6, "top5": 10.4},
    levels=levels(A),
    twin="VGG16",
)
@variant_of(vgg)
def VGG11(**arguments):
    """VGG of 11 layers: configuration A.

    Example:

    >>> VGG11(alpha=0.125, classes=5).output_shape
    (None, 5)
    """
    return vgg(("VGG11", A), **arguments)


@register(
    **FACTS,
    parameters=132_863_336,
    multiply_adds=7_609_090_048,
    published={"top1": 29.7, "top5": 10.5},
    levels=levels(A, "norm1"),
)
@variant_of(vgg)
def VGG11LRN(**arguments):
    """VGG11 with AlexNet's local response normalisation, which did not help: configuration A-LRN.

    Example:

    >>> VGG11LRN(alpha=0.125, classes=5).output_shape
    (None, 5)
    """
    return vgg(("VGG11LRN", A), **arguments)


@register(
    **FACTS,
    parameters=133_047_848,
    multiply_adds=11_308_466_176,
    published={"top1": 28.7, "top5": 9.9},
    levels=levels(B),
    twin="VGG16",
)
@variant_of(vgg)
def VGG13(**arguments):
    """VGG of 13 layers: configuration B.

    Example:

    >>> VGG13(alpha=0.125, classes=5).output_shape
    (None, 5)
    """
    return vgg(("VGG13", B), **arguments)


@register(
    **FACTS,
    parameters=133_638_952,
    multiply_adds=11_770_888_192,
    published={"top1": 28.1, "top5": 9.4},
    levels=levels(C),
    twin="VGG16",
)
@variant_of(vgg)
def VGG16C(**arguments):
    """VGG of 16 layers, three of them 1x1: configuration C.

    Example:

    >>> VGG16C(alpha=0.125, classes=5).get_layer("conv5_3").kernel_size
    (1, 1)
    """
    return vgg(("VGG16C", C), **arguments)


@register(
    **FACTS,
    parameters=138_357_544,
    multiply_adds=15_470_264_320,
    published={"top1": 27.0, "top5": 8.8},
    levels=levels(D),
)
@variant_of(vgg)
def VGG16(**arguments):
    """VGG of 16 layers, the backbone of FCN, Fast R-CNN and SSD: configuration D.

    keras.applications' weights fit.

    Example:

    >>> VGG16(alpha=0.125, include_top=False).output_shape
    (None, 7, 7, 64)
    """
    return vgg(("VGG16", D), **arguments)


@register(
    **FACTS,
    parameters=143_667_240,
    multiply_adds=19_632_062_464,
    published={"top1": 27.3, "top5": 9.0},
    levels=levels(E),
    twin="VGG16",
)
@variant_of(vgg)
def VGG19(**arguments):
    """VGG of 19 layers, whose features neural style transfer uses: configuration E.

    keras.applications' weights fit.

    Example:

    >>> VGG19(alpha=0.125, include_top=False, pooling="avg").output_shape
    (None, 64)
    """
    return vgg(("VGG19", E), **arguments)
