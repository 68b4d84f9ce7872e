"""Edge maps and drawn lines matched pixel by pixel, and what follows from the counts."""

import numpy as np

from kvision.evaluation.thinning import suppress_non_maxima, thin
from kvision.ops.masks import VOID


def cut_offs(thresholds):
    """Returns the thresholds as a sorted array.

    Args:
        thresholds: how many, evenly spaced between 0 and 1; or a list of them.

    Raises:
        ValueError: where there are none, or one is not above 0 and at most 1.
    """
    if isinstance(thresholds, int):
        levels = np.arange(1, thresholds + 1) / (thresholds + 1)
    else:
        levels = np.sort(np.asarray(thresholds, "float64").ravel())
    if not len(levels) or levels[0] <= 0 or levels[-1] > 1:
        raise ValueError(
            "`thresholds` must be a number of them from 1, or a list of values above 0 and at most "
            f"1. Received: {thresholds}"
        )
    return levels


def edge_counts(scores, truths, tolerance, levels, thinning=True):
    """Counts predicted and drawn pixels of one picture, and those that match.

    Args:
        scores: edge map `(height, width)`, 0..1.
        truths: list of masks `(height, width)`, one for each annotator: 1 on a line, 0 off it, 255
            where nothing counts.
        tolerance: distance of partners, as a share of the picture's diagonal.
        levels: thresholds.
        thinning: whether to suppress non-maxima and thin.

    Returns:
        A list with a tuple for each threshold: predicted pixels, those of them that are right,
        drawn pixels, those of them that are found. Predicted pixels where nothing counts are left
        out unless they are right.
    """
    reach = tolerance * np.hypot(*scores.shape)
    void = np.logical_and.reduce([truth == VOID for truth in truths])
    drawn = [np.argwhere(truth == 1) for truth in truths]
    if thinning:
        scores = suppress_non_maxima(scores)
    rows, before, row = [], None, None
    for level in levels:
        edges = scores >= level
        edges = thin(edges) if thinning else edges
        if before is None or not np.array_equal(edges, before):
            row = _compared(np.argwhere(edges), void[edges], drawn, reach)
        rows.append(row)
        before = edges
    return rows


def _compared(predicted, void, drawn, reach):
    right, found = np.zeros(len(predicted), bool), 0
    for points in drawn:
        matched = match(predicted, points, reach)
        right[matched] = True
        found += len(matched)
    return int((right | ~void).sum()), int(right.sum()), sum(map(len, drawn)), found


def match(first, second, reach):
    """Finds the points of `first` with a partner in `second`, in the largest one-to-one matching.

    Args:
        first: points `(n, 2)`.
        second: points `(m, 2)`.
        reach: largest distance of partners.

    Returns:
        Indices into `first`.
    """
    from scipy import sparse, spatial
    from scipy.sparse import csgraph

    if not len(first) or not len(second):
        return np.empty(0, int)
    near = spatial.cKDTree(first).query_ball_tree(spatial.cKDTree(second), reach)
    starts = np.cumsum([0, *map(len, near)])
    columns = np.fromiter((j for row in near for j in row), "int32", starts[-1])
    graph = sparse.csr_array(
        (np.ones(len(columns), "int8"), columns, starts), shape=(len(first), len(second))
    )
    partners = csgraph.maximum_bipartite_matching(graph, perm_type="column")
    return np.flatnonzero(partners >= 0)


def edge_summary(tables, tolerance, levels):
    """Returns the dict of `kv.evaluation.evaluate_edges` that follows from counts.

    Args:
        tables: what `edge_counts` gives, for each picture.
        tolerance: as there.
        levels: as there.

    Raises:
        ValueError: where there are no pictures.
    """
    if not len(tables):
        raise ValueError("`dataset` must give at least one picture. Received: none.")
    counts = np.array(tables)  # picture, threshold, the four counts
    precision, recall, f1 = _measures(counts.sum(0))
    best = int(f1.argmax())
    each = _measures(counts)[2].argmax(1)
    chosen = counts[np.arange(len(counts)), each].sum(0)
    return {
        "images": len(counts),
        "ods": float(f1[best]),
        "ods_threshold": float(levels[best]),
        "ods_precision": float(precision[best]),
        "ods_recall": float(recall[best]),
        "ois": float(_measures(chosen)[2]),
        "average_precision": _average_precision(precision, recall),
        "tolerance": float(tolerance),
        "thresholds": levels.tolist(),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
    }


def _measures(counts):
    """Precision, recall and F1 from the four counts on the last axis; 0 where there are none."""
    predicted, right, drawn, found = np.moveaxis(np.asarray(counts, "float64"), -1, 0)
    precision = right / np.maximum(predicted, 1)
    recall = found / np.maximum(drawn, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return precision, recall, f1


def _average_precision(precision, recall):
    """The area under the curve, by steps of 0.01 in recall where there is a curve."""
    order = np.lexsort((-precision, recall))
    recall, precision = recall[order], precision[order]
    grid = np.arange(101) / 100
    return float(np.interp(grid, recall, precision, left=0.0, right=0.0).sum() / 100)
