"""What detectors of two stages share: regions are proposed, then classified and moved.

The network (image, features, proposals, regions, detections) is functional, and is put together by
the builders. Here is how it learns.
"""

import keras
from keras import ops

from kvision.losses.regions import objectness_loss, region_box_loss, region_class_loss
from kvision.models.detection.assignment import assigned, completed
from kvision.models.detection.detector import Detector
from kvision.ops import boxes as box_ops
from kvision.ops import matching

REGION_VARIANCES = (0.1, 0.1, 0.2, 0.2)
PROPOSAL_VARIANCES = (1.0, 1.0, 1.0, 1.0)


@keras.saving.register_keras_serializable(package="kvision")
class RegionDetector(Detector):
    """A network that classifies given regions and moves their borders: Fast R-CNN, SPP-net.

    In training a sample of the regions of each picture counts, to which the true boxes are added.
    Regions of zero area are padding. In a picture without objects any region is background.

    Args:
        inputs: a functional `keras.Model` with the layers `region_pool`, from maps and boxes to
            the features of each region, perhaps `region_trunk`, more of those, and `box_head`, from
            them to a dict of `logits` and `offsets`; its outputs are those of a detector, with
            `image`, `features` and `proposals` in `raw`.
        outputs: must be `None`.
        name: of the model.
        regions: size of the sample.
        foreground: largest share of objects in the sample.
        region_iou: overlap with an object from which a region is one, and least overlap of one that
            counts as background.
        **kwargs: of `keras.Model`.

    Raises:
        ValueError: where a number is out of its range.
    """

    loss_names = ("class_loss", "box_loss")

    def __init__(
        self,
        inputs,
        outputs=None,
        name=None,
        *,
        regions=64,
        foreground=0.25,
        region_iou=(0.5, 0.0),
        **kwargs,
    ):
        super().__init__(inputs, outputs, name, **kwargs)
        if not regions >= 1 or not 0 < foreground <= 1:
            raise ValueError(
                "`regions` must be a number from 1 and `foreground` a share above 0, up to 1. "
                f"Received: regions={regions}, foreground={foreground}"
            )
        check_thresholds("region_iou", region_iou)
        self.regions = regions
        self.foreground = foreground
        self.region_iou = tuple(region_iou)
        self.chance = keras.random.SeedGenerator()

    @property
    def classes(self):
        return self.get_layer("box_head").output["logits"].shape[-1] - 1

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # The heads run again, on the sample: dropout has to know what for.
        outputs = {**y_pred, "training": training}
        return super().compute_loss(x, y, outputs, sample_weight, training)

    def losses_of(self, truth, outputs):
        truth = completed(truth)
        sample = self.sample_regions(outputs["raw"]["proposals"], truth)
        features = self.region_features(outputs, sample["boxes"])
        answers = self.get_layer("box_head")(features, training=outputs.get("training", False))
        return self.region_losses(truth, sample, features, answers, outputs)

    def sample_regions(self, proposals, truth):
        """Which regions the second stage learns from, and what it should say of them.

        Args:
            proposals: tensor `(batch, n, 4)`, zero where padded.
            truth: as `completed` gives it.

        Returns:
            A dict of `boxes` (batch, regions, 4), objects first; `state`, 1 for objects, 0 for
            background, -1 for surplus; `index` of the true object; `labels`, 0 for background.
        """
        known = ops.where(truth["clear"][..., None], truth["boxes"], 0.0)
        boxes = ops.concatenate([proposals, known], axis=1)
        boxes = ops.pad(boxes, ((0, 0), (0, self.regions), (0, 0)))  # enough to choose from
        positive, least = self.region_iou
        index, state = assigned(boxes, truth, positive, positive, force=False)
        overlap = box_ops.iou(boxes, known)
        too_far = ops.max(overlap, axis=-1) < least
        too_far = too_far & ops.any(truth["clear"], axis=1, keepdims=True)
        state = ops.where(too_far | (box_ops.area(boxes) <= 0), -1, state)
        state = matching.balanced_sample(state, self.regions, self.foreground, self.chance)
        order = ops.top_k(ops.cast(state, "float32"), self.regions)[1]
        sample = {
            "boxes": ops.take_along_axis(boxes, order[..., None], axis=1),
            "state": ops.take_along_axis(state, order, axis=1),
            "index": ops.take_along_axis(index, order, axis=1),
        }
        classes = ops.take_along_axis(truth["classes"], sample["index"], axis=1)
        return {**sample, "labels": ops.where(sample["state"] == 1, classes + 1, 0)}

    def region_features(self, outputs, boxes):
        """The features of boxes `(batch, regions, 4)`, as the heads want them."""
        raw = outputs["raw"]
        features = self.get_layer("region_pool")(pooled(raw["features"], boxes, raw["image"]))
        if any(layer.name == "region_trunk" for layer in self.layers):
            trunk = self.get_layer("region_trunk")
            features = trunk(features, training=outputs.get("training", False))
        return features

    def region_losses(self, truth, sample, features, answers, outputs):
        """The losses of the second stage, of each picture.

        Args:
            truth: as `completed` gives it.
            sample: as `sample_regions` gives it.
            features: of the sampled regions.
            answers: what the box head says of them.
            outputs: of the model.
        """
        labels, state = sample["labels"], sample["state"]
        rows = (*ops.shape(labels), answers["logits"].shape[-1], 4)
        offsets = ops.reshape(answers["offsets"], rows)
        offsets = ops.take_along_axis(offsets, labels[..., None, None], axis=2)[:, :, 0]
        boxes = ops.take_along_axis(truth["boxes"], sample["index"][..., None], axis=1)
        targets = box_ops.encode(boxes, sample["boxes"], REGION_VARIANCES)
        return {
            "class_loss": region_class_loss(labels, answers["logits"], state),
            "box_loss": region_box_loss(targets, offsets, state),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "regions": self.regions,
            "foreground": self.foreground,
            "region_iou": list(self.region_iou),
        }


