"""The confusion matrix of pixels, counted inside `fit`, and what metrics derive from it."""

import keras
from keras import ops

from kvision.ops.masks import VOID, spread_weights, without_channel

_CARRY = 2.0**20  # so that sums stay exact in float32, on every backend and device


class ConfusionMetric(keras.metrics.Metric):
    """Counts pixels by true and predicted class. Subclasses say what comes of the counts.

    Args:
        classes: how many there are, background included.
        ignore_class: the label of pixels that do not count; `None` if all do.
        name: of the metric.
        dtype: of the result.
    """

    def __init__(self, classes, ignore_class=VOID, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not (isinstance(classes, int) and classes >= 2):
            raise ValueError(
                "`classes` must be a whole number from 2, background included. "
                f"Received: {classes!r}"
            )
        self.classes = classes
        self.ignore_class = ignore_class
        # One row more for labels that are no class, one column more for such predictions.
        shape = (classes + 1, classes + 1)
        self.low = self.add_variable(shape, "zeros", dtype="float32", name="low")
        self.high = self.add_variable(shape, "zeros", dtype="float32", name="high")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: masks of whole numbers, `(batch, height, width, 1)` or without the 1.
            y_pred: scores `(batch, height, width, classes)`, or whole-number labels shaped as
                masks.
            sample_weight: `(batch,)`, `(batch, height, width)` or `(batch, height, width, 1)`.
        """
        truth = mask_labels(y_true)
        predicted = predicted_labels(y_pred, self.classes)
        check_sizes(truth, predicted)
        side = self.classes + 1
        cell = self._row(truth) * side + self._row(predicted)
        if self.ignore_class is not None:
            cell = ops.where(ops.equal(truth, self.ignore_class), side * side, cell)
        cell = ops.reshape(cell, (-1,))
        if sample_weight is None:
            weight = ops.ones_like(cell)
        else:
            weight = ops.ones(ops.shape(truth), "float32") * spread_weights(sample_weight)
            weight = ops.reshape(weight, (-1,))
        counts = ops.segment_sum(weight, cell, num_segments=side * side + 1)[:-1]
        total = self.low + ops.cast(ops.reshape(counts, (side, side)), "float32")
        carry = ops.floor(total / _CARRY)
        self.low.assign(total - carry * _CARRY)
        self.high.assign(self.high + carry)

    def _row(self, labels):
        return ops.where((labels >= 0) & (labels < self.classes), labels, self.classes)

    def confusion(self):
        """Counts `(classes, classes)`, rows true; NaN where a label was no class.

        Returns:
            `(hits, true, predicted)`: pixels of each class that were right, that it truly has, and
            that it was predicted for.
        """
        counts = ops.convert_to_tensor(self.low) + ops.convert_to_tensor(self.high) * _CARRY
        unknown = ops.sum(counts[self.classes])
        counts = ops.where(unknown > 0, float("nan"), counts[: self.classes])
        hits = ops.diagonal(counts[:, : self.classes])
        return hits, ops.sum(counts, axis=1), ops.sum(counts[:, : self.classes], axis=0)

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "ignore_class": self.ignore_class,
        }


def mask_labels(y_true):
    """Masks as int32 of shape (batch, height, width)."""
    masks = without_channel(ops.convert_to_tensor(y_true))
    if len(masks.shape) != 3:
        raise ValueError(
            "`y_true` must be masks of shape (batch, height, width, 1), with the index of its "
            f"class at each pixel. Received: {tuple(y_true.shape)}. Take the arg-max of one-hot "
            "masks over the last axis."
        )
    return ops.cast(masks, "int32")


def predicted_labels(y_pred, classes):
    """Scores or labels as int32 labels of shape (batch, height, width)."""
    scores = ops.convert_to_tensor(y_pred)
    rank, last = len(scores.shape), scores.shape[-1]
    if rank == 4 and last == classes:
        return ops.cast(ops.argmax(scores, axis=-1), "int32")
    is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(scores.dtype))
    if is_float or not (rank == 3 or (rank == 4 and last == 1)):
        raise ValueError(
            f"`y_pred` must be scores of shape (batch, height, width, {classes}), or whole-number "
            f"labels of shape (batch, height, width, 1). Received: {tuple(scores.shape)} of "
            f"{scores.dtype}. Is `classes` what the model has, background included?"
        )
    return ops.cast(without_channel(scores), "int32")


def check_sizes(truth, predicted):
    """Raises where masks and predictions are known to differ in size."""
    pairs = zip(truth.shape[1:], predicted.shape[1:], strict=True)
    if not all(None in pair or pair[0] == pair[1] for pair in pairs):
        raise ValueError(
            "Masks must have the height and width of the predictions. Received: masks of "
            f"{tuple(truth.shape[1:])}, predictions of {tuple(predicted.shape[1:])}. Crop the "
            "masks of a model with valid convolutions with `kv.ops.centre_crop`; resize coarse "
            "predictions to the masks."
        )
