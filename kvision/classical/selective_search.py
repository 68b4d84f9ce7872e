"""Selective search: where objects may be, from colours and textures alone.

Uijlings, van de Sande, Gevers, Smeulders: Selective search for object recognition, IJCV 2013. The
grouping is OpenCV's.
"""

import numpy as np

from kvision.classical.pictures import as_pixels

MODES = ("fast", "quality")


def selective_search(image, mode="fast", most=2000, minimum_size=20, longer_side=500, seed=0):
    """Boxes that may hold an object, whatever its class: the regions of R-CNN and Fast R-CNN.

    The picture falls into many small segments, and the most alike neighbours are merged until one
    is left; every segment on the way gives a box. Colour spaces, measures of likeness and sizes of
    the first segments are varied and all boxes pooled.

    Args:
        image: array `(height, width, 3)`, `(height, width, 1)` or `(height, width)`, RGB or grey,
            pixels 0..255.
        mode: `"fast"` (two colour spaces, two measures) or `"quality"` (five and four: about twice
            as many boxes, in three times the time).
        most: number of boxes to keep.
        minimum_size: least height and width of a box, in pixels of the picture as it is searched;
            the size of the picture at most.
        longer_side: what the picture is resized to before, as segments have a least size in
            pixels; `None` searches it as it is.
        seed: of the ranking.

    Returns:
        float32 array `(n, 4)`, `n` up to `most`, rel_yxyx, none twice. By rank: the larger a box,
        the earlier, times chance, so that the first thousand hold boxes of all sizes.

    Raises:
        ValueError: for an unknown mode, a number out of range, or no picture.

    Differs from the paper: the texture's histograms and the variations are OpenCV's. A box's place
    in the merging is taken from its size, not from its turn, which OpenCV keeps to itself: it ranks
    by a generator that cannot be seeded.

    Reference:
        Uijlings et al., 2013. Resizing to 500 pixels and the least side of 20 are those of the
        code of R-CNN.

    Example:

    >>> picture = np.full((60, 80, 3), 90, "uint8")
    >>> picture[20:40, 30:70] = (200, 30, 30)
    >>> boxes = selective_search(picture)
    >>> bool((abs(boxes - [1 / 3, 3 / 8, 2 / 3, 7 / 8]).max(axis=1) < 0.02).any())
    True
    """
    _check(mode, most, minimum_size, longer_side)
    import cv2

    pixels = as_pixels(image, 3)
    if longer_side is not None:
        factor = longer_side / max(pixels.shape[:2])
        size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(pixels[..., ::-1]))  # OpenCV reads blue, green, red
    if mode == "fast":
        search.switchToSelectiveSearchFast()
    else:
        search.switchToSelectiveSearchQuality()
    found = np.unique(np.asarray(search.process()).reshape(-1, 4), axis=0)  # x, y, width, height
    height, width = pixels.shape[:2]
    found = found[
        (found[:, 2] >= min(minimum_size, width)) & (found[:, 3] >= min(minimum_size, height))
    ]
    left, top, wide, high = found[_ranking(found[:, 2] * found[:, 3], seed)[:most]].T
    sides = (top / height, left / width, (top + high) / height, (left + wide) / width)
    return np.stack(sides, axis=1).astype("float32")


def _ranking(areas, seed):
    """The order of boxes by their place among the largest, times a random number."""
    place = np.empty(len(areas))
    place[np.argsort(-areas, kind="stable")] = np.arange(1, len(areas) + 1)
    return np.argsort(place * np.random.default_rng(seed).random(len(areas)), kind="stable")


def _check(mode, most, minimum_size, longer_side):
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}. Received: {mode!r}")
    if most < 1 or minimum_size < 1 or (longer_side is not None and longer_side < 1):
        raise ValueError(
            "`most`, `minimum_size` and `longer_side` must be at least 1. Received: "
            f"most={most}, minimum_size={minimum_size}, longer_side={longer_side}"
        )