@keras.saving.register_keras_serializable(package="kvision")
class TwoStageDetector(RegionDetector):
    """A network that proposes its regions itself: Faster R-CNN. Both stages learn at once.

    No gradient flows through the coordinates of the proposals: the paper's approximate joint
    training.

    Args:
        inputs: as for `RegionDetector`, with `rpn_logits`, `rpn_offsets` and `anchors` in `raw`.
        outputs: must be `None`.
        name: of the model.
        anchors: size of the sample of anchors that the proposals learn from.
        anchor_iou: overlap from which an anchor is an object (as is the best of each object), and
            below which it is background.
        inside: whether anchors that cross the picture's edge are left out in training.
        **kwargs: of `RegionDetector`.

    Raises:
        ValueError: where a number is out of its range.

    Reference:
        Ren et al., 2015, https://arxiv.org/abs/1506.01497
    """

    loss_names = ("rpn_class_loss", "rpn_box_loss", *RegionDetector.loss_names)

    def __init__(
        self,
        inputs,
        outputs=None,
        name=None,
        *,
        anchors=256,
        anchor_iou=(0.7, 0.3),
        inside=False,
        **kwargs,
    ):
        super().__init__(inputs, outputs, name, **kwargs)
        if not anchors >= 1:
            raise ValueError(f"`anchors` must be a number from 1. Received: {anchors}")
        check_thresholds("anchor_iou", anchor_iou)
        self.anchors = anchors
        self.anchor_iou = tuple(anchor_iou)
        self.inside = inside

    def losses_of(self, truth, outputs):
        proposing = self.proposal_losses(completed(truth), outputs["raw"])
        return {**proposing, **super().losses_of(truth, outputs)}

    def proposal_losses(self, truth, raw):
        """The losses of the first stage, of each picture."""
        anchors = raw["anchors"]
        candidates = anchors
        if self.inside:  # a box of zero area overlaps nothing
            is_inside = ops.all(box_ops.clip(anchors) == anchors, axis=-1, keepdims=True)
            candidates = ops.where(is_inside, anchors, 0.0)
        index, state = assigned(candidates, truth, *self.anchor_iou, force=True)
        state = ops.where(box_ops.area(candidates) > 0, state, -1)
        state = matching.balanced_sample(state, self.anchors, 0.5, self.chance)
        boxes = ops.take_along_axis(truth["boxes"], index[..., None], axis=1)
        targets = box_ops.encode(boxes, anchors, PROPOSAL_VARIANCES)
        return {
            "rpn_class_loss": objectness_loss(raw["rpn_logits"], state),
            "rpn_box_loss": region_box_loss(targets, raw["rpn_offsets"], state, sigma=3.0),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "anchors": self.anchors,
            "anchor_iou": list(self.anchor_iou),
            "inside": self.inside,
        }


def pooled(maps, boxes, image):
    """What a layer that pools regions is called with: of a pyramid it needs the picture's size."""
    return [maps, boxes, image] if isinstance(maps, (list, tuple)) else [maps, boxes]


def check_thresholds(argument, value):
    if len(value) != 2 or not 0 <= value[1] <= value[0] <= 1 or not value[0] > 0:
        raise ValueError(
            f"`{argument}` must be two overlaps in 0..1, the greater one first and above 0. "
            f"Received: {value}"
        )
