"""Keras's random brightness and contrast as one pass over the pixels."""

import keras
import numpy as np
import tensorflow as tf

LAYERS = (keras.layers.RandomBrightness, keras.layers.RandomContrast)
_RANGE = [0, 255]


class Tone:
    """What a run of consecutive `RandomBrightness` and `RandomContrast` layers does, at once.

    In whatever order, the layers add to each pixel the sum of their offsets and stretch it about
    its channel's mean by the product of their factors. Differs from calling the layers in turn:
    pixels are clipped to 0..255 once, at the end.
    """

    in_order = False

    def __init__(self, layers, pictures=("image",)):
        self._pictures = pictures
        ranges = [_draw_range(layer) for layer in layers]
        self._low, self._high = (np.array(ends, "float32") for ends in zip(*ranges, strict=True))
        self._stretches = np.array(
            [isinstance(layer, keras.layers.RandomContrast) for layer in layers]
        )

    def draw(self, seed, count):
        """Random tones for `count` examples: float32 tensor (count, 2) of factors and offsets."""
        draws = tf.random.stateless_uniform((count, len(self._low)), seed)
        values = self._low + draws * (self._high - self._low)
        factors = tf.reduce_prod(tf.where(self._stretches, values, 1.0), axis=-1)
        offsets = tf.reduce_sum(tf.where(self._stretches, 0.0, values), axis=-1)
        return tf.stack([factors, offsets], axis=-1)

    def __call__(self, example, tone):
        """Changes the pictures by one of the tones drawn; all else stays."""
        return {**example, **{name: self._change(example[name], tone) for name in self._pictures}}

    def _change(self, image, tone):
        factor, offset = tf.unstack(tone)
        image = tf.cast(image, tf.float32)
        height, width, channels = image.shape
        # Rows of width * channels: arithmetic on a last axis of 1 or 3 is several times slower.
        rows = tf.reshape(image, (height, width * channels))
        if self._stretches.any():
            sums = tf.matmul(tf.ones((1, height)), rows)
            mean = tf.reduce_mean(tf.reshape(sums, (width, channels)), axis=0) / height
            rows = rows * factor + tf.tile((1.0 - factor) * mean + offset, (width,))
        else:
            rows = rows + offset
        rows = tf.clip_by_value(rows, 0.0, 255.0)
        return tf.reshape(rows, (height, width, channels))


def can_join(layer):
    """Whether `layer` is one of `LAYERS` and works on pixels in 0..255."""
    return isinstance(layer, LAYERS) and sorted(layer.value_range) == _RANGE


def _draw_range(layer):
    low, high = layer.factor
    if isinstance(layer, keras.layers.RandomContrast):
        return 1.0 - low, 1.0 + high
    return 255.0 * low, 255.0 * high
