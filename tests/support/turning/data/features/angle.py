"""By how many degrees, counter-clockwise, the second picture is turned against the first."""

import tensorflow as tf

DTYPE = tf.float32


def check(name, spec):
    """Raises a ValueError where it is no single float."""
    if spec.shape.rank != 0 or not spec.dtype.is_floating:
        raise ValueError(
            f"The '{name}' of an example must be a float, in degrees. Received: {spec}"
        )


def follow(value, matrix):
    """In a mirror what turned left turns right; turned or shifted pictures turn as before."""
    return value * tf.sign(tf.linalg.det(matrix))
