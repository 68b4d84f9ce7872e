"""Losses of segmentation: predictions for each pixel against masks of class indices."""

import math

import keras
from keras import ops

from kvision.losses.masks import MaskLoss, RegionLoss, checked_weights, weights_of
from kvision.ops.masks import VOID

_MEAN = "sum_over_batch_size"
_DISPUTED = -(2**20)  # stands for a pixel where some people drew an edge, but not most


@keras.saving.register_keras_serializable(package="kvision")
class MaskCrossentropy(MaskLoss):
    """Cross-entropy of each pixel, with classes weighted and void ignored.

    The usual loss of FCN, SegNet, DeconvNet, DeepLab and U-Net. U-Net's border weights go in as
    `sample_weight`.

    Args:
        class_weight: numbers, one for each class, that multiply its pixels' losses: SegNet's
            median-frequency weights. The mean still divides by the count of pixels.
        ignore_class: the label of pixels that do not count; `None` if all do.
        from_logits: whether `y_pred` holds logits instead of probabilities.
        reduction, name, dtype: as in `keras.losses.Loss`; the mean is over the pixels that count,
            and 0 where none does.

    Call arguments:
        y_true: masks of whole numbers, `(batch, height, width, 1)` or `(batch, height, width)`.
            A value that is neither a class nor `ignore_class` makes the loss NaN.
        y_pred: `(batch, height, width, classes)`.
        sample_weight: `(batch,)`, `(batch, height, width)` or `(batch, height, width, 1)`.

    Raises:
        ValueError: where shapes or the number of weights do not fit, or a weight is negative or
            not finite.

    Example:

    >>> loss = MaskCrossentropy(class_weight=[1.0, 4.0])
    >>> masks = np.array([[[0, 1, 255]]])
    >>> probabilities = np.array([[[[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]]])
    >>> round(float(loss(masks, probabilities)), 4)  # (ln 2 + 4 ln 4) / 2
    3.1192
    """

    def __init__(
        self,
        class_weight=None,
        ignore_class=VOID,
        from_logits=False,
        reduction=_MEAN,
        name="mask_crossentropy",
        dtype=None,
    ):
        super().__init__(ignore_class, from_logits, reduction, name, dtype)
        self.class_weight = checked_weights(class_weight)

    def call(self, y_true, y_pred):
        labels = self.labels(y_true, y_pred)
        safe, unknown = self.known(labels, y_pred.shape[-1])
        # Keras's own finds the logits behind a softmax, so that its gradient does not vanish.
        losses = ops.sparse_categorical_crossentropy(safe, y_pred, from_logits=self.from_logits)
        if self.class_weight is not None:
            losses = losses * ops.take(weights_of(self.class_weight, y_pred.shape[-1]), safe)
        losses = ops.where(self.counted(labels), losses, 0.0)
        return ops.where(unknown, math.nan, losses)

    def get_config(self):
        return {**super().get_config(), "class_weight": self.class_weight}


