"""Mask R-CNN: Faster R-CNN that also says which pixels of a box are the object's.

He, Gkioxari, Dollar, Girshick: Mask R-CNN, ICCV 2017.
"""

import keras
from keras import ops

from kvision.layers import MasksOfClasses, RoIAlign
from kvision.layers.regions.masks_of_classes import logits_of
from kvision.losses.regions import mask_loss, mask_targets
from kvision.models.detection.fast_rcnn import HEADS, check_classes, start_from
from kvision.models.detection.faster_rcnn import PYRAMID_SIZES, pyramid_stages, single_stages
from kvision.models.detection.region_heads import (
    dense_head,
    detections,
    freeze_batch_norm,
    mask_head,
    pooled_head,
    residual_trunk,
)
from kvision.models.detection.two_stage import TwoStageDetector, pooled
from kvision.models.documented import documented
from kvision.models.parts import check_alpha, scaled
from kvision.models.weights import load_weights
from kvision.registry import register


@keras.saving.register_keras_serializable(package="kvision")
class MaskDetector(TwoStageDetector):
    """A detector of two stages that masks its objects: Mask R-CNN, Mask^X R-CNN.

    Fitted with `kv.data.batches(..., target="objects", masks=True)`. Only the mask of the true
    class is learned, at regions that hold an object.

    Args:
        inputs: as for `TwoStageDetector`, with the layer `mask_head` from the features of regions,
            and perhaps `mask_pool`, which pools these; its outputs have `masks`.
        outputs: must be `None`.
        name: of the model.
        mask_classes: the classes whose objects have masks in training; `None` for all. Masks of
            others are not looked at.
        **kwargs: of `TwoStageDetector`.

    Raises:
        ValueError: where `mask_classes` are not whole numbers from 0.
    """

    loss_names = (*TwoStageDetector.loss_names, "mask_loss")

    def __init__(self, inputs, outputs=None, name=None, *, mask_classes=None, **kwargs):
        super().__init__(inputs, outputs, name, **kwargs)
        if mask_classes is not None:
            mask_classes = sorted(set(mask_classes))
            if not mask_classes or any(not isinstance(c, int) or c < 0 for c in mask_classes):
                raise ValueError(
                    "`mask_classes` must be None or whole numbers from 0, at least one. "
                    f"Received: {mask_classes}"
                )
        self.mask_classes = mask_classes

    def losses_of(self, truth, outputs):
        if "masks" not in truth:
            raise ValueError(
                f"`{self.name}` must be fitted with truth that has 'masks', as from "
                "kv.data.batches(..., target='objects', masks=True). Received: "
                f"{sorted(truth)}"
            )
        return super().losses_of(truth, outputs)

    def region_losses(self, truth, sample, features, answers, outputs):
        losses = super().region_losses(truth, sample, features, answers, outputs)
        # Objects come first in a sample, and there are no more of them.
        few = max(1, int(self.regions * self.foreground))
        boxes, state, index, labels = (
            sample[key][:, :few] for key in ("boxes", "state", "index", "labels")
        )
        features = self.mask_features(features[:, :few], boxes, outputs["raw"])
        logits = logits_of(self.mask_logits(features, answers), labels - 1)
        targets = mask_targets(truth["masks"], index, boxes, logits.shape[2])
        counts = state == 1
        if self.mask_classes is not None:
            known = ops.convert_to_tensor(self.mask_classes, "int32")
            counts = counts & ops.any(labels[..., None] - 1 == known, axis=-1)
        return {**losses, "mask_loss": mask_loss(targets, logits, counts)}

    def mask_features(self, features, boxes, raw):
        """What the mask head sees: the box head's features, or others where they have a pool."""
        if any(layer.name == "mask_pool" for layer in self.layers):
            return self.get_layer("mask_pool")(pooled(raw["features"], boxes, raw["image"]))
        return features

    def mask_logits(self, features, answers):
        return self.get_layer("mask_head")(features)

    def get_config(self):
        return {**super().get_config(), "mask_classes": self.mask_classes}


