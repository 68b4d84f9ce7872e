import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class ReverseChannels(keras.layers.Layer):
    """Turns the order of the channels round: RGB to BGR, as Caffe's networks were trained.

    Args:
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(..., channels)`.

    Output shape:
        The same.

    Example:

    >>> print(np.asarray(ReverseChannels()(np.array([[1.0, 2.0, 3.0]]))))
    [[3. 2. 1.]]
    """

    def call(self, inputs):
        return ops.take(inputs, list(reversed(range(inputs.shape[-1]))), axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape
