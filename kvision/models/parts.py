"""What builders of every task begin with: the input, the normalisation, checks of options."""

import keras
from keras import layers

from kvision.layers import ReverseChannels

# Of ImageNet's training images, red, green, blue: what the authors' Caffe networks subtract.
IMAGENET_MEAN = (123.68, 116.779, 103.939)


def image_input(input_shape, builder, minimum=1):
    """The input layer, after checking the shape.

    Args:
        input_shape: `(height, width, channels)`; height and width may be `None`.
        builder: name for the error message.
        minimum: least height and width that the network can take.
    """
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else ()
    if len(shape) != 3 or not isinstance(shape[2], int) or shape[2] < 1:
        raise ValueError(
            f"`input_shape` of `{builder}` must be (height, width, channels) with a known number "
            f"of channels. Received: {input_shape}"
        )
    if any(size is not None and size < minimum for size in shape[:2]):
        raise ValueError(
            f"`input_shape` height and width must be at least {minimum} in `{builder}`. "
            f"Received: {input_shape}. Enlarge the images to ({minimum}, {minimum}, {shape[2]})."
        )
    return keras.Input(shape, name="image")


def round_channels(channels, divisor=8):
    """Rounds to a multiple of `divisor`, never below 90 % of `channels`: MobileNetV2's rule."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def dilate(strides, output_stride):
    """Replaces the strides beyond `output_stride` by dilation.

    Args:
        strides: the stride of each layer of the network, in order.
        output_stride: greatest product of strides that is wanted.

    Returns:
        `[(stride, dilation_rate), ...]`, one a layer: the same receptive fields, on a finer grid.
    """
    plan, total, rate = [], 1, 1
    for stride in strides:
        if total * stride > output_stride:
            plan.append((1, rate))
            rate *= stride
        else:
            total *= stride
            plan.append((stride, rate))
    return plan


def scaled(count, alpha):
    """A number of filters or units, multiplied; never below 1."""
    return max(1, round(count * alpha))


def check_alpha(builder, alpha):
    if not alpha > 0:
        raise ValueError(f"`alpha` must be greater than 0 in `{builder}`. Received: {alpha}")


def check_output_stride(builder, output_stride):
    if output_stride not in (8, 16, 32):
        raise ValueError(
            f"`output_stride` must be 8, 16 or 32 in `{builder}`. Received: {output_stride}"
        )


def zero_centre(x):
    """RGB or grey 0..255 to -1..1."""
    return layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(x)


def subtract_mean(x, bgr=False):
    """RGB 0..255 less ImageNet's mean.

    Args:
        x: pixels. Without three channels they lose the mean grey.
        bgr: whether red, green, blue become blue, green, red, as the authors' Caffe networks (and
            so keras.applications' weights) want them.
    """
    if x.shape[-1] != 3:
        grey = sum(IMAGENET_MEAN) / 3
        return layers.Rescaling(1.0, offset=-grey, name="mean_subtraction")(x)
    offset = [-mean for mean in IMAGENET_MEAN]
    x = layers.Rescaling(1.0, offset=offset, name="mean_subtraction")(x)
    return ReverseChannels(name="rgb_to_bgr")(x) if bgr else x