@register(
    "detection",
    paper="He, Gkioxari, Dollar, Girshick: Mask R-CNN",
    url="https://arxiv.org/abs/1703.06870",
    year=2017,
    protocol="COCO test-dev; mask AP 35.7 of ResNet101 with a pyramid, 33.1 without",
    tiny={
        "backbone": "VGG11",
        "alpha": 0.0625,
        "input_shape": (64, 64, 3),
        "classes": 4,
        "filters": 16,
        "units": 32,
        "anchor_sizes": (8, 16, 32, 48, 64),
        "proposals": (64, 32),
        "regions": 64,
        "most": 10,
    },
)
@documented
def MaskRCNN(
    backbone="ResNet50",
    weights=None,
    input_shape=None,
    classes=80,
    *,
    feature_pyramid=True,
    alpha=1.0,
    filters=None,
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
    name="mask_rcnn",
):
    """Mask R-CNN, for each object by itself: its class, its box and its pixels.

    `kv.ops.masks.paste_masks` puts the masks, which are in the frame of their boxes, into the
    picture. Without a feature pyramid it is the paper's C4 network: conv5 of the ResNet works on
    each region, and masks are 14x14.

    Args:
        backbone: a name that `kv.list_models("classification")` gives, or such a model, with its
            weights. Without a pyramid conv5 of a ResNet of bottlenecks carries over as well.
        input_shape: `(height, width, channels)`, any size; by default (None, None, 3). A model has
            its own.
        classes: number of classes, without the background.
        feature_pyramid: whether features of strides 4 to 32 are fused and all looked at, or those
            of stride 16 alone.
        alpha: width multiplier of a named backbone, and of fc6 and fc7.
        filters: of the pyramid, of the region proposal network and of the mask head; by default
            256, without a pyramid 512 for the region proposals.
        units: of fc6 and fc7; by default 1024 times `alpha`. Without a pyramid there are none.
        anchor_sizes: sides of the square anchors in pixels; by default 32, 64, 128, 256, 512. With
            a pyramid one for each level and one more. Choose them after the objects: small pictures
            need smaller ones.
        anchor_ratios: height by width of the anchors.
        proposals: regions of a picture in training and at test time; by default (2000, 1000),
            without a pyramid (2000, 300).
        regions: how many of them count in training, a quarter of them objects.
        frozen_batch_norm: whether batch normalisation stays as it is: for a pretrained backbone
            and few pictures in a batch. That of conv5 on regions always does.
        score_threshold: objects are left out unless their score is above this.
        iou_threshold: objects that overlap a better one of their class by more are left out.
        most: number of objects of a picture.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, channels)` to a dict of `boxes`
        `(batch, most, 4)`, `classes` and `scores` `(batch, most)`, and `masks`
        `(batch, most, 28, 28)`: the probability of each part of the box to be the object's.

    Raises:
        ValueError: where an option is out of range, or the backbone lacks a level.

    Differs from the paper: pictures are of the size that comes in; the paper's have a short side of
    800 pixels. Anchors that cross the edge of the picture count in training.

    Reference:
        He et al., 2017, section 3 and Fig. 4, https://arxiv.org/abs/1703.06870

    Example:

    >>> model = MaskRCNN("MobileNetV2", input_shape=(64, 96, 3), classes=3, filters=16, units=16,
    ...     alpha=0.35, anchor_sizes=(8, 16, 32, 64, 96), proposals=(64, 16), most=10)
    >>> model.predict(np.zeros((1, 64, 96, 3)), verbose=0)["masks"].shape
    (1, 10, 28, 28)
    """
    check_alpha("MaskRCNN", alpha)
    check_classes("MaskRCNN", classes)
    stages = pyramid_stages if feature_pyramid else single_stages
    raw = stages(
        backbone,
        "MaskRCNN",
        input_shape,
        alpha=alpha,
        filters=filters,
        anchor_sizes=anchor_sizes or PYRAMID_SIZES,
        anchor_ratios=anchor_ratios,
        proposals=proposals,
        include_preprocessing=include_preprocessing,
    )
    options = {
        "iou_threshold": iou_threshold,
        "score_threshold": score_threshold,
        "most": most,
    }
    if feature_pyramid:
        outputs = _pyramid_outputs(
            raw, classes, filters or 256, units or scaled(1024, alpha), options
        )
    else:
        outputs = _c4_outputs(raw, backbone, classes, filters or 256, options)
    network = keras.Model(raw["image"], {**outputs, "raw": raw}, name=name)
    if frozen_batch_norm:
        freeze_batch_norm(network)
    model = MaskDetector(network, regions=regions)
    return load_weights(model, weights, heads=(*HEADS, "masks"))


def _pyramid_outputs(raw, classes, filters, units, options):
    """The heads on a pyramid: two dense layers; four convolutions on regions of 14x14."""
    channels = raw["features"][0].shape[-1]
    head = dense_head((7, 7, channels), classes, units)
    found, _ = detections(raw, RoIAlign(7, name="region_pool"), head, options)
    features = RoIAlign(14, name="mask_pool")(pooled(raw["features"], found["boxes"], raw["image"]))
    logits = mask_head((14, 14, channels), classes, filters)(features)
    return {**found, "masks": MasksOfClasses(name="class_masks")([logits, found["classes"]])}


def _c4_outputs(raw, backbone, classes, filters, options):
    """The heads behind conv5, which works on regions of 7x7."""
    pool = RoIAlign(7, name="region_pool")
    trunk = residual_trunk((7, 7, raw["features"].shape[-1]))
    start_from(backbone, trunk)
    shape = trunk.output_shape[2:]
    found, _ = detections(raw, pool, pooled_head(shape, classes), options, trunk)
    features = trunk(pool(pooled(raw["features"], found["boxes"], raw["image"])))
    logits = mask_head(shape, classes, filters, convolutions=0)(features)
    return {**found, "masks": MasksOfClasses(name="class_masks")([logits, found["classes"]])}
