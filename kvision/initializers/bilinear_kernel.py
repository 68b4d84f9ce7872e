import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="kvision")
class BilinearKernel(keras.initializers.Initializer):
    """Starts a transposed convolution as bilinear interpolation, each channel by itself.

    Use it as `kernel_initializer` of a `keras.layers.Conv2DTranspose` with as many filters as its
    input has channels and a kernel of `2 * strides`, or `2 * strides - 1`. The values fall linearly
    from the centre to zero just outside the kernel: a kernel of 4 is the outer product of
    (1, 3, 3, 1) / 4 with itself.

    Raises:
        ValueError: where a kernel `(height, width, filters, channels)` has another rank or other
            filters than channels.

    Differs from the paper: nothing known.

    Reference:
        Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, CVPR
        2015, section 3.3.

    Example:

    >>> kernel = BilinearKernel()((4, 4, 1, 1))
    >>> [float(value) for value in 16 * kernel[1, :, 0, 0]]
    [3.0, 9.0, 9.0, 3.0]
    """

    def __call__(self, shape, dtype=None):
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(
                "`BilinearKernel` must have as many filters as channels, as it enlarges each map "
                "by itself: a kernel (height, width, channels, channels). Received: "
                f"{tuple(shape)}. Set `filters` to the channels of the layer's input."
            )
        rows, columns = bilinear_profile(shape[0]), bilinear_profile(shape[1])
        plane = np.outer(rows, columns)[:, :, None, None]
        return ops.cast(plane * np.eye(shape[2]), dtype or keras.config.floatx())


def bilinear_profile(size):
    """One axis of the kernel: a tent that is zero one step outside of `size` values."""
    reach = (size + 1) // 2  # the stride that it interpolates
    return 1 - np.abs(np.arange(size) - (size - 1) / 2) / reach