@keras.saving.register_keras_serializable(package="kvision")
class MaskFocalLoss(MaskLoss):
    """Cross-entropy times `(1 - p)^gamma`, p the true class's probability: hard pixels count more.

    Use it where most pixels are soon easy and a rare class is not.

    Args:
        gamma: 0 is cross-entropy; the paper's choice is 2.
        alpha: a number, or one for each class, that multiplies the losses.
        ignore_class: the label of pixels that do not count; `None` if all do.
        from_logits: whether `y_pred` holds logits instead of probabilities.
        reduction, name, dtype: as in `MaskCrossentropy`, like shapes and errors.

    Raises:
        ValueError: where `gamma` is negative, or shapes or the number of weights do not fit.

    Differs from the paper: softmax over several classes instead of a sigmoid for each; the mean
    over pixels instead of the sum over anchors divided by the number of matched ones.

    Reference:
        Lin, Goyal, Girshick, He, Dollar: Focal loss for dense object detection, 2017.

    Example:

    >>> loss = MaskFocalLoss(gamma=2)
    >>> round(float(loss(np.array([[[1]]]), np.array([[[[0.5, 0.5]]]]))), 4)  # ln 2 / 4
    0.1733
    """

    def __init__(
        self,
        gamma=2.0,
        alpha=None,
        ignore_class=VOID,
        from_logits=False,
        reduction=_MEAN,
        name="mask_focal_loss",
        dtype=None,
    ):
        super().__init__(ignore_class, from_logits, reduction, name, dtype)
        if not gamma >= 0:
            raise ValueError(f"`gamma` must be a number from 0. Received: {gamma}")
        self.gamma = float(gamma)
        self.scalar_alpha = isinstance(alpha, (int, float))
        self.alpha = checked_weights([alpha] if self.scalar_alpha else alpha, "alpha")

    def call(self, y_true, y_pred):
        labels = self.labels(y_true, y_pred)
        classes = y_pred.shape[-1]
        safe, unknown = self.known(labels, classes)
        losses = ops.sparse_categorical_crossentropy(safe, y_pred, from_logits=self.from_logits)
        # 1 - p, kept above 0, where powers below 1 have no derivative.
        doubt = ops.maximum(-ops.expm1(-losses), keras.config.epsilon())
        losses = losses * ops.power(doubt, self.gamma)
        if self.alpha is not None:
            alpha = self.alpha * classes if self.scalar_alpha else self.alpha
            losses = losses * ops.take(weights_of(alpha, classes, "alpha"), safe)
        losses = ops.where(self.counted(labels), losses, 0.0)
        return ops.where(unknown, math.nan, losses)

    def get_config(self):
        alpha = self.alpha[0] if self.scalar_alpha else self.alpha
        return {**super().get_config(), "gamma": self.gamma, "alpha": alpha}


@keras.saving.register_keras_serializable(package="kvision")
class DiceLoss(RegionLoss):
    """One minus the Dice coefficient `2 |A and B| / (|A| + |B|)` of probabilities and truth.

    Each class counts alike, however few its pixels. Averaged over the classes that occur in an
    image's truth, then over the images; often added to a cross-entropy.

    Args:
        class_weight: numbers, one for each class; the mean over classes is weighted by them.
        ignore_class: the label of pixels that do not count; `None` if all do.
        from_logits: whether `y_pred` holds logits instead of probabilities.
        reduction, name, dtype: as in `keras.losses.Loss`; the mean is over the images of which any
            pixel counts, and 0 where none does.

    Call arguments: as in `MaskCrossentropy`, like errors. Weights of pixels weigh the areas.

    Differs from the paper: several classes; sums in the denominator, not sums of squares.

    Reference:
        Milletari, Navab, Ahmadi: V-Net: fully convolutional neural networks for volumetric medical
        image segmentation, 2016, section 3.

    Example:

    >>> masks = np.array([[[0, 0, 1, 255]]])
    >>> probabilities = np.array([[[[1.0, 0], [0, 1], [0, 1], [0, 1]]]])
    >>> round(float(DiceLoss()(masks, probabilities)), 4)  # both classes overlap by 2/3
    0.3333
    """

    def __init__(
        self,
        class_weight=None,
        ignore_class=VOID,
        from_logits=False,
        reduction=_MEAN,
        name="dice_loss",
        dtype=None,
    ):
        super().__init__(class_weight, ignore_class, from_logits, reduction, name, dtype)

    def overlap(self, both, predicted, true):
        return ops.divide_no_nan(2.0 * both, predicted + true)


@keras.saving.register_keras_serializable(package="kvision")
class SoftIoULoss(RegionLoss):
    """One minus the intersection over union of probabilities and truth.

    Nearer to the score that is reported than `DiceLoss`, and harsher to poor overlaps. Averaged
    over the classes that occur in an image's truth, then over the images.

    Args:
        class_weight: numbers, one for each class; the mean over classes is weighted by them.
        ignore_class: the label of pixels that do not count; `None` if all do.
        from_logits: whether `y_pred` holds logits instead of probabilities.
        reduction, name, dtype: as in `DiceLoss`, like call arguments and errors.

    Differs from the paper: several classes.

    Reference:
        Rahman, Wang: Optimizing intersection-over-union in deep neural networks for image
        segmentation, 2016.

    Example:

    >>> masks = np.array([[[0, 0, 1, 255]]])
    >>> probabilities = np.array([[[[1.0, 0], [0, 1], [0, 1], [0, 1]]]])
    >>> float(SoftIoULoss()(masks, probabilities))  # both classes overlap by half
    0.5
    """

    def __init__(
        self,
        class_weight=None,
        ignore_class=VOID,
        from_logits=False,
        reduction=_MEAN,
        name="soft_iou_loss",
        dtype=None,
    ):
        super().__init__(class_weight, ignore_class, from_logits, reduction, name, dtype)

    def overlap(self, both, predicted, true):
        return ops.divide_no_nan(both, predicted + true - both)


