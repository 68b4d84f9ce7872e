import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class TrainableSubsampling2D(keras.layers.Layer):
    """Sums each 2x2 window, multiplies it by a coefficient a map, adds a bias a map and squashes.

    Use it for LeNet-5's layers S2 and S4: a pooling with two trainable parameters a map.

    Args:
        activation: as in `keras.layers.Conv2D`.
        coefficient_initializer: initialiser of the coefficients.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, maps)`.

    Output shape:
        `(batch, height // 2, width // 2, maps)`.

    Differs from the paper: nothing known.

    Reference:
        LeCun et al., Gradient-based learning applied to document recognition, 1998, section II-B.

    Example:

    >>> tuple(TrainableSubsampling2D()(keras.ops.zeros((1, 28, 28, 6))).shape)
    (1, 14, 14, 6)
    """

    strides = 2

    def __init__(self, activation=None, coefficient_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.coefficient_initializer = keras.initializers.get(coefficient_initializer)

    def build(self, input_shape):
        maps = input_shape[-1]
        self.coefficient = self.add_weight(
            name="coefficient", shape=(maps,), initializer=self.coefficient_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(maps,), initializer="zeros")

    def call(self, inputs):
        total = 4.0 * ops.average_pool(inputs, 2, strides=2, padding="valid")
        return self.activation(total * self.coefficient + self.bias)

    def compute_output_shape(self, input_shape):
        batch, height, width, maps = input_shape
        return (batch, *(None if n is None else n // 2 for n in (height, width)), maps)

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "coefficient_initializer": keras.initializers.serialize(self.coefficient_initializer),
        }
