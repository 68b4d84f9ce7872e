"""Edges of one pixel's width."""

import numpy as np

# The eight neighbours, clockwise from above.
NEIGHBOURS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def suppress_non_maxima(scores, smoothing=2.0, slack=1.01):
    """Keeps what is the largest across the direction of its edge; the rest becomes 0.

    Args:
        scores: edge scores `(height, width)`.
        smoothing: standard deviation, in pixels, of the Gaussian that directions are taken after.
        slack: factor by which a neighbour must be larger to win.

    Returns:
        An array like `scores`.

    Reference:
        Dollar, Zitnick: Structured forests for fast edge detection, 2013, whose toolbox HED uses.
    """
    from scipy import ndimage

    scores = np.asarray(scores, "float64")
    smooth = ndimage.gaussian_filter(scores, smoothing, mode="nearest")
    (yy, xy), (_, xx) = (np.gradient(first) for first in np.gradient(smooth))
    # Across an edge the second derivative is the largest, whatever its sign: that eigenvector of
    # the Hessian. On its ridge it is negative, and farther out positive.
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2 * (xx + yy < 0)
    step = np.stack([np.sin(angle), np.cos(angle)])
    places = np.indices(scores.shape)
    sides = [
        ndimage.map_coordinates(scores, places + sign * step, order=1, mode="nearest")
        for sign in (-1, 1)
    ]
    return np.where(slack * scores >= np.maximum(*sides), scores, 0.0)


def thin(edges):
    """Peels off the outer pixels of lines until one pixel's width is left; ends stay.

    Args:
        edges: booleans `(height, width)`.

    Returns:
        Booleans `(height, width)`, as connected as `edges`.

    Reference:
        Zhang, Suen: A fast parallel algorithm for thinning digital patterns, 1984.
    """
    kept = np.pad(np.asarray(edges, bool), 1)
    while True:
        before = kept.sum()
        for first in (True, False):
            kept[1:-1, 1:-1] &= ~_removable(kept, first)
        if kept.sum() == before:
            return kept[1:-1, 1:-1]


def _removable(kept, first):
    rows, columns = kept.shape
    around = [kept[1 + dy : rows - 1 + dy, 1 + dx : columns - 1 + dx] for dy, dx in NEIGHBOURS]
    north, _, east, _, south, _, west, _ = around
    following = zip(around, [*around[1:], around[0]], strict=True)
    changes = sum((~a & b).astype("uint8") for a, b in following)
    count = sum(each.astype("uint8") for each in around)
    free = (
        ~(north & east & south) & ~(east & south & west)
        if first
        else ~(north & east & west) & ~(north & south & west)
    )
    return (changes == 1) & (count >= 2) & (count <= 6) & free
