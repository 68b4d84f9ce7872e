"""Masks: an integer class for each pixel, and one value that means none."""

from keras import ops

VOID = 255  # no class: ignored in loss, metric and picture


def centre_crop(masks, size):
    """The middle of masks or images: what a network of valid convolutions predicts.

    Args:
        masks: array or tensor `(batch, height, width, channels)`, `(height, width, channels)`, or
            `(height, width)`.
        size: `(height, width)` to keep; the border must be as wide on either side.

    Returns:
        The same type of thing, cropped.

    Raises:
        ValueError: where the masks are smaller, or what is cut off is odd.

    Example:

    >>> import numpy as np
    >>> centre_crop(np.arange(36).reshape(6, 6), (2, 2)).tolist()
    [[14, 15], [20, 21]]
    """
    shape = tuple(masks.shape)
    first = 1 if len(shape) == 4 else 0
    borders = [have - keep for have, keep in zip(shape[first : first + 2], size, strict=True)]
    if min(borders) < 0 or any(border % 2 for border in borders):
        raise ValueError(
            "`size` must be smaller than the masks by an even number of pixels in height and "
            f"width. Received: size={tuple(size)}, masks of shape {shape}."
        )
    rows, columns = (slice(b // 2, b // 2 + keep) for b, keep in zip(borders, size, strict=True))
    return masks[:, rows, columns] if first else masks[rows, columns]


def without_channel(masks):
    """Masks of shape (batch, height, width, 1) or without the 1, without it."""
    shape = tuple(masks.shape)
    return ops.squeeze(masks, -1) if len(shape) == 4 and shape[-1] == 1 else masks


def spread_weights(sample_weight, dtype="float32"):
    """Weights of images or pixels, in a shape that multiplies `(batch, height, width)`.

    Args:
        sample_weight: of shape `()`, `(batch,)`, `(batch, height, width)`, or one of the latter
            with a last axis of 1.
        dtype: of the result.

    Returns:
        Tensor of rank 0 or 3.

    Raises:
        ValueError: for other shapes.
    """
    weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    rank = len(weight.shape)
    if rank in (2, 4) and weight.shape[-1] == 1:
        weight, rank = ops.squeeze(weight, -1), rank - 1
    if rank == 1:
        return ops.reshape(weight, (-1, 1, 1))
    if rank not in (0, 3):
        raise ValueError(
            "`sample_weight` must be of shape (batch,), (batch, height, width) or (batch, height, "
            f"width, 1). Received: {tuple(weight.shape)}"
        )
    return weight
