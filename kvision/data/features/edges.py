"""Drawn edges: (height, width, 1), the share of annotators, 0..1, who drew one at each pixel.

Sources give float32, or uint8 of 0 and 1; float32 in a batch. Where a picture shrinks, a pixel has
the greatest share of those that it was made of: lines of one pixel must neither break nor fade
below the share from which on losses and scores count them.
"""

import tensorflow as tf

from kvision.data.features.maps import check_map

DTYPE = tf.float32
PIXEL_BYTES = 4
FILL = 0.0
PLURAL = "edges"


def check(name, spec):
    """Raises a ValueError where it is no such map."""
    check_map(name, spec, DTYPE, tf.uint8)


def beside(spec):
    """Whether it is a map of shares."""
    return spec.shape.rank == 3 and spec.dtype.is_floating


def resized(value, frame):
    """The greatest share in what each pixel shows."""
    return frame.pixels(value, _greatest, FILL)


def _greatest(pixels, size):
    """The pixels in another (height, width): the greatest where it shrinks, else the nearest."""
    for axis in (0, 1):
        pixels = _greatest_row(pixels, size[axis])
        pixels = tf.transpose(pixels, (1, 0, 2))
    return pixels


def _greatest_row(pixels, count):
    rows = tf.shape(pixels)[0]
    # Row r of the old ones lies, with its middle, in row (r + 1/2) count / rows of the new ones.
    places = (2 * tf.range(rows) + 1) * count // (2 * rows)
    nearest = (2 * tf.range(count) + 1) * rows // (2 * count)
    return tf.cond(
        count < rows,
        lambda: tf.math.unsorted_segment_max(pixels, places, count),
        lambda: tf.gather(pixels, nearest),
    )
