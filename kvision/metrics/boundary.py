import math

import keras
import numpy as np
from keras import ops

from kvision.metrics.confusion import check_sizes, mask_labels, predicted_labels
from kvision.ops.masks import VOID, spread_weights


@keras.saving.register_keras_serializable(package="kvision")
class BoundaryF1(keras.metrics.Metric):
    """How well predicted outlines match the true ones: an F1 of boundary pixels with a tolerance.

    A class's boundary is its pixels that touch (also at a corner) one that is not of it; the edge
    of the picture is none. Of each class in each image, precision is the share of predicted
    boundary pixels within the tolerance of a true one, and recall the other way round. F1 is
    averaged over the images in which the class has a boundary, true or predicted, then over the
    classes. `kv.evaluation.evaluate_segmenter` gives the same number.

    Void pixels are void in the prediction too. The result is 0 where there are no boundaries, and
    NaN where a label is no class. Takes several times `batch x height x width x classes` floats of
    memory.

    Args:
        classes: how many there are, background included.
        tolerance: Euclidean distance: below 1 a share of the picture's diagonal, from 1 pixels.
        ignore_class: the label of pixels that do not count; `None` if all do.
        name: of the metric.
        dtype: of the result.

    Raises:
        ValueError: where an argument is out of range, shapes do not fit, weights are of pixels
            instead of images, or the tolerance is a share of the diagonal of a picture whose size
            is not known.

    Reference:
        Csurka, Larlus, Perronnin: What is a good evaluation measure for semantic segmentation?,
        2013.

    Example:

    >>> metric = BoundaryF1(classes=2, tolerance=1)
    >>> metric.update_state(np.array([[[0, 0, 0, 1, 1, 1]]]), np.array([[[0, 0, 1, 1, 1, 1]]]))
    >>> float(metric.result())
    1.0
    """

    def __init__(
        self, classes, tolerance=0.0075, ignore_class=VOID, name="boundary_f1", dtype=None
    ):
        super().__init__(name=name, dtype=dtype)
        if not (isinstance(classes, int) and classes >= 2):
            raise ValueError(
                "`classes` must be a whole number from 2, background included. "
                f"Received: {classes!r}"
            )
        if not tolerance >= 0:
            raise ValueError(
                "`tolerance` must be a share of the diagonal (below 1) or a number of pixels. "
                f"Received: {tolerance}"
            )
        self.classes = classes
        self.tolerance = tolerance
        self.ignore_class = ignore_class
        self.total = self.add_variable((classes,), "zeros", dtype="float32", name="total")
        self.count = self.add_variable((classes,), "zeros", dtype="float32", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch: masks, scores or labels as in `MeanIoU`, and weights `(batch,)`."""
        truth = mask_labels(y_true)
        predicted = predicted_labels(y_pred, self.classes)
        check_sizes(truth, predicted)
        disc = self._disc(truth.shape[1:])
        void = ops.zeros_like(truth, dtype="bool")
        if self.ignore_class is not None:
            void = ops.equal(truth, self.ignore_class)
        true, guessed = (
            self._boundaries(ops.where(void, -1, labels)) for labels in (truth, predicted)
        )
        recall, true_pixels = _share_near(true, guessed, disc)
        precision, guessed_pixels = _share_near(guessed, true, disc)
        scores = ops.divide_no_nan(2.0 * precision * recall, precision + recall)
        weight = ops.cast(true_pixels + guessed_pixels > 0, "float32")
        if sample_weight is not None:
            weight = weight * self._image_weights(sample_weight)
        strange = ops.any(((truth < 0) | (truth >= self.classes)) & ~void)
        gain = ops.where(strange, float("nan"), ops.sum(scores * weight, axis=0))
        self.total.assign(self.total + gain)
        self.count.assign(self.count + ops.sum(weight, axis=0))

    def result(self):
        total, count = ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count)
        scores = ops.where(ops.isnan(total), total, ops.divide_no_nan(total, count))
        return ops.sum(scores) / ops.maximum(ops.sum(ops.cast(count > 0, scores.dtype)), 1.0)

    def _boundaries(self, labels):
        regions = ops.one_hot(labels, self.classes, dtype="float32")
        return regions * ops.max_pool(1.0 - regions, 3, strides=1, padding="same")

    def _disc(self, size):
        """A depthwise kernel that reaches all pixels within the tolerance."""
        tolerance = self.tolerance
        if tolerance < 1:
            if None in size:
                raise ValueError(
                    "The size of masks must be known for a `tolerance` that is a share of their "
                    f"diagonal. Received: {tuple(size)}. Give the tolerance in pixels, from 1."
                )
            tolerance = tolerance * math.hypot(*size)
        radius = int(tolerance + 1e-6)
        offsets = np.arange(-radius, radius + 1)
        disc = np.hypot(offsets[:, None], offsets) <= tolerance + 1e-6
        return np.tile(disc[:, :, None, None], (1, 1, self.classes, 1)).astype("float32")

    def _image_weights(self, sample_weight):
        weight = spread_weights(sample_weight)
        if tuple(weight.shape[1:]) not in ((), (1, 1)):
            raise ValueError(
                "`sample_weight` must be of images, (batch,), in `BoundaryF1`. Received weights of "
                f"pixels: {tuple(weight.shape)}. Pass it to `compile` in `metrics`, not in "
                "`weighted_metrics`."
            )
        return ops.reshape(weight, (-1, 1))

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "tolerance": self.tolerance,
            "ignore_class": self.ignore_class,
        }


def _share_near(boundaries, others, disc):
    """The share of boundary pixels near others, and their number: `(batch, classes)` each."""
    near = others
    if disc.shape[0] > 1:
        near = ops.depthwise_conv(others, disc, padding="same", data_format="channels_last")
    count = ops.sum(boundaries, axis=(1, 2))
    hits = ops.sum(boundaries * ops.cast(near > 0.5, "float32"), axis=(1, 2))
    return ops.divide_no_nan(hits, count), count
