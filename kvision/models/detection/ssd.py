"""SSD: boxes of every size from feature maps of every size, in one pass.

Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg: SSD: single shot multibox detector, ECCV 2016.
"""

import keras
import numpy as np
from keras import layers

from kvision.layers import L2Normalization
from kvision.models.classification.vgg import FILTERS, D
from kvision.models.detection.single_shot import (
    SingleShotDetector,
    check_classes,
    check_known_size,
    class_heads,
    single_shot_network,
)
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, scaled, subtract_mean
from kvision.models.weights import copy_weights, load_weights
from kvision.ops.anchors import ssd_shapes
from kvision.ops.boxes import VARIANCES
from kvision.registry import register

# Sides of the anchors, in pixels of a picture of 300: one more than there are levels.
SIZES = {
    "voc": (30, 60, 111, 162, 213, 264, 315),
    "coco": (21, 45, 99, 153, 207, 261, 315),
}
# Whether each level's anchors are also three times as long as wide: six shapes instead of four.
LONG = (False, True, True, True, False, False)
# Pixels between the anchors of each level; the last levels divide the picture evenly.
STRIDES = (8, 16, 32, 64, None, None)
# Levels beyond fc7: filters of their 1x1 and their 3x3 convolution, stride, padding.
EXTRAS = ((256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 1, 0), (128, 256, 1, 0))


@register(
    "detection",
    paper="Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg: SSD: single shot multibox detector",
    url="https://arxiv.org/abs/1512.02325",
    year=2016,
    parameters=26_285_486,
    multiply_adds=31_373_537_792,
    published={"mean_ap": 77.2},
    protocol="VOC 2007 test, trained on VOC 2007 and 2012",
    tiny={"alpha": 0.0625, "input_shape": (96, 96, 3), "classes": 4},
)
@documented
def SSD300(
    backbone=None,
    weights=None,
    input_shape=(300, 300, 3),
    classes=20,
    *,
    sizes="voc",
    alpha=1.0,
    iou_threshold=0.45,
    score_threshold=0.01,
    most=100,
    include_preprocessing=True,
    name="ssd300",
):
    """SSD on VGG16: a strong and simple detector; for phones there is `SSDLite`.

    VGG16's convolutions have the names of `kv.models.VGG16`.

    Args:
        backbone: `None`, or a model of `kv.models.VGG16` whose weights are copied, such as
            `VGG16(weights="imagenet")`. Its dense layers, where it has them, are thinned out to
            fc6 and fc7: every third of the 7x7 positions, one unit of four.
        weights: `None`; or the path of a `.keras` file, a run folder or a `.weights.h5` file. Where
            the number of classes differs, the layers of the class scores start afresh.
        input_shape: `(height, width, channels)`, at least 32 on each side. With other sizes the
            anchors are the same shares of the shorter side, and levels that would be empty are
            left out.
        classes: number of classes, without the background.
        sizes: sides of the anchors: `"voc"`, `"coco"`, whose objects are smaller, or seven numbers
            in pixels of a picture of 300. A level's anchors are of its number, and of the geometric
            mean of that and the next.
        alpha: width multiplier of VGG16 and of the levels beyond it.
        iou_threshold: of two boxes of one class that overlap by more, the one of lower score goes.
        score_threshold: boxes of lower scores are left out.
        most: number of boxes that come out.

    Returns:
        A `SingleShotDetector`: a `keras.Model` from pixels `(batch, height, width, channels)` to a
        dict of `boxes` `(batch, most, 4)`, `classes` and `scores` `(batch, most)`, and `raw`.
        Compile it with an optimizer alone. It learns as in the paper;
        `SingleShotDetector(model.network, focal_gamma=2.0)` learns otherwise.

    Differs from the paper: at most 100 boxes come out, not 200. The class scores' bias starts so
    that an anchor holds an object with a probability of 0.01. Weight decay is the optimizer's.

    Reference:
        Liu et al., 2016, https://arxiv.org/abs/1512.02325, Fig. 2

    Example:

    >>> model = SSD300(alpha=0.125)
    >>> {key: tuple(model.output[key].shape) for key in ("boxes", "scores")}
    {'boxes': (None, 100, 4), 'scores': (None, 100)}
    """
    check_alpha("SSD300", alpha)
    check_classes("SSD300", classes)
    sizes = _checked_sizes(sizes)
    image = image_input(input_shape, "SSD300", minimum=32)
    check_known_size("SSD300", image.shape[1:3])
    x = subtract_mean(image, bgr=True) if include_preprocessing else image
    maps = _extra_levels(_reduced_vgg(x, alpha), alpha)
    maps[0] = L2Normalization(scale=20.0, name="conv4_3_norm")(maps[0])
    side = min(image.shape[1:3])
    network = single_shot_network(
        image,
        maps,
        ssd_shapes([size * side / 300 for size in sizes], LONG)[: len(maps)],
        classes,
        _predictor,
        variances=VARIANCES,
        strides=STRIDES[: len(maps)],
        detections={
            "iou_threshold": iou_threshold,
            "score_threshold": score_threshold,
            "most": most,
        },
        name=name,
    )
    model = SingleShotDetector(network)
    if backbone is not None:
        _copy_vgg(backbone, model)
    return load_weights(model, weights, heads=class_heads(model))


