"""Masks of single objects: bits while they wait, channels of an image while they move."""

import numpy as np
import tensorflow as tf

_BITS = 8
_PLACES = np.arange(_BITS - 1, -1, -1, dtype="uint8")  # of the bits, the highest first
_LOOSE = 1.0  # how many pixels a box may stand off its mask


def pack_masks(masks):
    """Masks (n, height, width) of 0 and 1 as bits: uint8 (n, height, width / 8, rounded up)."""
    masks = tf.pad(masks, ((0, 0), (0, 0), (0, -masks.shape[-1] % _BITS)))
    bits = tf.reshape(masks, (-1, masks.shape[1], masks.shape[2] // _BITS, _BITS))
    return tf.reduce_sum(tf.bitwise.left_shift(bits, _PLACES), axis=-1)


def unpack_masks(packed, width):
    """What `pack_masks` was given, also for a batch of it."""
    bits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(packed[..., None], _PLACES), 1)
    shape = tf.concat([tf.shape(packed)[:-1], [packed.shape[-1] * _BITS]], axis=0)
    masks = tf.reshape(bits, shape)[..., :width]
    return tf.ensure_shape(masks, (*packed.shape[:-1], width))


def as_channels(masks):
    """Masks (n, height, width) as (height, width, n + 1): an empty one more, as n may be 0."""
    return tf.pad(tf.transpose(masks, (1, 2, 0)), ((0, 0), (0, 0), (0, 1)))


def from_channels(pixels, size):
    """What `as_channels` was given, or what has become of it, now of the (height, width) `size`."""
    return tf.ensure_shape(tf.transpose(pixels[..., :-1], (2, 0, 1)), (None, *size))


def fit_together(masks, boxes):
    """Masks that keep to their boxes, and boxes that hug their masks.

    Where an image is mirrored at its border, what is mirrored is no part of the object; and the
    upright box around a turned box is too large for what is in it.

    Args:
        masks: uint8 (n, height, width), 0 or 1.
        boxes: float32 (n, 4), relative ymin, xmin, ymax, xmax, inside the image.

    Returns:
        The masks, and the boxes: sides that stood off by more than a pixel are moved, those of
        empty masks stay.
    """
    sides = tf.constant([*masks.shape[1:], *masks.shape[1:]], tf.float32)
    edges = boxes * sides
    rows, columns = (
        _between(edges[:, axis], edges[:, axis + 2], masks.shape[1 + axis]) for axis in (0, 1)
    )
    masks *= tf.cast(rows[:, :, None] & columns[:, None, :], masks.dtype)
    (top, bottom), (left, right) = (_ends(tf.reduce_max(masks, axis)) for axis in (2, 1))
    extent = tf.stack([top, left, bottom, right], axis=-1)
    loose = (tf.abs(extent - edges) > _LOOSE) & (bottom > top)[:, None]
    return masks, tf.where(loose, extent / sides, boxes)


def _between(start, stop, size):
    """Which of `size` pixels have their middle between two edges, or half a pixel beyond."""
    middles = tf.range(size, dtype=tf.float32) + 0.5
    return (middles > start[:, None] - 0.5) & (middles < stop[:, None] + 0.5)


def _ends(lines):
    """Where the ones of each row (n, size) begin and end; both 0 where there are none."""
    size = lines.shape[-1]
    first = tf.cast(tf.argmax(lines, axis=-1), tf.float32)
    last = size - tf.cast(tf.argmax(lines[:, ::-1], axis=-1), tf.float32)
    return first, tf.where(tf.reduce_max(lines, axis=-1) > 0, last, first)
