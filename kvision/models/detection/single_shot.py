"""What detectors of one pass share: scores and offsets for each anchor, and how these learn."""

import keras
from keras import layers, ops

from kvision.initializers import PriorProbability
from kvision.layers import Anchors, BoxDecoder, Detections
from kvision.losses.detection import hard_negatives, smooth_l1, softmax_focal
from kvision.models.detection.assignment import assigned, completed
from kvision.models.detection.detector import Detector
from kvision.ops import boxes as box_ops
from kvision.ops import matching

PRIOR = 0.01  # probability at the start that an anchor holds an object


@keras.saving.register_keras_serializable(package="kvision")
class SingleShotDetector(Detector):
    """A detector that scores and moves a fixed set of anchors: SSD and SSDLite.

    `raw` holds `offsets` `(batch, anchors, 4)` in the code of `kv.ops.boxes.encode`, `logits`
    `(batch, anchors, classes + 1)`, whose column 0 is the background, and the `anchors`
    `(anchors, 4)`, which are the same for every picture.

    An anchor is positive where it overlaps an object by `matching_iou`, or is the object's best.
    `class_loss` is the cross-entropy of the positives and of the hardest negatives of the same
    picture; `box_loss` the smooth L1 loss of the positives' offsets. Both are divided by the number
    of positives in the batch, the paper's N, times its pictures; under a distribution strategy each
    replica counts its own. Crowds and difficult objects are not learned; anchors that lie on them
    by half are left out.

    Args:
        inputs: a functional `keras.Model`, as `single_shot_network` makes it.
        outputs: must be `None`.
        name: of the model.
        variances: of the code of the offsets.
        matching_iou: overlap from which an anchor is positive.
        negatives: negatives that count for each positive. A picture without objects has as many as
            one positive would bring.
        focal_gamma: `None`, or the exponent of the focal loss: all negatives then count, those that
            are easy little.
        box_weight: factor of `box_loss`.
        **kwargs: of `keras.Model`.

    Raises:
        ValueError: where a number is out of its range.

    Reference:
        Liu et al., 2016, https://arxiv.org/abs/1512.02325, section 2.2
    """

    loss_names = ("class_loss", "box_loss")

    def __init__(
        self,
        inputs,
        outputs=None,
        name=None,
        *,
        variances=box_ops.VARIANCES,
        matching_iou=0.5,
        negatives=3.0,
        focal_gamma=None,
        box_weight=1.0,
        **kwargs,
    ):
        super().__init__(inputs, outputs, name, **kwargs)
        if not 0 < matching_iou <= 1 or not negatives >= 0 or not box_weight >= 0:
            raise ValueError(
                "`matching_iou` must be in 0..1, above 0, and `negatives` and `box_weight` numbers "
                f"from 0. Received: matching_iou={matching_iou}, negatives={negatives}, "
                f"box_weight={box_weight}"
            )
        if focal_gamma is not None and not focal_gamma >= 0:
            raise ValueError(f"`focal_gamma` must be a number from 0. Received: {focal_gamma}")
        self.variances = tuple(variances)
        self.matching_iou = matching_iou
        self.negatives = negatives
        self.focal_gamma = focal_gamma
        self.box_weight = box_weight

    @property
    def classes(self):
        return self.network.output["raw"]["logits"].shape[-1] - 1

    def losses_of(self, truth, outputs):
        offsets, logits, anchors = (outputs["raw"][key] for key in ("offsets", "logits", "anchors"))
        boxes, classes, state = self._targets(truth, anchors)
        positive = state == 1
        box_losses = smooth_l1(box_ops.encode(boxes, anchors, self.variances), offsets)
        labels = ops.where(positive, classes + 1, 0)
        class_losses = softmax_focal(labels, logits, self.focal_gamma or 0.0)
        if self.focal_gamma is None:
            few = int(self.negatives)
            counted = positive | hard_negatives(class_losses, state, self.negatives, few)
        else:
            counted = state >= 0
        pictures = ops.cast(ops.shape(logits)[0], "float32")
        found = ops.maximum(ops.sum(ops.cast(positive, "float32")), 1.0)
        parts = {
            "class_loss": ops.where(counted, class_losses, 0.0),
            "box_loss": self.box_weight * ops.where(positive, box_losses, 0.0),
        }
        return {key: ops.sum(values, axis=-1) * pictures / found for key, values in parts.items()}

    def _targets(self, truth, anchors):
        """For each anchor the box and the class of its object, and whether it counts."""
        truth = completed(truth)
        iou = self.matching_iou
        index, state = assigned(anchors, truth, iou, iou, force="bipartite")
        boxes = matching.take_matched(truth["boxes"], index)
        return boxes, matching.take_matched(truth["classes"], index), state

    def get_config(self):
        return {
            **super().get_config(),
            "variances": list(self.variances),
            "matching_iou": self.matching_iou,
            "negatives": self.negatives,
            "focal_gamma": self.focal_gamma,
            "box_weight": self.box_weight,
        }


def single_shot_network(
    image, maps, shapes, classes, predictor, *, variances, detections, strides=None, name
):
    """From feature maps to detections and what the losses need.

    Args:
        image: the input tensor, of known size.
        maps: feature maps, finest first.
        shapes: for each of them the (height, width) of its anchors, in pixels.
        classes: number of classes, without the background.
        predictor: a function `(map, filters, name, bias_initializer) -> map` of raw predictions.
        variances: of the code of the offsets.
        detections: options of `kv.layers.Detections`.
        strides: of `kv.layers.Anchors`.
        name: of the network.

    Returns:
        A functional `keras.Model` for `SingleShotDetector`.
    """
    rows = {"box": [], "class": []}
    starts = {"box": (4, "zeros"), "class": (classes + 1, PriorProbability(classes + 1, PRIOR))}
    for index, (features, level) in enumerate(zip(maps, shapes, strict=True), 1):
        for kind, (columns, bias) in starts.items():
            x = predictor(features, len(level) * columns, f"{kind}_head{index}", bias)
            flat = layers.Reshape((-1, columns), dtype="float32", name=f"{kind}_rows{index}")
            rows[kind].append(flat(x))
    offsets = layers.Concatenate(axis=1, dtype="float32", name="offsets")(rows["box"])
    logits = layers.Concatenate(axis=1, dtype="float32", name="logits")(rows["class"])
    anchors = Anchors(shapes, strides=strides, name="anchors")([image, *maps])
    boxes = BoxDecoder(variances, name="decoded")([offsets, anchors])
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    found = Detections(**detections, name="detections")([boxes, probabilities[:, :, 1:]])
    raw = {"offsets": offsets, "logits": logits, "anchors": anchors}
    return keras.Model(image, {**found, "raw": raw}, name=name)


def check_classes(builder, classes):
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise ValueError(
            f"`classes` must be a whole number from 1 in `{builder}`, without the background. "
            f"Received: {classes}"
        )


def check_known_size(builder, size):
    if None in size:
        raise ValueError(
            f"`input_shape` of `{builder}` must be of known height and width, as its anchors are "
            f"shares of them. Received: {tuple(size)}. Choose a size, such as (320, 320), and let "
            "`kv.data.batches` bring the pictures to it."
        )


def class_heads(model):
    """The layers whose weights depend on the number of classes."""
    return [layer.name for layer in model.layers if layer.name.startswith("class_head")]