def _checked_sizes(sizes):
    if isinstance(sizes, str) and sizes in SIZES:
        return SIZES[sizes]
    if (
        not isinstance(sizes, (tuple, list))
        or len(sizes) != len(LONG) + 1
        or not all(isinstance(size, (int, float)) and size > 0 for size in sizes)
    ):
        raise ValueError(
            f"`sizes` must be one of {tuple(SIZES)} or {len(LONG) + 1} numbers greater than 0 in "
            f"`SSD300`. Received: {sizes!r}"
        )
    return sizes


def _reduced_vgg(x, alpha):
    """VGG16 with convolutions for dense layers: conv4_3, and fc7 at half its resolution."""
    for stage, (filters, kernel_sizes) in enumerate(zip(FILTERS, D, strict=True), 1):
        for index, kernel_size in enumerate(kernel_sizes, 1):
            x = layers.Conv2D(
                scaled(filters, alpha),
                kernel_size,
                padding="same",
                activation="relu",
                name=f"conv{stage}_{index}",
            )(x)
        if stage == 4:
            conv4_3 = x
        size, strides = (2, 2) if stage < 5 else (3, 1)
        # Incomplete windows at the right and below count, as in Caffe.
        x = layers.MaxPooling2D(size, strides, padding="same", name=f"pool{stage}")(x)
    units = scaled(1024, alpha)
    x = layers.Conv2D(units, 3, padding="same", dilation_rate=6, activation="relu", name="fc6")(x)
    return [conv4_3, layers.Conv2D(units, 1, activation="relu", name="fc7")(x)]


def _extra_levels(maps, alpha):
    """The levels beyond fc7, as many as the picture has room for."""
    for level, (narrow, wide, strides, padding) in enumerate(EXTRAS, 6):
        sides = maps[-1].shape[1:3]
        if max(sides) == 1 or min(sides) + 2 * padding < 3:
            break
        x = layers.Conv2D(scaled(narrow, alpha), 1, activation="relu", name=f"conv{level}_1")(
            maps[-1]
        )
        if padding:
            x = layers.ZeroPadding2D(padding, name=f"conv{level}_pad")(x)
        x = layers.Conv2D(
            scaled(wide, alpha), 3, strides=strides, activation="relu", name=f"conv{level}_2"
        )(x)
        maps = [*maps, x]
    return maps


def _predictor(x, filters, name, bias_initializer):
    return layers.Conv2D(
        filters,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=bias_initializer,
        name=name,
    )(x)


def _copy_vgg(backbone, model):
    """Copies VGG16's convolutions, and fc6 and fc7 out of its dense layers."""
    names = {f"conv{stage}_{i + 1}" for stage, sizes in enumerate(D, 1) for i in range(len(sizes))}
    theirs = {layer.name: layer for layer in getattr(backbone, "layers", ())}
    if not names <= set(theirs):
        raise ValueError(
            "`backbone` of `SSD300` must be None or a model of `kv.models.VGG16`. "
            f"Received: {getattr(backbone, 'name', backbone)!r}"
        )
    copy_weights(backbone, model, skip={layer.name for layer in model.layers} - names)
    window = theirs["flatten"].input.shape[1:] if "flatten" in theirs else (0, 0)
    if min(window[:2]) >= 3:
        _thin_out(theirs["fc6"], window, model.get_layer("fc6"))
        _thin_out(theirs["fc7"], (1, 1, theirs["fc6"].units), model.get_layer("fc7"))


def _thin_out(dense, window, convolution):
    """A dense layer over a window as a smaller convolution: positions and units evenly spread."""
    kernel, bias = dense.get_weights()
    kernel = kernel.reshape(*window, dense.units)
    for axis, size in enumerate(convolution.kernel.shape):
        kept = np.linspace(0, kernel.shape[axis] - 1, size).round().astype(int)
        kernel = np.take(kernel, kept, axis)
    convolution.set_weights([kernel, np.take(bias, kept)])
