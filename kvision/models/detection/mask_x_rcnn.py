"""Mask^X R-CNN: masks for classes that had only boxes in training.

Hu, Dollar, He, Darrell, Girshick: Learning to segment every thing, CVPR 2018.
"""

import keras
from keras import layers

from kvision.layers import (
    DenseWithKernel,
    MasksOfClasses,
    MergeRegions,
    RoIAlign,
    SplitRegions,
    TransferredConv2D,
)
from kvision.models.detection.fast_rcnn import HEADS, check_classes
from kvision.models.detection.faster_rcnn import pyramid_stages
from kvision.models.detection.mask_rcnn import MaskDetector
from kvision.models.detection.region_heads import (
    dense_head,
    detections,
    enlarged,
    freeze_batch_norm,
)
from kvision.models.detection.two_stage import pooled
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, scaled
from kvision.models.weights import load_weights
from kvision.registry import register


@keras.saving.register_keras_serializable(package="kvision")
class TransferredMaskDetector(MaskDetector):
    """A `MaskDetector` whose mask head is made from the weights of its box head."""

    def mask_logits(self, features, answers):
        return self.get_layer("mask_head")(mask_inputs(features, answers))


@register(
    "detection",
    paper="Hu, Dollar, He, Darrell, Girshick: Learning to segment every thing",
    url="https://arxiv.org/abs/1711.10370",
    year=2018,
    protocol="COCO val2017, masks of VOC's 20 classes in training, of the other 60 at test time",
    tiny={
        "backbone": "VGG11",
        "alpha": 0.0625,
        "input_shape": (64, 64, 3),
        "classes": 4,
        "filters": 8,
        "units": 32,
        "anchor_sizes": (8, 16, 32, 48, 64),
        "proposals": (64, 32),
        "regions": 64,
        "most": 10,
    },
)
@documented
def MaskXRCNN(
    backbone="ResNet50",
    weights=None,
    input_shape=None,
    classes=80,
    *,
    mask_classes=None,
    agnostic_branch=True,
    alpha=1.0,
    filters=256,
    units=None,
    anchor_sizes=None,
    anchor_ratios=(0.5, 1.0, 2.0),
    proposals=None,
    regions=512,
    frozen_batch_norm=False,
    score_threshold=0.05,
    iou_threshold=0.5,
    most=100,
    include_preprocessing=True,
    name="mask_x_rcnn",
):
    """Mask^X R-CNN, where all objects have boxes and only those of some classes have masks.

    Boxes are cheap to draw, masks are not. What the detector has learned of a class, the weights of
    its score and of its box, is turned into the weights of its mask by a function that all classes
    share.

    Args:
        backbone: a name that `kv.list_models("classification")` gives, or such a model, with its
            weights.
        input_shape: `(height, width, channels)`, any size; by default (None, None, 3). A model has
            its own.
        classes: number of classes, without the background.
        mask_classes: those whose objects have masks in training, such as `[0, 1, 2]`; `None` for
            all. Masks of other objects may be anything; they are not looked at.
        agnostic_branch: whether a mask that does not depend on the class, of one dense layer, is
            added to that of the class.
        alpha: width multiplier of a named backbone, and of fc6 and fc7.
        filters: of the pyramid, of the region proposal network and of the mask head, and units of
            the transfer function's hidden layer.
        units: of fc6 and fc7; by default 1024 times `alpha`.
        anchor_sizes: sides of the square anchors in pixels, one for each level and one more; by
            default 32, 64, 128, 256, 512. Choose them after the objects: small pictures need
            smaller ones.
        anchor_ratios: height by width of the anchors.
        proposals: regions of a picture in training and at test time; by default (2000, 1000).
        regions: how many of them count in training, a quarter of them objects.
        frozen_batch_norm: whether batch normalisation stays as it is: for a pretrained backbone
            and few pictures in a batch.
        score_threshold: objects are left out unless their score is above this.
        iou_threshold: objects that overlap a better one of their class by more are left out.
        most: number of objects of a picture.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to a dict of `boxes`
        `(batch, most, 4)`, `classes` and `scores` `(batch, most)`, and `masks`
        `(batch, most, 28, 28)`: the probability of each part of the box to be the object's.

    Raises:
        ValueError: where an option is out of range, or the backbone lacks a level.

    Differs from the paper: pictures are of the size that comes in. The branch that does not depend
    on the class is one dense layer, as in the authors' released networks.

    Reference:
        Hu et al., 2018, section 3, https://arxiv.org/abs/1711.10370

    Example:

    >>> model = MaskXRCNN("MobileNetV2", input_shape=(64, 96, 3), classes=3, mask_classes=[0, 1],
    ...     filters=8, units=16, alpha=0.35, anchor_sizes=(8, 16, 32, 64, 96),
    ...     proposals=(64, 16), most=10)
    >>> model.predict(np.zeros((1, 64, 96, 3)), verbose=0)["masks"].shape
    (1, 10, 28, 28)
    """
    check_alpha("MaskXRCNN", alpha)
    check_classes("MaskXRCNN", classes)
    if mask_classes is not None and not set(mask_classes) <= set(range(classes)):
        raise ValueError(
            f"`mask_classes` must be among 0..{classes - 1} in `MaskXRCNN`, the {classes} classes. "
            f"Received: {mask_classes}"
        )
    raw = pyramid_stages(
        backbone,
        "MaskXRCNN",
        input_shape,
        alpha=alpha,
        filters=filters,
        anchor_sizes=anchor_sizes,
        anchor_ratios=anchor_ratios,
        proposals=proposals,
        include_preprocessing=include_preprocessing,
    )
    head = dense_head(
        (7, 7, filters), classes, units or scaled(1024, alpha), scores=DenseWithKernel
    )
    options = {
        "iou_threshold": iou_threshold,
        "score_threshold": score_threshold,
        "most": most,
    }
    found, answers = detections(raw, RoIAlign(7, name="region_pool"), head, options)
    features = RoIAlign(14, name="mask_pool")(pooled(raw["features"], found["boxes"], raw["image"]))
    logits = _mask_head(answers, filters, agnostic_branch)(mask_inputs(features, answers))
    masks = MasksOfClasses(name="class_masks")([logits, found["classes"]])
    network = keras.Model(raw["image"], {**found, "masks": masks, "raw": raw}, name=name)
    if frozen_batch_norm:
        freeze_batch_norm(network)
    model = TransferredMaskDetector(network, regions=regions, mask_classes=mask_classes)
    return load_weights(model, weights, heads=HEADS)


def mask_inputs(features, answers):
    """What the mask head is called with: features of regions, and the box head's kernels."""
    return [features, answers["logits_kernel"], answers["offsets_kernel"]]


def _mask_head(answers, filters, agnostic_branch):
    """Mask R-CNN's, but for its last convolution, whose weights are transferred."""
    regions = keras.Input((None, 14, 14, filters), name="regions")
    kernels = [
        keras.Input(batch_shape=answers[key].shape, name=key)
        for key in ("logits_kernel", "offsets_kernel")
    ]
    features = enlarged(MergeRegions(name="merged")(regions), filters, convolutions=4)
    x = TransferredConv2D(filters, name="transfer")([features, *kernels])
    if agnostic_branch:
        rows, columns = features.shape[1:3]
        same = layers.Dense(rows * columns, name="agnostic")(layers.Flatten()(features))
        same = layers.Reshape((rows, columns, 1), name="agnostic_mask")(same)
        x = layers.Add(name="fused")([x, same])
    x = SplitRegions(name="split")([x, regions])
    return keras.Model([regions, *kernels], x, name="mask_head")
