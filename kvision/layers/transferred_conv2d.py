import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="kvision")
class TransferredConv2D(layers.Layer):
    """A 1x1 convolution to the mask of each class, its weights made from those of the box detector.

    Two dense layers, the same for all classes, turn what the detector has learned of a class (the
    weights of its score and of its box) into the weights of its mask: so classes that never had a
    mask in training get one. No gradient flows to the detector's weights.

    Args:
        hidden: units of the first of the two dense layers.
        negative_slope: of the LeakyReLU between them.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        A list of features `(batch, height, width, channels)`, and of the kernels of the detector's
        last layers: of scores `(features, classes + 1)`, and of offsets
        `(features, 4 * (classes + 1))`. Background is the first.

    Output shape:
        `(batch, height, width, classes)`.

    Raises:
        ValueError: where the kernels are not of the same classes.

    Differs from the paper: nothing known. The 1x1 convolution has no bias, as in the authors' code.

    Reference:
        Hu, Dollar, He, Darrell, Girshick: Learning to segment every thing, 2018, section 3.2.

    Example:

    >>> layer = TransferredConv2D(hidden=16)
    >>> kernels = keras.ops.zeros((32, 6)), keras.ops.zeros((32, 24))
    >>> tuple(layer([keras.ops.zeros((3, 28, 28, 8)), *kernels]).shape)
    (3, 28, 28, 5)
    """

    def __init__(self, hidden=256, negative_slope=0.1, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.negative_slope = negative_slope

    def build(self, input_shape):
        channels, (features, columns) = input_shape[0][-1], input_shape[1]
        if tuple(input_shape[2]) != (features, 4 * columns):
            raise ValueError(
                f"The kernels of scores and offsets must be of the same classes in {self.name}: "
                f"({features}, {columns}) and ({features}, {4 * columns}). Received: "
                f"{tuple(input_shape[1])} and {tuple(input_shape[2])}"
            )
        policy = {"dtype": self.dtype_policy}
        self.first = layers.Dense(self.hidden, name="transfer1", **policy)
        self.first.build((None, 5 * features))
        self.second = layers.Dense(channels, name="transfer2", **policy)
        self.second.build((None, self.hidden))
        super().build(input_shape)

    def call(self, inputs):
        x, *kernels = inputs
        return ops.einsum("nhwc,kc->nhwk", x, self.weights_of(*kernels))

    def weights_of(self, scores, offsets):
        """The weights of each class's mask, `(classes, channels)`."""
        features, columns = scores.shape
        offsets = ops.reshape(offsets, (features, columns, 4))
        offsets = ops.reshape(ops.transpose(offsets, (1, 2, 0)), (columns, 4 * features))
        detector = ops.concatenate([ops.transpose(scores), offsets], axis=1)[1:]
        detector = ops.cast(ops.stop_gradient(detector), self.compute_dtype)
        return self.second(ops.leaky_relu(self.first(detector), self.negative_slope))

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:-1], input_shape[1][-1] - 1)

    def get_config(self):
        config = {"hidden": self.hidden, "negative_slope": self.negative_slope}
        return {**super().get_config(), **config}
