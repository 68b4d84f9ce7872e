"""What losses of masks have in common: which pixels count, and how much."""

import math

import keras
from keras import ops

from kvision.ops.masks import VOID, spread_weights, without_channel

_MEANS = ("sum_over_batch_size", "mean")


class MaskLoss(keras.losses.Loss):
    """A loss for each pixel. Void pixels add nothing, neither to a sum nor to a mean's divisor.

    A label that is neither void nor one of the classes makes the loss NaN, so that it is seen.

    Args:
        ignore_class: the label of pixels that do not count; `None` if all do.
        from_logits: whether predictions are logits instead of probabilities.
        reduction: as in `keras.losses.Loss`; means are over the pixels that count. Under a
            distribution strategy each replica takes the mean over its own, as Keras does.
        name: of the loss.
        dtype: of the computation, whatever predictions are in; float32 by default.
    """

    def __init__(
        self,
        ignore_class=VOID,
        from_logits=False,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.ignore_class = ignore_class
        self.from_logits = from_logits

    def __call__(self, y_true, y_pred, sample_weight=None):
        labels = self.labels(y_true, y_pred)
        counted = ops.cast(self.counted(labels), self.dtype)
        weight = counted * self.mean_factor(counted)
        if sample_weight is not None:
            weight = weight * spread_weights(sample_weight, self.dtype)
        return super().__call__(labels, y_pred, weight)

    def labels(self, y_true, y_pred):
        """Masks of shape (batch, height, width, 1) or without the 1, as int32 without it."""
        y_true = without_channel(ops.convert_to_tensor(y_true))
        shape, scores = tuple(y_true.shape), tuple(y_pred.shape)
        if len(shape) != 3:
            raise ValueError(
                f"`y_true` must be masks of shape (batch, height, width, 1) in `{self.name}`, with "
                f"the index of its class at each pixel. Received: {shape}. Take the arg-max of "
                "one-hot masks over the last axis."
            )
        if len(scores) != 4:
            raise ValueError(
                f"`y_pred` must be of shape (batch, height, width, classes) in `{self.name}`. "
                f"Received: {scores}"
            )
        same = all(
            None in pair or pair[0] == pair[1] for pair in zip(shape[1:], scores[1:3], strict=True)
        )
        if not same:
            raise ValueError(
                f"Masks must have the height and width of the predictions in `{self.name}`. "
                f"Received: masks of {shape[1:]}, predictions of {scores[1:3]}. Crop the masks of "
                "a model with valid convolutions with `kv.ops.centre_crop`; resize coarse "
                "predictions to the masks."
            )
        self.check_channels(scores[-1])
        return ops.cast(y_true, "int32")

    def check_channels(self, channels):
        """Raises where predictions are not of at least two classes."""
        if channels == 1:
            raise ValueError(
                f"`y_pred` must have one score for each class in `{self.name}`, background "
                f"included, so at least 2. Received: 1. Use `kv.losses.BalancedBinaryCrossentropy` "
                "or `keras.losses.BinaryCrossentropy` for one sigmoid output."
            )

    def counted(self, labels):
        """Which pixels count."""
        if self.ignore_class is None:
            return ops.ones_like(labels, dtype="bool")
        return ops.not_equal(labels, self.ignore_class)

    def known(self, labels, classes):
        """The labels with a harmless 0 where they are no class, and which are unknown values."""
        is_class = (labels >= 0) & (labels < classes)
        counted = self.counted(labels)
        return ops.where(is_class & counted, labels, 0), ops.logical_not(is_class) & counted

    def mean_factor(self, counted):
        """What makes Keras's mean over all values one over those that count."""
        if self.reduction not in _MEANS:
            return 1.0
        total = ops.cast(ops.prod(ops.convert_to_tensor(ops.shape(counted), "int32")), self.dtype)
        return total / ops.maximum(ops.sum(counted), 1.0)

    def get_config(self):
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "dtype": self.dtype,
        }


class RegionLoss(MaskLoss):
    """A loss for each image, of how its predicted regions overlap the true ones, class by class.

    Weights of pixels weigh them in the overlap; weights of images weigh the losses.
    """

    def __init__(self, class_weight, *options):
        super().__init__(*options)
        self.class_weight = checked_weights(class_weight)

    def __call__(self, y_true, y_pred, sample_weight=None):
        labels = self.labels(y_true, y_pred)
        counted = ops.cast(self.counted(labels), self.dtype)
        any_counted = ops.max(counted, axis=(1, 2))
        weight = any_counted * self.mean_factor(any_counted)
        pixel_weight = counted
        if sample_weight is not None:
            spread = spread_weights(sample_weight, self.dtype)
            if tuple(spread.shape[1:]) in ((), (1, 1)):
                weight = weight * ops.reshape(spread, (-1,))
            else:
                pixel_weight = pixel_weight * spread
        return keras.losses.Loss.__call__(self, (labels, pixel_weight), y_pred, weight)

    def call(self, y_true, y_pred):
        if isinstance(y_true, (tuple, list)):
            labels, weight = ops.cast(y_true[0], "int32"), y_true[1]
        else:
            labels, weight = self.labels(y_true, y_pred), None
        counted = self.counted(labels)[..., None]
        classes = y_pred.shape[-1]
        safe, unknown = self.known(labels, classes)
        scores = ops.softmax(y_pred, axis=-1) if self.from_logits else y_pred
        scores = ops.where(counted, scores, 0.0)
        truth = ops.where(counted, ops.one_hot(safe, classes, dtype=scores.dtype), 0.0)
        if weight is not None:
            scores, weighted = scores * weight[..., None], truth * weight[..., None]
        else:
            weighted = truth
        both = ops.sum(scores * truth, axis=(1, 2))
        areas = ops.sum(weighted, axis=(1, 2))
        overlap = self.overlap(both, ops.sum(scores, axis=(1, 2)), areas)
        importance = ops.cast(areas > 0, scores.dtype) * weights_of(self.class_weight, classes)
        loss = ops.sum(importance * (1.0 - overlap), axis=-1)
        loss = loss / ops.maximum(ops.sum(importance, axis=-1), keras.config.epsilon())
        return ops.where(ops.any(unknown, axis=(1, 2)), math.nan, loss)

    def overlap(self, both, predicted, true):
        """The overlap of each class, 0..1, from areas of shape (batch, classes)."""
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), "class_weight": self.class_weight}


def checked_weights(class_weight, name="class_weight"):
    """Class weights as a list of floats that JSON can hold, or `None`."""
    if class_weight is None:
        return None
    weights = [float(weight) for weight in class_weight]
    if not weights or not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise ValueError(
            f"`{name}` must be finite numbers from 0, one for each class in the order of labels. "
            f"Received: {weights}"
        )
    return weights


def weights_of(class_weight, classes, name="class_weight"):
    """Class weights as a tensor; ones by default."""
    if class_weight is None:
        return ops.ones((classes,))
    if len(class_weight) != classes:
        raise ValueError(
            f"`{name}` must have one number for each of the {classes} classes of `y_pred`. "
            f"Received {len(class_weight)}: {class_weight}"
        )
    return ops.convert_to_tensor(class_weight, dtype="float32")
