import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each activation by the energy of its neighbours in channel order.

    Use it for AlexNet, GoogLeNet and VGG A-LRN:
    `y = x / (bias + alpha * sum of x^2 over size channels) ** beta`.

    The sum over neighbours is a product with a band of ones, which is faster than slices and sums
    and quantises to int8.

    Args:
        size: number of neighbouring channels, itself among them; odd. The paper's n.
        bias: the paper's k.
        alpha: factor of the *sum* of squares, as in the paper and `tf.nn`. Caffe and PyTorch
            take the mean: their alpha is `size` times as large.
        beta: exponent.
        **kwargs: of `keras.layers.Layer`.

    Input shape:
        `(..., channels)`.

    Output shape:
        The same.

    Raises:
        ValueError: where `size` is not an odd number from 1.

    Differs from the paper: nothing known.

    Reference:
        Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural
        networks, 2012, section 3.3.

    Example:

    >>> layer = LocalResponseNormalization(size=5, bias=2.0, alpha=1.0, beta=0.75)
    >>> print(round(float(layer(keras.ops.arange(1.0, 9.0))[1]), 6))
    0.148651
    """

    def __init__(self, size=5, bias=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int) or size < 1 or size % 2 == 0:
            raise ValueError(f"`size` must be an odd number from 1. Received: {size}")
        self.size = size
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs):
        channels = np.arange(inputs.shape[-1])
        near = np.abs(channels[:, None] - channels) <= self.size // 2
        band = ops.cast(self.alpha * near, inputs.dtype)
        # Squares by multiplication: TFLite has that in int8.
        energy = self.bias + ops.matmul(inputs * inputs, band)
        return inputs * self._power(energy)

    def _power(self, energy):
        """`energy ** -beta`; for the usual exponents by the one root that TFLite has in int8."""
        if self.beta not in (0.5, 0.75):
            return ops.power(energy, -self.beta)
        root = ops.rsqrt(energy)
        return root if self.beta == 0.5 else root * root * ops.rsqrt(root)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "bias": self.bias,
            "alpha": self.alpha,
            "beta": self.beta,
        }
