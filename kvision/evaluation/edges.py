"""Edges compared with what people drew: ODS, OIS and AP of the Berkeley benchmark."""

import numpy as np

from kvision.evaluation.thinning import suppress_non_maxima, thin
from kvision.ops.masks import VOID


def edge_scores(model, dataset, tolerance=0.0075, thresholds=99, thinning=True, progress=False):
    """ODS, OIS and average precision of edge maps.

    Edges are thinned, cut off at each threshold and matched one to one with the drawn ones, as many
    as lie within `tolerance`. Where several people drew a picture, an edge is right if one of them
    has it, and the drawn edges of all are to be found.

    Args:
        model: a `keras.Model` such as `kv.models.HED`, or what `kv.export.load` gives, from pixels
            to `(n, height, width, 1)`, 0..1 (of a dict of outputs its `"fuse"`); or the edge maps
            themselves, one `(height, width)` a picture.
        dataset: pairs of an image `(height, width, channels)` and its truth, or batches of them as
            `kv.data.batches` gives; with edge maps the truths alone. A truth is a mask
            `(height, width)` or `(height, width, 1)` of 0 and 1, lines of one pixel's width, 255
            where nothing counts; or a list of these, one for each annotator.
        tolerance: distance that counts as the same place, as a share of the picture's diagonal.
        thresholds: how many, evenly spaced between 0 and 1; or a list of them.
        thinning: whether to suppress non-maxima first, across the edges' directions, and thin what
            is left above each threshold. Maps of one pixel's width can do without.
        progress: whether to print a line for each ten pictures.

    Returns:
        A dict that JSON can hold: `images`, `ods` (F1 at the best threshold for all) with
        `ods_threshold`, `ods_precision` and `ods_recall`, `ois` (F1 with each picture's own best
        threshold), `average_precision`, `tolerance`, and the lists `thresholds`, `precision` and
        `recall`.

    Raises:
        ValueError: where there are no pictures, shapes differ, or a mask holds other values.

    Differs from the paper: matching is of the largest number of pairs, by augmenting paths, where
    the benchmark's program minimises the sum of distances too: the counts are the same but for its
    heuristics. ODS takes the best of `thresholds`, without interpolating between them.

    Reference:
        Arbelaez, Maire, Fowlkes, Malik: Contour detection and hierarchical image segmentation,
        2011, section 3.

    Example:

    >>> truth = np.eye(32, dtype="uint8")
    >>> edge_scores([0.8 * truth], [truth], thinning=False)["ods"]
    1.0
    """
    levels = _levels(thresholds)
    tables = []
    for scores, truths in _examples(model, dataset):
        tables.append(_counts(scores, truths, tolerance, levels, thinning))
        if progress and len(tables) % 10 == 0:
            print(f"{len(tables)} pictures", flush=True)
    if not tables:
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


def _levels(thresholds):
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


def _counts(scores, truths, tolerance, levels, thinning):
    """For each threshold: predicted and right ones of them, drawn and found ones of them."""
    reach = tolerance * np.hypot(*scores.shape)
    void = np.logical_and.reduce([truth == VOID for truth in truths])
    drawn = [np.argwhere(truth == 1) for truth in truths]
    if thinning:
        scores = suppress_non_maxima(scores)
    rows, before, row = [], None, None
    for level in levels:
        edges = scores >= level
        edges = (thin(edges) if thinning else edges) & ~void
        if before is None or not np.array_equal(edges, before):
            row = _compared(np.argwhere(edges), drawn, reach)
        rows.append(row)
        before = edges
    return rows


def _compared(predicted, drawn, reach):
    right, found = np.zeros(len(predicted), bool), 0
    for points in drawn:
        matched = match(predicted, points, reach)
        right[matched] = True
        found += len(matched)
    return len(predicted), int(right.sum()), sum(map(len, drawn)), found


def match(first, second, reach):
    """Which points of `first` have a partner in `second`, in the largest one-to-one matching.

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


def _examples(model, dataset):
    """Pairs of an edge map and a list of drawn masks, all `(height, width)`."""
    if not hasattr(model, "predict"):
        maps, truths = list(model), list(dataset)
        if len(maps) != len(truths):
            raise ValueError(
                "There must be a truth for each edge map. Received: "
                f"{len(maps)} maps, {len(truths)} truths"
            )
        for scores, truth in zip(maps, truths, strict=True):
            yield _checked(scores, truth)
        return
    for image, truth in dataset:
        image = np.asarray(image)
        images, truths = (image, truth) if image.ndim == 4 else (image[None], [truth])
        for scores, each in zip(_predicted(model, images), truths, strict=True):
            yield _checked(scores, each)


def _predicted(model, images):
    options = {"verbose": 0} if hasattr(model, "fit") else {}
    maps = model.predict(images, batch_size=len(images), **options)
    return np.asarray(maps["fuse"] if isinstance(maps, dict) else maps)


def _checked(scores, truth):
    truths = truth if isinstance(truth, (list, tuple)) else [truth]
    planes = [_plane(plane) for plane in (scores, *truths)]
    if len(planes) < 2 or any(plane.shape != planes[0].shape for plane in planes):
        raise ValueError(
            "An edge map and its truths must be of one size, (height, width). Received: "
            f"{[plane.shape for plane in planes]}"
        )
    for mask in planes[1:]:
        if not np.isin(mask, (0, 1, VOID)).all():
            raise ValueError(
                f"A truth must hold 0, 1 (edge) or {VOID} (does not count). Received: "
                f"{np.unique(mask)[:8]}"
            )
    return planes[0].astype("float64"), planes[1:]


def _plane(values):
    values = np.asarray(values)
    return values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
