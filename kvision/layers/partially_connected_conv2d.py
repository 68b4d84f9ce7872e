import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class PartiallyConnectedConv2D(keras.layers.Layer):
    """Convolution in which each output map sees only the input maps that a table gives it.

    Use it for LeNet-5's layer C3. Only the kernels named by the table are weights: 60 of the 96
    that a dense 6-to-16 convolution would have.

    Args:
        connections: for each output map, the indices of its input maps.
        kernel_size: side of the square kernels, in pixels.
        activation: as in `keras.layers.Conv2D`.
        kernel_initializer: as in `keras.layers.Conv2D`.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, input maps)`.

    Output shape:
        `(batch, height - kernel_size + 1, width - kernel_size + 1, len(connections))`.

    Raises:
        ValueError: where an output map has no input, or the table names an input map that the
            input does not have.

    Differs from the paper: nothing known.

    Reference:
        LeCun et al., Gradient-based learning applied to document recognition, 1998, Table I.

    Example:

    >>> layer = PartiallyConnectedConv2D([(0, 1), (1, 2)], kernel_size=5)
    >>> tuple(layer(keras.ops.zeros((1, 14, 14, 3))).shape)
    (1, 10, 10, 2)
    """

    def __init__(
        self,
        connections,
        kernel_size,
        activation=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.connections = [[int(i) for i in maps] for maps in connections]
        if not self.connections or not all(self.connections):
            raise ValueError(
                "`connections` must give each output map at least one input map. "
                f"Received: {connections}"
            )
        self.kernel_size = kernel_size
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        inputs, outputs = input_shape[-1], len(self.connections)
        pairs = [(i, o) for o, maps in enumerate(self.connections) for i in maps]
        if min(pairs)[0] < 0 or max(pairs)[0] >= inputs:
            raise ValueError(
                f"`connections` may name input maps 0 to {inputs - 1} of {self.name}'s input. "
                f"Received: {self.connections}"
            )
        size = (self.kernel_size, self.kernel_size)
        self.kernel = self.add_weight(
            name="kernel", shape=(*size, len(pairs)), initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros")
        # One row a kernel, one column a pair of maps: where each kernel stands in the dense array.
        self._place = np.zeros((len(pairs), inputs * outputs), "float32")
        self._place[range(len(pairs)), [i * outputs + o for i, o in pairs]] = 1.0
        self._dense_shape = (*size, inputs, outputs)

    def call(self, inputs):
        place = ops.cast(self._place, self.compute_dtype)
        kernel = ops.reshape(ops.matmul(self.kernel, place), self._dense_shape)
        return self.activation(ops.conv(inputs, kernel, padding="valid") + self.bias)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        height, width = (None if n is None else n - self.kernel_size + 1 for n in (height, width))
        return (batch, height, width, len(self.connections))

    def get_config(self):
        return {
            **super().get_config(),
            "connections": self.connections,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
