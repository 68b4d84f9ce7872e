import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class MaxPooling2DWithSwitches(keras.layers.Layer):
    """Max pooling that also says where each maximum stood: its switches.

    Use it with `MaxUnpooling2D`, for SegNet and DeconvNet. It is made of poolings and
    nearest resizings, so that it runs on every backend and in TFLite's builtins, and faster than
    TensorFlow's pooling with arg-max.

    Args:
        pool_size: side of the square windows, which do not overlap.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        The maxima `(batch, ceil(height / pool_size), ceil(width / pool_size), channels)`; and the
        switches, booleans of the input's shape, true at one place of each window: at its maximum,
        of several equal ones at the first by rows. Windows may stick out below and on the right
        where `pool_size` is 2.

    Raises:
        ValueError: where `pool_size` is not a whole number from 2; where it is more than 2 and
            height and width are not known multiples of it.

    Differs from the paper: nothing known. In an int8 file several values of a window may round to
    the same number; the first of them then wins.

    Reference:
        Badrinarayanan, Kendall, Cipolla: SegNet, 2017, section 3; the name is that of Zeiler and
        Fergus: Visualizing and understanding convolutional networks, 2014.

    Example:

    >>> image = np.array([[1, 2, 0], [4, 3, 5], [7, 7, 6]], "float32").reshape(1, 3, 3, 1)
    >>> pooled, switches = MaxPooling2DWithSwitches()(image)
    >>> ops.convert_to_numpy(pooled)[0, :, :, 0].tolist()
    [[4.0, 5.0], [7.0, 6.0]]
    >>> ops.convert_to_numpy(switches)[0, :, :, 0].astype(int).tolist()
    [[0, 0, 0], [1, 0, 1], [1, 0, 1]]
    """

    def __init__(self, pool_size=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(pool_size, int) or pool_size < 2:
            raise ValueError(f"`pool_size` must be a whole number from 2. Received: {pool_size}")
        self.pool_size = pool_size

    @property
    def strides(self):
        return self.pool_size

    def build(self, input_shape):
        # "same" padding of 2 is below and on the right; of more it would be on all sides.
        known = all(size and size % self.pool_size == 0 for size in input_shape[1:3])
        if self.pool_size > 2 and not known:
            raise ValueError(
                f"The height and width of {self.name}'s input must be known multiples of its "
                f"`pool_size` of {self.pool_size}. Received shape: {tuple(input_shape)}. Pad it, "
                "or pool by 2."
            )

    def call(self, inputs):
        is_maximum = self._is_highest(inputs)
        # Of equal maxima the first wins: it has the highest rank of its window.
        ranks = ops.where(is_maximum, self._ranks(inputs), ops.cast(0, inputs.dtype))
        switches = ops.logical_and(is_maximum, self._is_highest(ranks))
        return self._pool(inputs), switches

    def _is_highest(self, x):
        """Where `x` has the maximum of its window.

        By a difference: TFLite compares int8 numbers only where their unit is about 1/256 to 1.
        """
        height, width = ops.shape(x)[1:3]
        highest = enlarged(self._pool(x), self.pool_size)[:, :height, :width]
        return ops.logical_not(ops.cast(highest - x, "bool"))

    def _pool(self, x):
        return ops.max_pool(x, self.pool_size, self.pool_size, "same", data_format="channels_last")

    def _ranks(self, inputs):
        """`(height, width, 1)`: in each window from `pool_size`^2 at its first place down to 1."""
        n = self.pool_size
        if None in inputs.shape[1:3]:
            height, width = ops.shape(inputs)[1:3]
            rows, columns = ops.arange(height) % n, ops.arange(width) % n
        else:
            rows, columns = (np.arange(size) % n for size in inputs.shape[1:3])
        ranks = n * n - rows[:, None] * n - columns
        return ops.cast(ranks, inputs.dtype)[..., None]

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        sides = [None if n is None else -(-n // self.pool_size) for n in (height, width)]
        return (batch, *sides, channels), tuple(input_shape)

    def compute_output_spec(self, inputs):
        pooled, switches = self.compute_output_shape(inputs.shape)
        return (
            keras.KerasTensor(pooled, dtype=self.compute_dtype),
            keras.KerasTensor(switches, dtype="bool"),
        )

    def get_config(self):
        return {**super().get_config(), "pool_size": self.pool_size}


def enlarged(x, factor):
    """Each value repeated `factor` times along height and width."""
    height, width = x.shape[1:3]
    if None in (height, width):
        return ops.repeat(ops.repeat(x, factor, axis=1), factor, axis=2)
    return ops.image.resize(
        x,
        (height * factor, width * factor),
        interpolation="nearest",
        data_format="channels_last",
    )
