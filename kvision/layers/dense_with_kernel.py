import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class DenseWithKernel(keras.layers.Dense):
    """A dense layer that also gives its kernel away, to layers that learn from what it learned.

    Args:
        units: of the output.
        **kwargs: of `keras.layers.Dense`.

    Input shape:
        `(batch, ..., features)`.

    Output shape:
        A pair of `(batch, ..., units)` and the kernel, `(features, units)`.

    Example:

    >>> scores, kernel = DenseWithKernel(3)(keras.ops.zeros((2, 5, 8)))
    >>> tuple(scores.shape), tuple(kernel.shape)
    ((2, 5, 3), (8, 3))
    """

    def call(self, inputs, training=None):
        return super().call(inputs, training=training), ops.convert_to_tensor(self.kernel)

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(input_shape), (input_shape[-1], self.units)
