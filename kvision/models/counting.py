"""What a network costs."""

import math

import keras


def multiply_adds(model):
    """Multiply-adds of a model's convolutions and dense layers for one picture.

    Counted as in the papers: biases, pooling, normalisation and activations are left out. A layer
    that is applied several times counts once.

    Args:
        model: a `keras.Model` of known input size.

    Returns:
        A whole number.

    Raises:
        ValueError: where the size of the input is open.

    Example:

    >>> import kvision as kv
    >>> kv.models.multiply_adds(kv.models.LeNet5(variant="modern"))
    416520
    """
    total = 0
    for layer in _with_kernel(model):
        # A transposed convolution lays its kernel down once for each position of its input.
        is_transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        positions = (layer.input if is_transposed else layer.output).shape[1:-1]
        if None in positions:
            raise ValueError(
                f"The input size of `{model.name}` must be known to count its multiply-adds. "
                f"Received: {model.input_shape}"
            )
        total += math.prod(positions) * math.prod(layer.kernel.shape)
    return total


def _with_kernel(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _with_kernel(layer)
        elif hasattr(layer, "kernel"):
            yield layer
