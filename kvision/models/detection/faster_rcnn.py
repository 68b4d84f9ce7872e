"""Faster R-CNN: a detector that proposes its regions itself, on the features it sees them with.

Ren, He, Girshick, Sun: Faster R-CNN: Towards real-time object detection with region proposal
networks, NIPS 2015. With a feature pyramid: Lin et al., CVPR 2017.
"""

import warnings

import keras

from kvision.layers import RoIAlign, RoIPool
from kvision.models.backbones import backbone_levels
from kvision.models.detection.fast_rcnn import (
    HEADS,
    backbone_options,
    check_classes,
    single_map,
    start_from,
)
from kvision.models.detection.feature_pyramid import LEVELS, coarser, feature_pyramid
from kvision.models.detection.region_heads import dense_head, detections, freeze_batch_norm
from kvision.models.detection.region_proposals import region_proposals
from kvision.models.detection.two_stage import TwoStageDetector
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, scaled
from kvision.models.weights import load_weights
from kvision.ops.anchors import rpn_shapes
from kvision.registry import register

SIZES = (128, 256, 512)
PYRAMID_SIZES = (32, 64, 128, 256, 512)


@register(
    "detection",
    paper="Ren, He, Girshick, Sun: Faster R-CNN: Towards real-time object detection with region "
    "proposal networks",
    url="https://arxiv.org/abs/1506.01497",
    year=2015,
    parameters=137_078_239,
    published={"mean_ap": 69.9},
    protocol="VOC 2007 test, trained on VOC 2007 trainval",
    tiny={
        "alpha": 0.0625,
        "input_shape": (64, 64, 3),
        "classes": 4,
        "filters": 16,
        "units": 32,
        "dropout": 0.0,
        "anchor_sizes": (16, 32),
        "proposals": (64, 32),
    },
)
@documented
def FasterRCNN(
    backbone="VGG16",
    weights=None,
    input_shape=None,
    classes=20,
    *,
    feature_pyramid=False,
    alpha=1.0,
    filters=None,
    units=None,
    dropout=None,
    anchor_sizes=None,
    anchor_ratios=(0.5, 1.0, 2.0),
    proposals=None,
    regions=None,
    frozen_batch_norm=False,
    score_threshold=0.05,
    iou_threshold=None,
    most=100,
    include_preprocessing=True,
    name="faster_rcnn",
):
    """Faster R-CNN, the accurate detector, where time matters less than on a phone.

    As in the paper on VGG16; or, with `feature_pyramid=True`, on every resolution of a backbone
    such as ResNet50 or MobileNetV2, which finds small objects and is lighter. Both stages learn in
    one `fit`.

    Args:
        backbone: a name that `kv.list_models("classification")` gives, or such a model, with its
            weights. Of `VGG16(include_top=True, ...)` fc6 and fc7 carry over as well. What is to
            stay as it is has `trainable=False`.
        input_shape: `(height, width, channels)`, any size; by default (None, None, 3). A model has
            its own.
        classes: number of classes, without the background.
        feature_pyramid: whether features of strides 4 to 32 are fused and all looked at, or those
            of stride 16 alone.
        alpha: width multiplier of a named backbone, and of fc6 and fc7.
        filters: of the region proposal network and of the pyramid; by default 512, with a pyramid
            256.
        units: of fc6 and fc7; by default 4096, with a pyramid 1024, times `alpha`.
        dropout: fraction dropped after fc6 and fc7 in training; by default 0.5, with a pyramid 0.
        anchor_sizes: sides of the square anchors in pixels; by default 128, 256, 512. With a
            pyramid one for each level and one more: 32, 64, 128, 256, 512. Choose them after the
            objects: small pictures need smaller ones.
        anchor_ratios: height by width of the anchors.
        proposals: regions of a picture in training and at test time; by default (2000, 300), with a
            pyramid (2000, 1000).
        regions: how many of them count in training, a quarter of them objects; by default 128, with
            a pyramid 512.
        frozen_batch_norm: whether batch normalisation stays as it is: for a pretrained backbone
            and few pictures in a batch.
        score_threshold: objects are left out unless their score is above this.
        iou_threshold: objects that overlap a better one of their class by more are left out; by
            default 0.3, with a pyramid 0.5.
        most: number of objects of a picture.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to a dict of `boxes`
        `(batch, most, 4)`, `classes` and `scores` `(batch, most)`.

    Raises:
        ValueError: where an option is out of range, or the backbone lacks a level.

    Differs from the paper: pictures are of the size that comes in; the paper's have a short side of
    600 pixels. Both stages learn at once and no gradient flows through the coordinates of the
    proposals, which the authors published later as approximate joint training. Anchors that cross
    the edge of the picture are left out of training as in the paper; with a pyramid they count.

    Reference:
        Ren et al., 2015, https://arxiv.org/abs/1506.01497; Lin et al., 2017,
        https://arxiv.org/abs/1612.03144, section 4

    Example:

    >>> model = FasterRCNN("MobileNetV2", input_shape=(64, 96, 3), classes=3, feature_pyramid=True,
    ...     filters=16, units=16, alpha=0.35, anchor_sizes=(8, 16, 32, 64, 96), proposals=(64, 16))
    >>> model.predict(np.zeros((1, 64, 96, 3)), verbose=0)["boxes"].shape
    (1, 100, 4)
    """
    check_alpha("FasterRCNN", alpha)
    check_classes("FasterRCNN", classes)
    stages = pyramid_stages if feature_pyramid else single_stages
    raw = stages(
        backbone,
        "FasterRCNN",
        input_shape,
        alpha=alpha,
        filters=filters,
        anchor_sizes=anchor_sizes,
        anchor_ratios=anchor_ratios,
        proposals=proposals,
        include_preprocessing=include_preprocessing,
    )
    if feature_pyramid:
        pool = RoIAlign(7, name="region_pool")
        units, dropout = units or scaled(1024, alpha), dropout or 0.0
        channels = raw["features"][0].shape[-1]
    else:
        anchors = rpn_shapes(anchor_sizes or SIZES, anchor_ratios)
        _warn_of_large_anchors(raw["image"].shape[1:3], anchors)
        pool = RoIPool(7, name="region_pool")
        units, dropout = units or scaled(4096, alpha), 0.5 if dropout is None else dropout
        channels = raw["features"].shape[-1]
    head = dense_head((7, 7, channels), classes, units, dropout)
    start_from(backbone, head)
    options = {
        "iou_threshold": iou_threshold or (0.5 if feature_pyramid else 0.3),
        "score_threshold": score_threshold,
        "most": most,
    }
    found, _ = detections(raw, pool, head, options)
    network = keras.Model(raw["image"], {**found, "raw": raw}, name=name)
    if frozen_batch_norm:
        freeze_batch_norm(network)
    model = TwoStageDetector(
        network, regions=regions or (512 if feature_pyramid else 128), inside=not feature_pyramid
    )
    return load_weights(model, weights, heads=HEADS)


