import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class IdentityShortcut(keras.layers.Layer):
    """A residual network's shortcut without parameters (option A): every n-th pixel, zeros behind.

    Use it where a block has more filters than its input or a stride, and a projection is not
    wanted.

    Args:
        filters: number of output channels, at least those of the input.
        strides: distance of the pixels that are kept.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), filters)`: the input's channels,
        then zeros.

    Raises:
        ValueError: where the input has more channels than `filters`.

    Differs from the paper: nothing known.

    Reference:
        He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016, section 3.3.

    Example:

    >>> tuple(IdentityShortcut(filters=32, strides=2)(keras.ops.ones((1, 8, 8, 16))).shape)
    (1, 4, 4, 32)
    """

    def __init__(self, filters, strides=1, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides

    def build(self, input_shape):
        if input_shape[-1] > self.filters:
            raise ValueError(
                f"`filters` must be at least the {input_shape[-1]} channels of {self.name}'s "
                f"input. Received: {self.filters}"
            )

    def call(self, inputs):
        kept = inputs[:, :: self.strides, :: self.strides, :]
        more = self.filters - inputs.shape[-1]
        return ops.pad(kept, ((0, 0), (0, 0), (0, 0), (0, more))) if more else kept

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        sides = [None if side is None else -(-side // self.strides) for side in sides]
        return (batch, *sides, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}
