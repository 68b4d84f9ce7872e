"""Losses of detection, box by box: how far off, how sure, and which background counts."""

import keras
from keras import ops


def smooth_l1(y_true, y_pred, sigma=1.0):
    """Squared error where it is small, absolute where it is large: no outlier rules the gradient.

    `0.5 (sigma d)^2` where |d| < 1 / sigma^2, else `|d| - 0.5 / sigma^2`, added up over the last
    axis: the four numbers of a box's code.

    Args:
        y_true: tensor `(..., 4)`.
        y_pred: tensor `(..., 4)`.
        sigma: where it turns: 1 in Fast R-CNN's head and in SSD, 3 in the region proposals of
            Faster R-CNN.

    Returns:
        Tensor `(...)`, float32.

    Raises:
        ValueError: where `sigma` is not greater than 0.

    Reference:
        Girshick: Fast R-CNN, 2015, equation 3; sigma as in the authors' code of Faster R-CNN.

    Example:

    >>> float(smooth_l1(np.zeros(4), np.array([0.5, 0.0, -3.0, 0.0])))  # 0.125 + 2.5
    2.625
    """
    if not sigma > 0:
        raise ValueError(f"`sigma` must be greater than 0. Received: {sigma}")
    turn = 1.0 / sigma**2
    difference = ops.abs(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32"))
    small = ops.minimum(difference, turn)
    return ops.sum(0.5 * small * small / turn + difference - small, axis=-1)


def hard_negatives(losses, state, ratio=3.0, minimum=3):
    """Which negatives count: those with the largest losses, a few for each positive.

    Nearly all anchors are background, and soon easy; without a choice they drown the objects.

    Args:
        losses: tensor `(batch, anchors)`: what each anchor would lose.
        state: tensor `(batch, anchors)`: 1 positive, 0 negative, -1 left out.
        ratio: negatives for each positive of the same picture.
        minimum: negatives of a picture with few positives or none, so that pictures without
            objects teach what is no object.

    Returns:
        Tensor `(batch, anchors)` of bool. Equal losses count from the first anchor on.

    Raises:
        ValueError: where `ratio` or `minimum` is negative.

    Reference:
        Liu et al.: SSD: single shot multibox detector, 2016, section 2.2.

    Example:

    >>> losses = np.array([[0.1, 2.0, 0.5, 0.3, 0.9]])
    >>> chosen = hard_negatives(losses, np.array([[0, 1, 0, 0, -1]]), ratio=2, minimum=0)
    >>> keras.ops.convert_to_numpy(chosen).tolist()
    [[False, False, True, True, False]]
    """
    if not ratio >= 0 or not minimum >= 0:
        raise ValueError(
            "`ratio` and `minimum` must be numbers from 0. "
            f"Received: ratio={ratio}, minimum={minimum}"
        )
    losses, state = ops.convert_to_tensor(losses), ops.convert_to_tensor(state)
    positives = ops.sum(ops.cast(state == 1, "float32"), axis=-1, keepdims=True)
    wanted = ops.maximum(ratio * positives, float(minimum))
    negative = state == 0
    order = ops.argsort(ops.where(negative, -losses, float("inf")), axis=-1)
    rank = ops.argsort(order, axis=-1)
    return negative & (ops.cast(rank, "float32") < wanted)


def softmax_focal(labels, logits, gamma=2.0):
    """Cross-entropy times `(1 - p)^gamma`, p the true class's probability: hard boxes count more.

    Args:
        labels: whole numbers `(...)`.
        logits: tensor `(..., classes)`.
        gamma: 0 is cross-entropy.

    Returns:
        Tensor `(...)`, float32.

    Raises:
        ValueError: where `gamma` is negative.

    Differs from the paper: one softmax over all classes and the background, where the paper has a
    sigmoid for each class.

    Reference:
        Lin, Goyal, Girshick, He, Dollar: Focal loss for dense object detection, 2017.

    Example:

    >>> round(float(softmax_focal(np.array(0), np.zeros(2), gamma=1.0)), 4)  # ln 2 / 2
    0.3466
    """
    if not gamma >= 0:
        raise ValueError(f"`gamma` must be a number from 0. Received: {gamma}")
    losses = ops.sparse_categorical_crossentropy(
        labels, ops.cast(logits, "float32"), from_logits=True
    )
    if gamma == 0:
        return losses
    # 1 - p, kept above 0, where powers below 1 have no derivative.
    doubt = ops.maximum(-ops.expm1(-losses), keras.config.epsilon())
    return losses * ops.power(doubt, gamma)
