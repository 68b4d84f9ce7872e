"""Seeds for Keras's layers that say which epoch, layer and example they are for."""

import keras
import tensorflow as tf


class Seeds(keras.random.SeedGenerator):
    """Seeds that depend on a key alone, so that examples can be augmented in any order.

    Keras's layers take a `SeedGenerator` as `seed`. This one holds no variable: its n-th seed is
    the key plus n, and the key says which epoch, layer and example it is for.
    """

    def __init__(self, key):  # no super().__init__(): it would create the variable
        self._key = key
        self._drawn = 0

    def next(self, ordered=True):
        self._drawn += 1
        return self._key + tf.constant([self._drawn, 0], tf.int32)


def keys(seed, count):
    """Keys for `Seeds`, one for each of `count` examples.

    Args:
        seed: int32 tensor of shape (2,).
        count: how many.

    Returns:
        int32 tensor (count, 2).
    """
    first = tf.fill((count,), seed[0])
    return tf.stack([first, seed[1] * count + tf.range(count)], axis=-1)
