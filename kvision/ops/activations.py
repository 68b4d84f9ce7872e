"""Activations that `keras.activations` lacks."""

import keras


@keras.saving.register_keras_serializable(package="kvision")
def scaled_tanh(x):
    """LeCun's squashing function `1.7159 tanh(2x/3)`: f(1) = 1 and f(-1) = -1.

    Args:
        x: a tensor of any shape.

    Returns:
        A tensor of the same shape, within -1.7159..1.7159.

    Reference:
        LeCun et al., Gradient-based learning applied to document recognition, 1998, appendix A.
    """
    return 1.7159 * keras.ops.tanh(x * (2.0 / 3.0))
