"""What every classification builder begins and ends with."""

import math

import keras
from keras import layers

from kvision.layers import ReverseChannels

# Of ImageNet's training images, red, green, blue: what the authors' Caffe networks subtract.
IMAGENET_MEAN = (123.68, 116.779, 103.939)
POOLINGS = (None, "avg", "max")


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


def classifier(x, include_top, pooling, classes, activation, dropout=0.0):
    """Global average pooling, dropout and a dense layer; or the pooling that was asked for.

    Scores are computed in float32 under every dtype policy.
    """
    check_top(include_top, pooling, classes)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="global_average")(x)
        if dropout:
            x = layers.Dropout(dropout, name="dropout")(x)
        return layers.Dense(classes, activation=activation, dtype="float32", name="predictions")(x)
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name="global_average")(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name="global_max")(x)
    return x


def dense_classifier(
    x, include_top, pooling, classes, activation, units, dropout, input_shape, builder, **options
):
    """Flatten and three dense layers, as AlexNet and VGG end; or the pooling that was asked for.

    Args:
        units: of `fc6` and `fc7`.
        dropout: fraction dropped after each of them.
        input_shape: of the model; with the classifier its size must be known.
        builder: name for the error message.
        **options: of the three `Dense` layers; under `hidden` those of `fc6` and `fc7` alone.
    """
    if not include_top:
        return classifier(x, include_top, pooling, classes, activation)
    check_top(include_top, pooling, classes)
    if None in x.shape[1:3]:
        raise ValueError(
            f"`input_shape` of `{builder}` must be of known height and width with "
            f"`include_top=True`, as its dense layers see the whole map. Received: {input_shape}. "
            "Build it with a size; `kv.models.convolutionalize` makes it slide over any other."
        )
    hidden = options.pop("hidden", {})
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = layers.Dense(units, activation="relu", name=name, **options, **hidden)(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return layers.Dense(
        classes, activation=activation, dtype="float32", name="predictions", **options
    )(x)


def check_top(include_top, pooling, classes):
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}. Received: {pooling!r}")
    if include_top and pooling is not None:
        raise ValueError(
            "`pooling` is of use only with `include_top=False`: the classifier pools by itself. "
            f"Received: pooling={pooling!r}, include_top=True"
        )
    if include_top and (not isinstance(classes, int) or classes < 1):
        raise ValueError(f"`classes` must be a whole number from 1. Received: {classes!r}")


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


def stem_plan(builder, strides, stem_strides):
    """The strides of a stem's layers whose product is wanted: the first ones become 1.

    Args:
        builder: name for the error message.
        strides: the paper's strides, in order.
        stem_strides: their product as wanted; `None` for the paper's.

    Returns:
        A list as long as `strides`.
    """
    plans = [[1] * i + list(strides[i:]) for i in range(len(strides) + 1)]
    products = [math.prod(plan) for plan in plans]
    if stem_strides is None:
        return plans[0]
    if stem_strides not in products:
        raise ValueError(
            f"`stem_strides` must be one of {products} in `{builder}` (the first is the paper's). "
            f"Received: {stem_strides}"
        )
    return plans[products.index(stem_strides)]


def scaled(count, alpha):
    """A number of filters or units, multiplied; never below 1."""
    return max(1, round(count * alpha))


def check_alpha(builder, alpha):
    if not alpha > 0:
        raise ValueError(f"`alpha` must be greater than 0 in `{builder}`. Received: {alpha}")


def check_options(builder, alpha, output_stride, stem_strides):
    check_alpha(builder, alpha)
    check_output_stride(builder, output_stride)
    if stem_strides not in (1, 2):
        raise ValueError(f"`stem_strides` must be 1 or 2 in `{builder}`. Received: {stem_strides}")


def check_auxiliary(argument, wanted, include_top):
    if wanted and not include_top:
        raise ValueError(
            f"`{argument}=True` must be used with `include_top=True`: the heads are classifiers. "
            "Received: include_top=False"
        )


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
