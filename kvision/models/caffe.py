"""Classifiers as the authors' Caffe networks saw them: wide borders, pooling that rounds up."""

import keras
from keras import layers


def padded(model, image, padding, builder):
    """A network that sees a picture with a wide border of zeros, and loses no pixel in pooling.

    The border goes round what the first convolution sees, after the normalisation; its own padding
    is part of it. Pooling takes incomplete windows in, as Caffe's does.

    Args:
        model: features of a picture, e.g. of VGG: a chain of layers of open input size.
        image: the input tensor of the new network.
        padding: pixels on each side.
        builder: name for the error message.

    Returns:
        A new `keras.Model` with layers of the same names and fresh weights.

    Raises:
        ValueError: where the model has no convolution to begin with.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    if not convolutions:
        raise ValueError(
            f"`backbone` of `{builder}` must be a convolutional network. Received: {model.name}"
        )
    first = convolutions[0].name

    def form(layer):
        config = layer.get_config()
        if _is_tiling(layer):
            config["padding"] = "same"  # of windows side by side: zeros' place below and right
        return layer.__class__.from_config(config)

    def call(layer, x, **arguments):
        if layer.name == first:
            own = (layer.kernel_size[0] - 1) // 2 if layer.padding == "same" else 0
            x = layers.ZeroPadding2D(padding - own, name="border")(x)
        elif isinstance(layer, layers.MaxPooling2D) and not _is_tiling(layer):
            more = layer.strides[0] - 1
            rest = layers.ZeroPadding2D(((0, more), (0, more)), name=f"{layer.name}_rest")
            x = rest(x)
        return layer(x, **arguments)

    return keras.models.clone_model(model, image, clone_function=form, call_function=call)


def _is_tiling(layer):
    return isinstance(layer, layers.MaxPooling2D) and layer.pool_size == layer.strides


def centres(model):
    """Where the first position of each layer's map looks, in pixels of the picture, and its stride.

    Args:
        model: a chain of layers, as `padded` gives it. What is symmetrical counts on one axis.

    Returns:
        `{layer name: (centre, stride)}`. The centre of a picture's first pixel is 0.
    """
    found, centre, stride = {}, 0.0, 1
    for layer in model.layers:
        if isinstance(layer, layers.ZeroPadding2D):
            centre -= layer.padding[0][0] * stride
        kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
        if kernel:
            reach = (kernel[0] - 1) / 2 * stride
            inside = layer.padding == "same" and not _is_tiling(layer)
            centre += 0 if inside else reach
            stride *= layer.strides[0]
        found[layer.name] = (centre, stride)
    return found
