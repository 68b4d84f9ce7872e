"""The blocks of residual networks, shared by those for ImageNet and those for CIFAR."""

from keras import layers

from kvision.layers import IdentityShortcut

SHORTCUTS = ("A", "B", "C")
EPSILON = 1e-5  # of batch normalisation, the authors' Caffe value


def check_choice(builder, argument, value, choices):
    if value not in choices:
        raise ValueError(
            f"`{argument}` must be one of {choices} in `{builder}`. Received: {value!r}"
        )


def padded(x, pixels, prefix):
    """Zeros on all sides, so that a stride begins at the first pixel, as in Caffe."""
    return layers.ZeroPadding2D(pixels, name=f"{prefix}_pad")(x)


def conv_norm(x, filters, kernel_size, prefix, momentum, **options):
    """A convolution without bias, He's initialisation, batch normalisation."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{prefix}_conv",
        **options,
    )(x)
    return layers.BatchNormalization(momentum=momentum, epsilon=EPSILON, name=f"{prefix}_bn")(x)


def conv3x3(x, filters, prefix, momentum, strides=1, rate=1):
    if strides == 1:
        return conv_norm(x, filters, 3, prefix, momentum, padding="same", dilation_rate=rate)
    x = padded(x, 1, prefix)
    return conv_norm(x, filters, 3, prefix, momentum, strides=strides)


def basic_block(x, filters, prefix, strides, rates, shortcut, momentum, out, stride_on=None):
    """Two 3x3 convolutions beside a shortcut; without `shortcut` a plain network's."""
    beside = _shortcut(x, filters, prefix, strides, shortcut, momentum)
    x = conv3x3(x, filters, f"{prefix}_1", momentum, strides, rates[0])
    x = layers.ReLU(name=f"{prefix}_1_relu")(x)
    x = conv3x3(x, filters, f"{prefix}_2", momentum, rate=rates[1])
    return _joined(beside, x, prefix, out)


def bottleneck_block(x, filters, prefix, strides, rates, shortcut, momentum, out, stride_on):
    """1x1 to fewer channels, 3x3, 1x1 to four times as many, beside a shortcut."""
    beside = _shortcut(x, 4 * filters, prefix, strides, shortcut, momentum)
    first, second = (strides, 1) if stride_on == "1x1" else (1, strides)
    # The 3x3 sees the grid before the stride only if it holds the stride itself.
    rate = rates[1] if stride_on == "1x1" else rates[0]
    x = conv_norm(x, filters, 1, f"{prefix}_1", momentum, strides=first)
    x = layers.ReLU(name=f"{prefix}_1_relu")(x)
    x = conv3x3(x, filters, f"{prefix}_2", momentum, second, rate)
    x = layers.ReLU(name=f"{prefix}_2_relu")(x)
    x = conv_norm(x, 4 * filters, 1, f"{prefix}_3", momentum)
    return _joined(beside, x, prefix, out)


def _shortcut(x, filters, prefix, strides, option, momentum):
    """What is added to the block's result: option A, B or C of section 4.1; `None` adds nothing."""
    changes = strides > 1 or x.shape[-1] != filters
    if option is None or (option != "C" and not changes):
        return None if option is None else x
    if option == "A":
        return IdentityShortcut(filters, strides, name=f"{prefix}_0_identity")(x)
    return conv_norm(x, filters, 1, f"{prefix}_0", momentum, strides=strides)


def _joined(beside, x, prefix, out):
    if beside is not None:
        x = layers.Add(name=f"{prefix}_add")([beside, x])
    return layers.ReLU(name=out or f"{prefix}_out")(x)
