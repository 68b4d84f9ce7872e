"""Enlarging maps inside a network: transposed convolutions, and resizing."""

import warnings

from keras import layers

from kvision.initializers import BilinearKernel

UPSAMPLINGS = ("transposed", "resize")


def transposed(x, filters, kernel_size, stride, name, builder, **options):
    """A transposed convolution, which says so if it will paint checkerboards.

    Where the stride does not divide the kernel, some output pixels are covered by more kernel
    weights than their neighbours, and the pattern shows in what the network learns. A kernel that
    starts as bilinear interpolation covers all alike and is let pass.

    Args:
        x: maps `(batch, height, width, channels)`.
        filters: number of output channels.
        kernel_size: a whole number from `stride`.
        stride: factor of the enlargement.
        name: of the layer.
        builder: name of the builder for messages.
        **options: of `keras.layers.Conv2DTranspose`, e.g. `padding` (Keras's default: `"valid"`).

    Returns:
        Maps `(batch, stride * height, stride * width, filters)` with `padding="same"`; unpadded,
        `kernel_size - stride` more on each axis.

    Raises:
        ValueError: where the kernel is smaller than the stride.

    Reference:
        Odena, Dumoulin, Olah: Deconvolution and checkerboard artifacts, 2016.
    """
    if kernel_size < stride:
        raise ValueError(
            f"`kernel_size` of a transposed convolution must be at least its stride of {stride} in "
            f"`{builder}`, or pixels stay empty. Received: {kernel_size}. Use {2 * stride}."
        )
    if kernel_size % stride and not isinstance(options.get("kernel_initializer"), BilinearKernel):
        warnings.warn(
            f"`{builder}` enlarges by {stride} with a kernel of {kernel_size}, which {stride} does "
            "not divide: its outputs will show checkerboards. Use a kernel of "
            f"{kernel_size // stride * stride} or {-(-kernel_size // stride) * stride}.",
            stacklevel=2,
        )
    return layers.Conv2DTranspose(filters, kernel_size, strides=stride, name=name, **options)(x)


def bilinear(x, stride, name, builder, odd=False, **options):
    """Bilinear interpolation by a transposed convolution without biases, unpadded by default.

    Args:
        x: maps.
        stride: factor of the enlargement.
        name: of the layer.
        builder: name of the builder for messages.
        odd: whether the kernel is `2 * stride - 1`, for maps whose positions lie on pixels, or
            `2 * stride`, for those that lie between them.
        **options: of `keras.layers.Conv2DTranspose`; `trainable=False` fixes it.
    """
    options = {"use_bias": False, "kernel_initializer": BilinearKernel(), **options}
    return transposed(x, x.shape[-1], 2 * stride - odd, stride, name, builder, **options)


def check_upsampling(builder, upsampling):
    """Raises where `upsampling` is not one of `UPSAMPLINGS`."""
    if upsampling not in UPSAMPLINGS:
        raise ValueError(
            f"`upsampling` must be one of {UPSAMPLINGS} in `{builder}`. Received: {upsampling!r}"
        )