@keras.saving.register_keras_serializable(package="kvision")
class BalancedBinaryCrossentropy(MaskLoss):
    """HED's loss of edges: the few pixels on an edge weigh as much as the many off it.

    In each image, pixels on an edge count with the share of pixels off it, and the other way
    round. An image without edges therefore adds nothing. Where several people drew a picture, a
    pixel is on an edge if more than half of them drew one there, off it if nobody did, and does not
    count otherwise.

    Args:
        ignore_class: the label of pixels that do not count; `None` if none is such. Edges are 1: in
            maps of 0 and 255, divide by 255 first.
        from_logits: whether `y_pred` holds logits instead of probabilities.
        reduction, name, dtype: as in `keras.losses.Loss`; the mean is over the pixels that count.

    Call arguments:
        y_true: 1 on an edge, 0 off it, between them the share of people who drew one; `(batch,
            height, width, 1)` or `(batch, height, width)`. Any other value but `ignore_class` makes
            the loss NaN.
        y_pred: `(batch, height, width, 1)`.
        sample_weight: as in `MaskCrossentropy`; the balance does not depend on it.

    Raises:
        ValueError: where shapes do not fit.

    Differs from the paper: the mean over pixels; `reduction="sum"` is the authors' sum, with which
    their learning rate of 1e-6 goes.

    Reference:
        Xie, Tu: Holistically-nested edge detection, 2015, equation 2.

    Example:

    >>> edges = np.array([[[[1], [0], [0], [0]]]])
    >>> loss = BalancedBinaryCrossentropy(reduction="none")(edges, np.full((1, 1, 4, 1), 0.5))
    >>> (np.asarray(loss) / np.log(2)).round(2).tolist()
    [[[0.75, 0.25, 0.25, 0.25]]]
    """

    def __init__(
        self,
        ignore_class=VOID,
        from_logits=False,
        reduction=_MEAN,
        name="balanced_binary_crossentropy",
        dtype=None,
    ):
        super().__init__(ignore_class, from_logits, reduction, name, dtype)

    def check_channels(self, channels):
        if channels not in (1, None):
            raise ValueError(
                f"`y_pred` must have one channel in `{self.name}`. Received: {channels}. Use "
                "`kv.losses.MaskCrossentropy` for several classes."
            )

    def labels(self, y_true, y_pred):
        shares = ops.cast(ops.convert_to_tensor(y_true), self.dtype)
        between = (shares > 0) & (shares < 1)
        agreed = ops.where(shares > 0.5, 1.0, float(_DISPUTED))
        whole = ops.where(ops.equal(shares, ops.floor(shares)), shares, -1.0)
        return super().labels(ops.where(between, agreed, whole), y_pred)

    def counted(self, labels):
        return super().counted(labels) & ops.not_equal(labels, _DISPUTED)

    def call(self, y_true, y_pred):
        labels = self.labels(y_true, y_pred)
        safe, unknown = self.known(labels, 2)
        target = ops.cast(safe, y_pred.dtype)
        losses = ops.binary_crossentropy(target[..., None], y_pred, from_logits=self.from_logits)
        counted = ops.cast(self.counted(labels), y_pred.dtype)
        total = ops.sum(counted, axis=(1, 2), keepdims=True)
        positives = ops.sum(counted * target, axis=(1, 2), keepdims=True)
        share = ops.divide_no_nan(total - positives, total)  # the paper's beta
        losses = losses[..., 0] * ops.where(target > 0, share, 1.0 - share)
        losses = ops.where(self.counted(labels), losses, 0.0)
        return ops.where(unknown, math.nan, losses)
