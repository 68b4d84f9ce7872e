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


def paste_masks(masks, boxes, size, threshold=None):
    """Masks of single objects, each in the frame of its box, drawn where they belong.

    A pixel whose centre is in the box gets the value of the mask there, bilinear between the
    centres of the mask's cells and constant beyond the outermost; other pixels get 0. So a mask of
    ones covers exactly the pixels with their centre in the box, left and top edge included.

    Differs from the paper: Mask R-CNN gives no rule. Its first code rounds the box to whole pixels
    and resizes the mask to it; detectron2 samples as we do, but lets the mask fade out at its
    borders, whereby corners are lost.

    Args:
        masks: tensor `(..., rows, columns)`, usually `(n, 28, 28)` probabilities.
        boxes: tensor `(..., 4)`, rel_yxyx; what is beyond the picture is cut off.
        size: `(height, width)` of the picture in pixels, plain numbers.
        threshold: `None` for probabilities; otherwise the least that is part of the object.

    Returns:
        Tensor `(..., height, width)`, float32, or bool with a threshold. All of them at once: for
        hundreds of masks on large pictures, call it for a few at a time.

    Raises:
        ValueError: where the numbers of masks and boxes differ.

    Reference:
        He et al.: Mask R-CNN, 2017, section 3.1.

    Example:

    >>> import numpy as np
    >>> np.asarray(paste_masks(np.ones((1, 2, 2)), [[0.0, 0.5, 0.5, 1.0]], (2, 4))).tolist()
    [[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]]
    """
    masks = ops.convert_to_tensor(ops.cast(masks, "float32"))
    boxes = ops.cast(boxes, "float32")
    if tuple(masks.shape[:-2]) != tuple(boxes.shape[:-1]) or boxes.shape[-1] != 4:
        raise ValueError(
            "There must be a mask (..., rows, columns) for each box (..., 4). Received: masks of "
            f"shape {tuple(masks.shape)}, boxes of {tuple(boxes.shape)}."
        )
    top, left, bottom, right = ops.split(boxes, 4, axis=-1)
    rows = _sampling(top, bottom, size[0], masks.shape[-2])
    columns = _sampling(left, right, size[1], masks.shape[-1])
    pasted = ops.matmul(ops.matmul(rows, masks), ops.swapaxes(columns, -1, -2))
    if threshold is None:
        return pasted
    # A pixel is inside if it has any weight: with a threshold of 0 others are still outside.
    inside = ops.sum(rows, -1)[..., :, None] * ops.sum(columns, -1)[..., None, :] > 0
    return ops.logical_and(pasted >= threshold, inside)


def _sampling(low, high, length, cells):
    """Weights `(..., length, cells)` of a mask's cells for each pixel along one axis."""
    centres = (ops.arange(length, dtype="float32") + 0.5) / length
    inside = ops.logical_and(centres >= low, centres < high)
    extent = ops.where(high > low, high - low, 1.0)
    places = ops.clip((centres - low) / extent * cells - 0.5, 0.0, cells - 1.0)
    distance = ops.abs(places[..., None] - ops.arange(cells, dtype="float32"))
    return ops.maximum(1.0 - distance, 0.0) * ops.cast(inside, "float32")[..., None]
