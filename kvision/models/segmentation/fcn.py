"""FCN: classifiers that give a class to every pixel.

Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, CVPR 2015.
"""

import keras
from keras import layers

from kvision.layers import CropLike, ResizeLike
from kvision.models.backbones import backbone_levels
from kvision.models.caffe import centres, padded
from kvision.models.classification.vgg import VGG16
from kvision.models.convolutionalize import convolutionalize
from kvision.models.documented import variant_of
from kvision.models.parts import image_input, scaled
from kvision.models.segmentation.parts import check_classes, probabilities
from kvision.models.segmentation.upsampling import bilinear
from kvision.models.weights import copy_weights, load_weights
from kvision.registry import register

PADDING = 100
# The strides that each network fuses, and the scales of what joins the deepest.
STAGES = {"FCN32s": (32,), "FCN16s": (32, 16), "FCN8s": (32, 16, 8)}
AT_ONCE = {16: 0.01, 8: 0.0001}
NAMES = {32: "fr", 16: "pool4", 8: "pool3"}  # of VGG16's layers, by which all levels are called
UPSCORES = {32: "upscore2", 16: "upscore_pool4"}

FACTS = {
    "task": "segmentation",
    "paper": "Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation",
    "url": "https://arxiv.org/abs/1411.4038",
    "year": 2015,
    "protocol": "VOC 2011 val, the part that is not in SBD",
    "tiny": {
        "alpha": 0.0625,
        "input_shape": (32, 32, 3),
        "classes": 4,
        "dropout": 0.0,
        "score_initializer": "glorot_uniform",
    },
}


def fcn(
    builder,
    backbone=None,
    weights=None,
    input_shape=None,
    classes=21,
    classifier_activation="softmax",
    *,
    alpha=1.0,
    dropout=0.5,
    at_once=False,
    score_initializer="zeros",
    include_preprocessing=True,
    name=None,
):
    """The networks of Fig. 3.

    Args:
        backbone: `None` for VGG16, or a classifier that ends in dense layers, such as
            `VGG16(weights="imagenet")` or `AlexNet()`: these become convolutions, and their weights
            carry over; both are padded as in the paper. The name of any registered classifier, or
            such a model of another kind, gives its levels of strides 8, 16 and 32 instead, with its
            own padding.
        weights: `None`; or the path of a `.keras` file, a run folder or a `.weights.h5` file. The
            file of the network of the stage before will do: what is new starts as in the paper.
        input_shape: `(height, width, channels)`, any size; by default (None, None, 3). A model that
            is not padded as in the paper has its own.
        alpha: width multiplier of the backbone, where it is not given as a model.
        dropout: fraction dropped in training after fc6 and fc7 of the default backbone.
        at_once: whether pool4 and pool3 are scaled by 0.01 and 0.0001, so that the whole network
            learns at once; else in stages. In `FCN32s` it changes nothing.
        score_initializer: of the kernels that give scores: `"zeros"` as in the paper, where the
            first step moves nothing but the scores, or any of Keras.
        include_preprocessing: whether pixels 0..255 go in and the backbone normalises them. A
            backbone that is given as a model has it as it was built.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to
        `(batch, height, width, classes)`.

    Raises:
        ValueError: where an option is out of range, or the backbone lacks a level.

    Differs from the paper: as its text has it, the last enlargement is fixed and those before it
    are learned; the authors' files fix them all. The published counts contain the fixed one. Biases
    learn as fast as kernels here, with twice the rate there. With a backbone that is not padded as
    in the paper nothing is cropped; maps that do not fit are resized.

    Reference:
        Long et al., 2015, https://arxiv.org/abs/1411.4038; the authors' Caffe networks,
        https://github.com/shelhamer/fcn.berkeleyvision.org
    """
    check_classes(builder, classes)
    if backbone is None or _has_dense_top(backbone):
        levels = _padded_levels(
            builder, backbone, input_shape, alpha, dropout, include_preprocessing
        )
        fuse = _fuse_cropped
    else:
        levels = _declared_levels(builder, backbone, input_shape, alpha, include_preprocessing)
        fuse = _fuse_fitted

    def score(stride):
        x = levels[stride]
        if at_once and stride in AT_ONCE:
            x = layers.Rescaling(AT_ONCE[stride], name=f"scale_{NAMES[stride]}")(x)
        name = f"score_{NAMES[stride]}"
        return layers.Conv2D(classes, 1, kernel_initializer=score_initializer, name=name)(x)

    x = fuse(builder, levels, {stride: score(stride) for stride in STAGES[builder]})
    model = keras.Model(levels["image"], probabilities(x, classifier_activation), name=name)
    heads = [layer.name for layer in model.layers if layer.name.startswith(("score", "upscore"))]
    return load_weights(model, weights, heads=heads)


def _has_dense_top(backbone):
    return isinstance(backbone, keras.Model) and any(
        isinstance(layer, layers.Flatten) for layer in backbone.layers
    )


