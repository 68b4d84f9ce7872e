"""The shapes of anchors of the published detectors, in pixels: `(height, width)` for each position.

`kv.layers.Anchors` sets them on a picture.
"""

import numpy as np


def rpn_shapes(sizes=(128, 256, 512), ratios=(0.5, 1.0, 2.0), base=16):
    """The anchors of region proposal networks: each size in each ratio, of about equal area.

    Args:
        sizes: sides of the square anchors in pixels.
        ratios: height by width.
        base: the published networks round the sides of anchors of this size to whole pixels, and
            enlarge these; `None` rounds nothing.

    Returns:
        A list of (height, width), the sizes of the first ratio first. The nine by default are those
        of Faster R-CNN: with their corners counted from 1 and inclusive, as the authors' MATLAB
        does, the first is (-83, -39, 100, 56) in x, y, x, y, which is 184 wide, 96 high and has its
        centre where `Anchors` has it, at 8 pixels of a stride of 16.

    Raises:
        ValueError: where a number is not greater than 0.

    Reference:
        Ren et al.: Faster R-CNN, 2015, section 3.1.1.

    Example:

    >>> rpn_shapes()[:3]
    [(96.0, 184.0), (192.0, 368.0), (384.0, 736.0)]
    """
    _check_positive("sizes", sizes)
    _check_positive("ratios", ratios)
    if base is None:
        return [(size * ratio**0.5, size / ratio**0.5) for ratio in ratios for size in sizes]
    _check_positive("base", (base,))
    widths = [float(np.round(base / ratio**0.5)) for ratio in ratios]
    heights = [float(np.round(w * ratio)) for w, ratio in zip(widths, ratios, strict=True)]
    return [
        (height * size / base, width * size / base)
        for height, width in zip(heights, widths, strict=True)
        for size in sizes
    ]


def ssd_shapes(sizes, long):
    """The anchors of SSD: on each level two squares, and oblong ones of the same area.

    Args:
        sizes: sides of the small square in pixels, for each level, and one more: the large square's
            side is the geometric mean of a level's number and the next.
        long: for each level whether there are also boxes three times as long as wide.

    Returns:
        For each level a list of four or six (height, width).

    Raises:
        ValueError: where a number is not greater than 0, or there is not one more size.

    Reference:
        Liu et al.: SSD, 2016, section 2.2; the order is that of the authors' code.

    Example:

    >>> [[(round(h, 1), round(w, 1)) for h, w in level] for level in ssd_shapes((30, 60), [False])]
    [[(30.0, 30.0), (42.4, 42.4), (21.2, 42.4), (42.4, 21.2)]]
    """
    _check_positive("sizes", sizes)
    if len(sizes) != len(long) + 1:
        raise ValueError(
            "`sizes` must have one number more than `long` has levels. "
            f"Received: {len(sizes)} sizes, {len(long)} levels."
        )
    levels = []
    for size, following, also_long in zip(sizes[:-1], sizes[1:], long, strict=True):
        mean = float(size * following) ** 0.5
        ratios = (2, 3) if also_long else (2,)
        levels.append([(float(size), float(size)), (mean, mean), *_oblong(size, ratios)])
    return levels


def ssdlite_shapes(levels=6, size=(320, 320), scales=(0.2, 0.95)):
    """The anchors of SSDLite: three on the first level, six on each other.

    Args:
        levels: number of levels.
        size: `(height, width)` of the picture in pixels; its shorter side counts.
        scales: sides of the squares of the first level and of the last, in 0..1 of that; those
            between are evenly spaced.

    Returns:
        For each level a list of (height, width): on the first a square of half the scale, and two
        oblong boxes; on the others those of SSD, whose next scale after the last is 1.

    Raises:
        ValueError: where a number is not greater than 0.

    Reference:
        Huang et al.: Speed/accuracy trade-offs for modern convolutional object detectors, 2017: the
        authors' TensorFlow models, with `reduce_boxes_in_lowest_layer`.

    Example:

    >>> [len(level) for level in ssdlite_shapes()]
    [3, 6, 6, 6, 6, 6]
    """
    _check_positive("levels", (levels,))
    _check_positive("size", size)
    _check_positive("scales", scales)
    side = min(size)
    sides = [float(scale) * side for scale in np.linspace(*scales, levels)]
    shapes = ssd_shapes([*sides, float(side)], [True] * levels)
    half = sides[0] / 2
    return [[(half, half), *_oblong(sides[0], (2,))], *shapes[1:]]


def _oblong(size, ratios):
    """Lying and standing boxes of the area of a square."""
    shapes = []
    for ratio in ratios:
        long, short = float(size * ratio**0.5), float(size / ratio**0.5)
        shapes += [(short, long), (long, short)]
    return shapes


def _check_positive(name, values):
    if not all(value > 0 for value in values):
        raise ValueError(f"`{name}` must be greater than 0. Received: {values}")
