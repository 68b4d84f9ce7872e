import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class L2Normalization(keras.layers.Layer):
    """Gives the vector at each position a length of its own choosing: one learned scale a channel.

    Use it where early features, which are large, meet later ones: SSD and ParseNet.
    `y = scale * x / |x|`, where |x| is the length of the vector of all channels. It is computed in
    float32 also under float16, in which the squares of large features are infinite.

    Args:
        scale: what each channel's scale starts from.
        epsilon: added to the squared length, so that an empty position stays zero.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(..., channels)`.

    Output shape:
        The same.

    Raises:
        ValueError: where the number of channels is not known.

    Differs from the paper: nothing known.

    Reference:
        Liu, Rabinovich, Berg: ParseNet: looking wider to see better, 2015, section 3.3.

    Example:

    >>> layer = L2Normalization(scale=10.0)
    >>> keras.ops.convert_to_numpy(layer(np.array([[3.0, 4.0]]))).tolist()
    [[6.0, 8.0]]
    """

    def __init__(self, scale=20.0, epsilon=1e-10, **kwargs):
        super().__init__(**kwargs)
        self.initial_scale = scale
        self.epsilon = epsilon

    def build(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(
                "`L2Normalization` must know the number of channels. "
                f"Received: inputs of shape {tuple(input_shape)}"
            )
        self.scale = self.add_weight(
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial_scale),
            name="scale",
        )

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        squared_length = ops.sum(x * x, axis=-1, keepdims=True)
        x = x * ops.rsqrt(squared_length + self.epsilon)
        return ops.cast(x * ops.cast(self.scale, "float32"), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "scale": self.initial_scale, "epsilon": self.epsilon}
