"""A picture that a network is given: uint8 (height, width, 1 or 3), float32 in a batch."""

import tensorflow as tf

DTYPE = tf.uint8
IS_PICTURE = True


def check(name, spec):
    """Raises a ValueError where it is no picture."""
    if spec.dtype != DTYPE or spec.shape.rank != 3 or spec.shape[-1] not in (1, 3):
        raise ValueError(
            f"The {name}s in `dataset` must be unbatched uint8 tensors of shape (height, width, 1) "
            f"or (height, width, 3). Received: shape {spec.shape}, dtype {spec.dtype.name}"
        )


def resized(value, frame):
    """The picture in the size and channels of the `Frame`."""
    return frame.picture(value)


def for_fit(value, batch):
    """Pixels in 0..255."""
    return tf.cast(value, tf.float32)
