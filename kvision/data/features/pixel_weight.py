"""How much each pixel of a mask counts: float32 (height, width, 1)."""

import tensorflow as tf

from kvision.data.features.maps import check_map

DTYPE = tf.float32
PIXEL_BYTES = 4
FILL = 0.0


def check(name, spec):
    """Raises a ValueError where it is no such map."""
    check_map(name, spec, DTYPE)


def resized(value, frame):
    """Each pixel keeps the weight that goes with its class."""
    return frame.nearest(value, FILL)
