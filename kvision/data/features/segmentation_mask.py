"""The class of each pixel: uint8 (height, width, 1), 255 where there is none."""

import tensorflow as tf

from kvision.data.features.maps import check_map
from kvision.ops.masks import VOID

DTYPE = tf.uint8
PIXEL_BYTES = 1
FILL = VOID
WEIGHT = "pixel_weight"
PLURAL = "masks"


def check(name, spec):
    """Raises a ValueError where it is no such map."""
    check_map(name, spec, DTYPE)


def beside(spec):
    """Whether it is a map of whole numbers."""
    return spec.shape.rank == 3 and spec.dtype.is_integer


def resized(value, frame):
    """Each pixel keeps one class: that of the nearest."""
    return frame.nearest(value, FILL)


def class_names(description):
    """The names, or None where the source does not tell."""
    return getattr(description, "names", None)


def relabelled(value, table):
    """The mask in other numbers; void stays void."""
    table = [*table, *[VOID] * (VOID + 1 - len(table))]
    return tf.gather(tf.constant(table, value.dtype), tf.cast(value, tf.int32))
