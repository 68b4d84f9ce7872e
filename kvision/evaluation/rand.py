"""How well the cells between membranes are kept apart: the Rand score of the ISBI challenge."""

import numpy as np


def foreground_rand_score(truth_mask, predicted_mask, foreground=1, thin=True):
    """The chance that pixels belong together in both segmentations, as an F-score of pairs.

    Connected components (by sides) of the foreground are the cells. Over the pixels that are
    truly foreground, it is twice the share of pairs that lie in one cell in both, divided by the
    sum of the shares that do in either. Unlike pixel accuracy it punishes a small gap in a
    membrane that merges two large cells.

    Args:
        truth_mask: `(height, width)` or `(height, width, 1)` integers or bools.
        predicted_mask: likewise, of the same size.
        foreground: the label of cells' pixels; all others are membrane.
        thin: whether predicted membranes are thinned away, so that their width does not count:
            each of their pixels joins the nearest cell. Without it each of them is a cell alone.

    Returns:
        0..1, best 1.

    Raises:
        ValueError: where shapes differ or there is no true foreground.

    Differs from the paper: membranes are thinned by the nearest cell, not by a homotopic
    thinning; the challenge takes the best over all thresholds of a probability map, which is up to
    the caller.

    Reference:
        Arganda-Carreras et al.: Crowdsourcing the creation of image segmentation algorithms for
        connectomics, 2015, section 2.6.1.

    Example:

    >>> truth = np.array([[1, 1, 0, 1, 1]])
    >>> foreground_rand_score(truth, truth)
    1.0
    >>> round(foreground_rand_score(truth, np.ones((1, 5))), 3)  # two cells merged
    0.667
    """
    from scipy import ndimage

    truth, predicted = (
        _plane(mask, foreground, name)
        for mask, name in ((truth_mask, "truth_mask"), (predicted_mask, "predicted_mask"))
    )
    if truth.shape != predicted.shape:
        raise ValueError(
            "`truth_mask` and `predicted_mask` must have the same size. Received: "
            f"{truth.shape} and {predicted.shape}."
        )
    if not truth.any():
        raise ValueError(
            f"`truth_mask` must hold pixels of the foreground. Received none of {foreground}."
        )
    true_cells, _ = ndimage.label(truth)
    cells, count = ndimage.label(predicted)
    if thin and count:
        rows, columns = ndimage.distance_transform_edt(
            cells == 0, return_distances=False, return_indices=True
        )
        cells = cells[rows, columns]
    true_cells, cells = true_cells[truth], cells[truth]
    alone = int(np.sum(cells == 0))  # membrane pixels, each a cell of its own
    pairs, sizes = np.unique(
        np.stack([true_cells, cells])[:, cells > 0], axis=1, return_counts=True
    )
    both = np.sum(sizes.astype(float) ** 2) + alone
    in_truth = np.sum(np.bincount(true_cells).astype(float) ** 2)
    in_prediction = np.sum(np.bincount(pairs[1], sizes) ** 2) + alone if sizes.size else alone
    return float(2 * both / (in_truth + in_prediction))


def _plane(mask, foreground, name):
    mask = np.asarray(mask)
    if mask.ndim == 3 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise ValueError(
            f"`{name}` must be of shape (height, width) or (height, width, 1). Received: "
            f"{mask.shape}"
        )
    return mask == foreground
