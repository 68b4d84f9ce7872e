"""How well outlines match: the boundary F1 of one image, class by class."""

import math

import numpy as np

from kvision.ops.masks import VOID


def boundary_scores(truth, predicted, classes, tolerance=0.0075, ignore_class=VOID):
    """Boundary F1 of each class in one image.

    A class's boundary is its pixels that touch (also at a corner) one that is not of it; the edge
    of the picture is none. Precision is the share of predicted boundary pixels within the
    tolerance of a true one, recall the share of true ones within it of a predicted one. Void pixels
    are void in the prediction too.

    Args:
        truth: `(height, width)` integers.
        predicted: `(height, width)` integers.
        classes: how many there are.
        tolerance: Euclidean distance: below 1 a share of the picture's diagonal, from 1 pixels.
        ignore_class: the label of pixels that do not count; `None` if all do.

    Returns:
        `(classes,)` of 0..1; NaN where neither has a boundary.

    Raises:
        ValueError: where the tolerance is negative.

    Reference:
        Csurka, Larlus, Perronnin: What is a good evaluation measure for semantic segmentation?,
        2013.

    Example:

    >>> truth = np.array([[0, 0, 0, 1, 1, 1]])
    >>> boundary_scores(truth, np.array([[0, 0, 1, 1, 1, 1]]), classes=3, tolerance=1)
    array([ 1.,  1., nan])
    """
    if not tolerance >= 0:
        raise ValueError(
            "`boundary_tolerance` must be a share of the diagonal (below 1) or a number of pixels. "
            f"Received: {tolerance}"
        )
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if tolerance < 1:
        tolerance = tolerance * math.hypot(*truth.shape)
    if ignore_class is not None:
        predicted = np.where(truth == ignore_class, ignore_class, predicted)
    scores = np.full(classes, np.nan)
    for index in np.union1d(np.unique(truth), np.unique(predicted)):
        if index == ignore_class or not 0 <= index < classes:
            continue
        true, guessed = boundary_points(truth == index), boundary_points(predicted == index)
        if len(true) + len(guessed):
            precision = _share_near(guessed, true, tolerance)
            recall = _share_near(true, guessed, tolerance)
            both = precision + recall
            scores[index] = 2 * precision * recall / both if both else 0.0
    return scores


def boundary_points(region):
    """Rows and columns `(n, 2)` of a region's pixels that touch one outside of it."""
    from scipy import ndimage

    edge = region & ndimage.binary_dilation(~region, np.ones((3, 3)))
    return np.argwhere(edge)


def _share_near(points, others, tolerance):
    if not len(points) or not len(others):
        return 0.0
    from scipy.spatial import KDTree

    distances, _ = KDTree(others).query(points, distance_upper_bound=tolerance + 1.0)
    return float(np.mean(distances <= tolerance + 1e-6))
