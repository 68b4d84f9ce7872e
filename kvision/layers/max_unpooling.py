import keras
from keras import ops

from kvision.layers.max_pooling_with_switches import enlarged


@keras.saving.register_keras_serializable(package="kvision")
class MaxUnpooling2D(keras.layers.Layer):
    """Puts each value back to where the pooling found its maximum, and zeros elsewhere.

    Use it in decoders, with the switches of a `MaxPooling2DWithSwitches` of the encoder: outlines
    come back at full resolution without any parameter.

    Args:
        pool_size: that of the pooling.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of the values `(batch, rows, columns, channels)` and the switches
        `(batch, height, width, channels)`, which has as many channels.

    Output shape:
        That of the switches, odd heights and widths too.

    Raises:
        ValueError: where `pool_size` is not a whole number from 2, where the layer does not get
            the two, or where they do not belong together.

    Differs from the paper: nothing known.

    Reference:
        Badrinarayanan, Kendall, Cipolla: SegNet, 2017, Fig. 3; Noh, Hong, Han: DeconvNet, 2015,
        section 3.2.1.

    Example:

    >>> from kvision.layers import MaxPooling2DWithSwitches
    >>> image = np.array([[1, 2], [4, 3]], "float32").reshape(1, 2, 2, 1)
    >>> pooled, switches = MaxPooling2DWithSwitches()(image)
    >>> ops.convert_to_numpy(MaxUnpooling2D()([pooled, switches]))[0, :, :, 0].tolist()
    [[0.0, 0.0], [4.0, 0.0]]
    """

    def __init__(self, pool_size=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(pool_size, int) or pool_size < 2:
            raise ValueError(f"`pool_size` must be a whole number from 2. Received: {pool_size}")
        self.pool_size = pool_size

    def build(self, input_shape):
        if len(input_shape) != 2 or any(len(shape) != 4 for shape in input_shape):
            raise ValueError(
                f"{self.name} must be called with a list [values, switches] of two maps. Received "
                f"shapes: {input_shape}"
            )
        values, switches = input_shape
        sides = zip(values[1:3], switches[1:3], strict=True)
        known = [(small, large) for small, large in sides if small and large]
        fits = all(-(-large // self.pool_size) == small for small, large in known)
        if values[-1] != switches[-1] or not fits:
            raise ValueError(
                f"The values and switches of {self.name} must be of the same pooling by "
                f"{self.pool_size}: as many channels, and a value for each window. Received "
                f"shapes: {tuple(values)} and {tuple(switches)}"
            )

    def call(self, inputs):
        values, switches = inputs
        height, width = ops.shape(switches)[1:3]
        spread = enlarged(values, self.pool_size)[:, :height, :width]
        return ops.where(switches, spread, ops.cast(0, spread.dtype))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[1])

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[1].shape, dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "pool_size": self.pool_size}