def _warn_of_large_anchors(size, shapes):
    """Anchors that cross the edge of the picture are not trained: there must be others."""
    if None in size or any(h <= size[0] and w <= size[1] for h, w in shapes):
        return
    warnings.warn(
        "Some anchors of `FasterRCNN` should lie within the picture, because those that cross its "
        "edge are not trained: pass smaller `anchor_sizes`, or `feature_pyramid=True`. Received: a "
        f"picture of {size[0]}x{size[1]}, and anchors from {min(map(min, shapes)):.0f} pixels on",
        stacklevel=3,
    )


def single_stages(
    backbone,
    builder,
    input_shape,
    *,
    alpha=1.0,
    filters=None,
    anchor_sizes=None,
    anchor_ratios=(0.5, 1.0, 2.0),
    proposals=None,
    include_preprocessing=True,
):
    """Features of stride 16 and the regions proposed on them.

    Returns:
        A dict of what belongs into the output `raw`, with the `image` and the `features`.
    """
    image, maps = single_map(backbone, builder, input_shape, alpha, include_preprocessing)
    shapes = rpn_shapes(anchor_sizes or SIZES, anchor_ratios)
    options = {"before": (12000, 6000), "after": tuple(proposals or (2000, 300))}
    # 16 pixels where the smallest anchors are of 128.
    options["minimum_size"] = min(anchor_sizes or SIZES) / 8
    raw = region_proposals(
        image, [maps], [shapes], (16,), filters or 512, pairs=True, proposals=options
    )
    return {**raw, "image": image, "features": maps}


def pyramid_stages(
    backbone,
    builder,
    input_shape,
    *,
    alpha=1.0,
    filters=None,
    anchor_sizes=None,
    anchor_ratios=(0.5, 1.0, 2.0),
    proposals=None,
    include_preprocessing=True,
):
    """A feature pyramid and the regions proposed on it; returns as `single_stages`."""
    sizes = anchor_sizes or PYRAMID_SIZES
    if len(sizes) != len(LEVELS) + 1:
        raise ValueError(
            f"`anchor_sizes` must be {len(LEVELS) + 1} numbers in `{builder}` with a feature "
            f"pyramid, one for each level, the finest first. Received: {sizes}"
        )
    image, features = backbone_levels(
        backbone,
        builder,
        input_shape,
        wanted=LEVELS,
        default_shape=(None, None, 3),
        **backbone_options(backbone, alpha, include_preprocessing),
    )
    maps = feature_pyramid(features, filters or 256)
    shapes = [rpn_shapes((size,), anchor_ratios, base=None) for size in sizes]
    options = {"before": (2000, 1000), "after": tuple(proposals or (2000, 1000))}
    raw = region_proposals(
        image,
        [*maps, coarser(maps[-1])],
        shapes,
        (*LEVELS, 2 * LEVELS[-1]),
        filters or 256,
        pairs=False,
        proposals={**options, "minimum_size": 1},
    )
    return {**raw, "image": image, "features": maps}