def _padded_levels(builder, backbone, input_shape, alpha, dropout, include_preprocessing):
    """The paper's form: `{stride: maps}`, the `image` and the `centres` of the maps."""
    if backbone is None:
        channels = image_input(input_shape or (None, None, 3), builder).shape[-1]
        sliding = _sliding_vgg(channels, alpha, dropout, include_preprocessing)
    else:
        sliding = convolutionalize(backbone)
        last = [layer for layer in sliding.layers if isinstance(layer, layers.Conv2D)][-1]
        sliding = keras.Model(sliding.inputs[0], last.input)
    image = image_input(input_shape or sliding.input_shape[1:], builder)
    if image.shape[-1] != sliding.input_shape[-1]:
        raise ValueError(
            f"`input_shape` of `{builder}` must have the {sliding.input_shape[-1]} channels of its "
            f"backbone. Received: {input_shape}"
        )
    features = padded(sliding, image, PADDING, builder)
    if backbone is not None:
        copy_weights(sliding, features)
    positions = centres(features)
    levels = {"image": image, "centres": {}}
    for layer in features.layers[:-1]:
        centre, stride = positions[layer.name]
        if stride not in levels and stride in NAMES:
            levels[stride], levels["centres"][stride] = layer.output, centre
    centre, stride = positions[features.layers[-1].name]
    levels[stride], levels["centres"][stride] = features.outputs[0], centre
    if not set(STAGES[builder]) <= set(levels):
        raise ValueError(
            f"`backbone` of `{builder}` must end at a stride of 32, past all of "
            f"{STAGES[builder]}. Received: `{backbone.name}`, of stride {stride}."
        )
    return levels


def _sliding_vgg(channels, alpha, dropout, include_preprocessing):
    """VGG16 to fc7 as `convolutionalize` makes it, without ever having its dense layers."""
    vgg = VGG16(
        include_top=False,
        input_shape=(None, None, channels),
        alpha=alpha,
        include_preprocessing=include_preprocessing,
    )
    x = vgg.output
    for name, kernel_size in (("fc6", 7), ("fc7", 1)):
        x = layers.Conv2D(scaled(4096, alpha), kernel_size, activation="relu", name=name)(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return keras.Model(vgg.inputs[0], x)


def _declared_levels(builder, backbone, input_shape, alpha, include_preprocessing):
    """The levels of a registered backbone: `{stride: maps}` and the `image`."""
    options = {}
    if isinstance(backbone, str):
        options["include_preprocessing"] = include_preprocessing
        if alpha != 1.0:
            options["alpha"] = alpha
    options["default_shape"] = (None, None, 3)
    image, features = backbone_levels(backbone, builder, input_shape, STAGES[builder], **options)
    return {**features, "image": image}


def _fuse_cropped(builder, levels, scores):
    """Enlarges and adds the scores; what lies at the same pixels of the picture is found there."""
    (stride, x), *finer = scores.items()
    centre = levels["centres"][stride]
    for fine, score in finer:
        target = levels["centres"][fine]
        x, centre = _enlarged(builder, x, centre, target, stride, fine, UPSCORES[stride])
        offset = _whole(builder, (centre - target) / fine)
        score = CropLike(offset, name=f"score_{NAMES[fine]}c")([score, x])
        x, stride = layers.Add(name=f"fuse_{NAMES[fine]}")([x, score]), fine
    x, centre = _enlarged(builder, x, centre, 0.0, stride, 1, f"upscore{stride}", trainable=False)
    return CropLike(_whole(builder, -centre), name="score")([x, levels["image"]])


def _enlarged(builder, x, centre, target, stride, fine, name, **options):
    """Maps of a stride on the finer grid of others, and where their first position looks.

    The kernel is even or odd, so that the positions of both coincide.
    """
    factor = stride // fine
    odd = float((centre - target) / fine).is_integer()
    x = bilinear(x, factor, name, builder, odd, **options)
    return x, centre - fine * (2 * factor - odd - 1) / 2


def _whole(builder, offset):
    if offset < 0 or offset != int(offset):
        raise ValueError(
            f"The maps of `backbone` must lie inside of `{builder}`'s border of {PADDING} pixels "
            f"and meet on a grid. Received one off by {offset}. Pass a classifier made for "
            "pictures of about 224 pixels, or the name of a registered one, which is not padded."
        )
    return int(offset)


def _fuse_fitted(builder, levels, scores):
    """Enlarges and adds the scores, resizing what does not fit."""
    (stride, x), *finer = scores.items()
    for fine, score in finer:
        x = bilinear(x, stride // fine, UPSCORES[stride], builder, padding="same")
        x = ResizeLike(name=f"{UPSCORES[stride]}_fitted")([x, score])
        x, stride = layers.Add(name=f"fuse_{NAMES[fine]}")([x, score]), fine
    x = bilinear(x, stride, f"upscore{stride}", builder, padding="same", trainable=False)
    return ResizeLike(name="score")([x, levels["image"]])


@register(**FACTS, parameters=136_152_917, published={"mean_iou": 63.6}, twin="FCN8s")
@variant_of(fcn)
def FCN32s(**arguments):
    """FCN of stride 32: a classifier's scores, enlarged. The first stage.

    Example:

    >>> FCN32s(alpha=0.0625).output_shape
    (None, None, None, 21)
    """
    return fcn("FCN32s", **arguments)


@register(**FACTS, parameters=134_815_994, published={"mean_iou": 65.0}, twin="FCN8s")
@variant_of(fcn)
def FCN16s(**arguments):
    """FCN of stride 16: pool4 adds its scores. The second stage, from the weights of the first.

    Example:

    >>> FCN16s(alpha=0.0625).output_shape
    (None, None, None, 21)
    """
    return fcn("FCN16s", **arguments)


@register(**FACTS, parameters=134_489_759, published={"mean_iou": 65.5})
@variant_of(fcn)
def FCN8s(**arguments):
    """FCN of stride 8: pool4 and pool3 add their scores, for finer outlines. The third stage.

    Example:

    >>> FCN8s("MobileNetV2", input_shape=(96, 96, 3), classes=5).output_shape
    (None, 96, 96, 5)
    """
    return fcn("FCN8s", **arguments)
