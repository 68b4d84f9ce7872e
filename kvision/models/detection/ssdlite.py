"""SSDLite: SSD with separable convolutions on MobileNetV2, for phones.

Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2, CVPR 2018, section 6.2.
"""

import inspect

import keras
import numpy as np
from keras import layers

from kvision import registry
from kvision.models.backbones import backbone_levels
from kvision.models.detection.single_shot import (
    SingleShotDetector,
    check_classes,
    check_known_size,
    class_heads,
    single_shot_network,
)
from kvision.models.documented import documented
from kvision.models.parts import check_alpha
from kvision.models.weights import load_weights
from kvision.ops.anchors import ssd_shapes, ssdlite_shapes
from kvision.ops.boxes import VARIANCES
from kvision.registry import register

EXTRAS = (512, 256, 256, 128)  # filters of the levels beyond the backbone


@register(
    "detection",
    paper="Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: inverted residuals and linear "
    "bottlenecks",
    url="https://arxiv.org/abs/1801.04381",
    year=2018,
    parameters=4_337_013,
    multiply_adds=788_830_144,
    published={"mean_ap": 22.1},
    protocol="COCO test-dev 2017, AP at IoU 0.50 to 0.95",
    mobile=True,
    tiny={
        "backbone": "VGG11",
        "alpha": 0.0625,
        "input_shape": (64, 64, 3),
        "classes": 4,
        "strides": (32,),
    },
)
@documented
def SSDLite(
    backbone="MobileNetV2",
    weights=None,
    input_shape=(320, 320, 3),
    classes=80,
    *,
    strides=(16, 32),
    scales=(0.2, 0.95),
    reduce_first_level=True,
    alpha=1.0,
    iou_threshold=0.6,
    score_threshold=0.01,
    most=100,
    batch_norm_momentum=0.9,
    include_preprocessing=True,
    name="ssdlite",
):
    """SSDLite, the first choice for finding objects on a phone.

    Args:
        backbone: a name of `kv.list_models("classification")`, or such a model with its weights,
            e.g. `MobileNetV2(include_top=False, weights="imagenet", input_shape=(320, 320, 3))`.
            It must have features of the `strides`.
        weights: `None`; or the path of a `.keras` file, a run folder or a `.weights.h5` file. Where
            the number of classes differs, the layers of the class scores start afresh.
        input_shape: `(height, width, channels)`; any size that is known. A model has its own.
        classes: number of classes, without the background.
        strides: of the backbone's levels that find objects. `(8, 16, 32)` finds smaller ones, for a
            fifth more multiply-adds and four times the anchors.
        scales: sides of the anchors of the finest and of the coarsest level, as shares of the
            picture's shorter side; those between are evenly spaced.
        reduce_first_level: whether the finest level has three anchors, a square of half its scale
            and two oblong ones, as the authors' has, where others have six, two squares of its
            scale and a little more among them. Without it, `scales` may begin near the smallest
            objects: where all are of much the same size, most are found on the finest level.
        alpha: width multiplier of a named backbone and of the levels beyond it.
        iou_threshold: of two boxes of one class that overlap by more, the one of lower score goes.
        score_threshold: boxes of lower scores are left out.
        most: number of boxes that come out.

    Returns:
        A `SingleShotDetector`: a `keras.Model` from pixels `(batch, height, width, channels)` to a
        dict of `boxes` `(batch, most, 4)`, `classes` and `scores` `(batch, most)`, and `raw`.
        Compile it with an optimizer alone.
        `SingleShotDetector(model.network, focal_gamma=2.0)` learns otherwise than SSD.

    Differs from the paper: it does not say which boxes it has; sizes and shapes, separable extra
    levels and the predictors' normalisation are those of the authors' TensorFlow models. Levels
    beyond one of a single position are left out, so that small pictures have fewer than six. A
    softmax with a background is trained with hard negatives, as in SSD.

    Reference:
        Sandler et al., 2018, https://arxiv.org/abs/1801.04381, section 6.2

    Example:

    >>> model = SSDLite(alpha=0.35, input_shape=(96, 128, 3), classes=5)
    >>> {key: tuple(model.output[key].shape) for key in ("boxes", "scores")}
    {'boxes': (None, 100, 4), 'scores': (None, 100)}
    """
    check_alpha("SSDLite", alpha)
    check_classes("SSDLite", classes)
    if len(scales) != 2 or not 0 < scales[0] <= scales[1]:
        raise ValueError(
            "`scales` must be two rising numbers above 0 in `SSDLite`, shares of the picture. "
            f"Received: {scales}"
        )
    image, maps = _backbone(
        backbone,
        input_shape,
        strides,
        {
            "alpha": alpha,
            "batch_norm_momentum": batch_norm_momentum,
            "include_preprocessing": include_preprocessing,
        },
    )
    block = Separable(batch_norm_momentum)
    for index, filters in enumerate(EXTRAS, 1):
        if max(maps[-1].shape[1:3]) == 1:
            break
        filters = max(16, int(filters * alpha))
        x = block.pointwise(maps[-1], filters // 2, f"extra{index}_narrow")
        x = block.depthwise(x, f"extra{index}_depthwise", strides=2)
        maps.append(block.pointwise(x, filters, f"extra{index}"))
    network = single_shot_network(
        image,
        maps,
        _shapes(len(maps), image.shape[1:3], scales, reduce_first_level),
        classes,
        block.predictor,
        variances=VARIANCES,
        detections={
            "iou_threshold": iou_threshold,
            "score_threshold": score_threshold,
            "most": most,
        },
        name=name,
    )
    model = SingleShotDetector(network)
    return load_weights(model, weights, heads=class_heads(model))


def _shapes(levels, size, scales, reduce_first_level):
    if reduce_first_level:
        return ssdlite_shapes(levels, size, scales)
    sides = np.linspace(*scales, levels) * min(size)
    return ssd_shapes([*sides, min(size)], [True] * levels)


def _backbone(backbone, input_shape, strides, options):
    """The input, and the backbone's levels as a list, finest first."""
    if not strides:
        raise ValueError(
            "`strides` must name a level of the backbone at least in `SSDLite`, such as (16, 32). "
            f"Received: {strides}"
        )
    if isinstance(backbone, str):
        known = inspect.signature(registry.model_info(backbone).builder).parameters
        options = {key: value for key, value in options.items() if key in known}
    else:
        options, input_shape = {}, None
    image, features = backbone_levels(backbone, "SSDLite", input_shape, strides, **options)
    check_known_size("SSDLite", image.shape[1:3])
    return image, list(features.values())


class Separable:
    """Convolutions with batch normalisation and ReLU6, as MobileNetV2's, and predictors of them."""

    def __init__(self, momentum):
        self.momentum = momentum

    def depthwise(self, x, name, strides=1):
        convolution = layers.DepthwiseConv2D(
            3, strides=strides, padding="same", use_bias=False, name=name
        )
        return self._normalized(convolution(x), name)

    def pointwise(self, x, filters, name):
        return self._normalized(layers.Conv2D(filters, 1, use_bias=False, name=name)(x), name)

    def predictor(self, x, filters, name, bias_initializer):
        x = self.depthwise(x, f"{name}_depthwise")
        return layers.Conv2D(
            filters,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=bias_initializer,
            name=name,
        )(x)

    def _normalized(self, x, name):
        normalization = layers.BatchNormalization(
            epsilon=1e-3, momentum=self.momentum, name=f"{name}_bn"
        )
        return layers.ReLU(6.0, name=f"{name}_relu")(normalization(x))
