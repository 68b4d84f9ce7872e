"""SPP-net: the convolutions see the picture once; a pyramid of bins makes any region one length.

He, Zhang, Ren, Sun: Spatial pyramid pooling in deep convolutional networks for visual recognition,
ECCV 2014.
"""

import keras
from keras import layers

from kvision.layers import LocalResponseNormalization, SpatialPyramidPooling
from kvision.models.detection.fast_rcnn import HEADS, check_classes, single_map, start_from
from kvision.models.detection.region_heads import dense_head, detections
from kvision.models.detection.two_stage import RegionDetector
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, image_input, scaled, subtract_mean
from kvision.models.weights import load_weights
from kvision.registry import register

PYRAMID = (6, 3, 2, 1)  # 50 bins


@register(
    "detection",
    paper="He, Zhang, Ren, Sun: Spatial pyramid pooling in deep convolutional networks for visual "
    "recognition",
    url="https://arxiv.org/abs/1406.4729",
    year=2014,
    published={"mean_ap": 59.2},
    protocol="VOC 2007 test, five scales, with support vector machines",
    tiny={"alpha": 0.0625, "input_shape": (64, 64, 3), "classes": 4, "units": 32, "dropout": 0.0},
)
@documented
def SPPNet(
    backbone=None,
    weights=None,
    input_shape=None,
    classes=20,
    *,
    alpha=1.0,
    units=None,
    dropout=0.5,
    trainable_backbone=False,
    score_threshold=0.05,
    iou_threshold=0.3,
    most=100,
    include_preprocessing=True,
    name="spp_net",
):
    """SPP-net, the step from R-CNN to Fast R-CNN: one pass for all regions, fixed convolutions.

    `fit` and `predict` take `{"image": images, "proposals": boxes}`. Only the dense layers learn,
    so the backbone should come with weights.

    Args:
        backbone: `None` for the paper's ZF-5; a name that `kv.list_models("classification")` gives,
            or such a model, with its weights.
        input_shape: `(height, width, channels)`, any size; by default (None, None, 3). A model has
            its own.
        classes: number of classes, without the background.
        alpha: width multiplier of a backbone that is no model, and of fc6 and fc7.
        units: of fc6 and fc7; by default 4096 times `alpha`.
        dropout: fraction dropped after fc6 and fc7 in training.
        trainable_backbone: whether the convolutions learn as well. In the paper they do not.
        score_threshold: objects are left out unless their score is above this.
        iou_threshold: objects that overlap a better one of their class by more are left out.
        most: number of objects of a picture.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` and proposals
        `(batch, regions, 4)`, `rel_yxyx`, zero where padded, to a dict of `boxes`
        `(batch, most, 4)`, `classes` and `scores` `(batch, most)`.

    Differs from the paper: scores are a softmax, and boxes are learned together with them, as in
    Fast R-CNN, where the paper trains support vector machines and a regression afterwards. One
    scale, where the paper has five. ZF-5 pads so that its maps are a sixteenth of the picture.

    Reference:
        He et al., 2014, section 4, https://arxiv.org/abs/1406.4729

    Example:

    >>> model = SPPNet(alpha=0.0625, input_shape=(64, 96, 3), classes=3)
    >>> images, proposals = np.zeros((1, 64, 96, 3)), np.array([[[0.0, 0.0, 1.0, 0.5]]])
    >>> model.predict({"image": images, "proposals": proposals}, verbose=0)["boxes"].shape
    (1, 100, 4)
    """
    check_alpha("SPPNet", alpha)
    check_classes("SPPNet", classes)
    if backbone is None:
        image, maps = _zf5(input_shape or (None, None, 3), alpha, include_preprocessing)
    else:
        image, maps = single_map(backbone, "SPPNet", input_shape, alpha, include_preprocessing)
    if not trainable_backbone:
        for layer in keras.Model(image, maps).layers:
            layer.trainable = False
    proposals = keras.Input((None, 4), name="proposals")
    pool = SpatialPyramidPooling(PYRAMID, name="region_pool")
    length = sum(level**2 for level in PYRAMID) * maps.shape[-1]
    head = dense_head((length,), classes, units or scaled(4096, alpha), dropout)
    start_from(backbone, head)
    raw = {"image": image, "features": maps, "proposals": proposals}
    options = {
        "iou_threshold": iou_threshold,
        "score_threshold": score_threshold,
        "most": most,
    }
    found, _ = detections(raw, pool, head, options)
    inputs = {"image": image, "proposals": proposals}
    network = keras.Model(inputs, {**found, "raw": raw}, name=name)
    model = RegionDetector(network, regions=64, foreground=0.25, region_iou=(0.5, 0.1))
    return load_weights(model, weights, heads=HEADS)


def _zf5(input_shape, alpha, include_preprocessing):
    """Zeiler and Fergus's network, its five convolutions: the input and conv5, of stride 16."""
    image = image_input(input_shape, "SPPNet")
    x = subtract_mean(image) if include_preprocessing else image
    plan = ((96, 7, 2), (256, 5, 2), (384, 3, 1), (384, 3, 1), (256, 3, 1))
    for index, (filters, kernel_size, strides) in enumerate(plan, 1):
        x = layers.Conv2D(
            scaled(filters, alpha),
            kernel_size,
            strides=strides,
            padding="same",
            activation="relu",
            name=f"conv{index}",
        )(x)
        if strides > 1:
            x = LocalResponseNormalization(name=f"norm{index}")(x)
            x = layers.MaxPooling2D(3, 2, padding="same", name=f"pool{index}")(x)
    return image, x
