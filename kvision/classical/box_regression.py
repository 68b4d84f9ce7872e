"""Boxes moved to where the object is, by a linear function of what is seen in them."""

import keras
import numpy as np

from kvision.ops import boxes as box_ops

ALPHA = 1000.0
_PLAIN = (1.0, 1.0, 1.0, 1.0)


def fit_box_regression(features, boxes, targets, alpha=ALPHA):
    """Ridge regression from the features of boxes to the objects near them.

    Args:
        features: array `(n, length)`.
        boxes: array `(n, 4)`, where the features were seen.
        targets: array `(n, 4)`, the object near each.
        alpha: of the ridge.

    Returns:
        `(weights, bias)`, `(length, 4)` and `(4,)`, float32. With no boxes all are zero, which
        leaves boxes where they are.

    Differs from the paper: the authors' code decorrelates the four targets before and undoes it
    after, which changes nothing in a linear regression. The bias is not regularised.

    Reference:
        Girshick et al., 2014, appendix C.

    Example:

    >>> boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.3, 0.2, 0.7, 0.6], [0.4, 0.5, 0.8, 0.9]])
    >>> model = fit_box_regression(np.zeros((3, 2)), boxes, boxes + [0.1, 0.0, 0.1, 0.0])
    >>> move_boxes(boxes[:1], np.zeros((1, 2)), *model).astype(float).round(3).tolist()
    [[0.2, 0.1, 0.6, 0.5]]
    """
    from sklearn.linear_model import Ridge

    features = np.asarray(features, "float32")
    if features.ndim != 2 or not len(features) == len(boxes) == len(targets):
        raise ValueError(
            "`features` (n, length), `boxes` and `targets` must be of one number. Received shapes: "
            f"{features.shape}, {np.shape(boxes)} and {np.shape(targets)}"
        )
    if not len(features):
        return np.zeros((features.shape[1], 4), "float32"), np.zeros(4, "float32")
    code = keras.ops.convert_to_numpy(box_ops.encode(targets, boxes, _PLAIN))
    ridge = Ridge(alpha=alpha).fit(features, code)
    return ridge.coef_.T.astype("float32"), ridge.intercept_.astype("float32")


def move_boxes(boxes, features, weights, bias):
    """Boxes where the regression believes the object is, cut off at the edges of the picture.

    Args:
        boxes: array `(n, 4)`.
        features: array `(n, length)`.
        weights: array `(..., length, 4)`.
        bias: array `(..., 4)`.

    Returns:
        Array `(..., n, 4)`, float32.
    """
    code = features @ weights + bias[..., None, :]
    boxes = np.broadcast_to(np.asarray(boxes, "float32"), code.shape)
    return keras.ops.convert_to_numpy(box_ops.clip(box_ops.decode(code, boxes, _PLAIN)))
